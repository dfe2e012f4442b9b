"""What the Linux kernel takes from a process for good, without any privilege: most of the files, and the network.

Landlock leaves reading the file system without `/proc`, where the environment of the server lies, and forbids to write
and to signal other processes; a seccomp filter forbids new sockets, programs, and looking into other processes. Numbers
are those of `linux/landlock.h`, `linux/seccomp.h` and the system call tables.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1
READ_FILE, READ_DIR = 4, 8
ALL_OF_ABI = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
SCOPE_SIGNAL, SIGNALS_SINCE_ABI = 2, 6
HIDDEN = ("proc",)

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
AT_NUMBER, AT_ARCH = 0, 4
_FORBIDDEN = {
    # socket, execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, pidfd_getfd
    "x86_64": (0xC000003E, (41, 59, 322, 101, 310, 311, 425, 438)),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 270, 271, 425, 438)),
}


def forbid_files_and_network() -> tuple[bool, bool]:
    """Give up what a reader of pictures does not need, for good; whether files, and the network, are shut off."""
    if sys.platform != "linux":
        return False, False
    libc = ctypes.CDLL(None, use_errno=True)
    with suppress(OSError):
        _call(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))  # a worker that hangs must not outlive the rest
        _call(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return _shut_files(libc), _shut_network(libc)
    return False, False


def _shut_files(libc: ctypes.CDLL) -> bool:
    abi = libc.syscall(CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    handled = ALL_OF_ABI.get(abi, ALL_OF_ABI[max(ALL_OF_ABI)])
    scoped = SCOPE_SIGNAL if abi >= SIGNALS_SINCE_ABI else 0
    attributes = struct.pack("=QQQ", handled, 0, scoped)[: 24 if abi >= SIGNALS_SINCE_ABI else 8]
    rules = -1
    try:
        rules = _call(libc.syscall(CREATE_RULESET, attributes, len(attributes), 0))
        for entry in Path("/").iterdir():
            if entry.name not in HIDDEN:
                _let_read(libc, rules, entry)
        _call(libc.syscall(RESTRICT_SELF, rules, 0))
    except OSError:
        return False
    finally:
        if rules >= 0:
            os.close(rules)
    return True


def _let_read(libc: ctypes.CDLL, rules: int, entry: Path) -> None:
    allowed = READ_FILE | READ_DIR if entry.is_dir() else READ_FILE
    with suppress(OSError):  # what cannot be opened needs no rule
        fd = os.open(entry, os.O_PATH | os.O_CLOEXEC)
        try:
            _call(libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", allowed, fd), 0))
        finally:
            os.close(fd)


def _shut_network(libc: ctypes.CDLL) -> bool:
    known = _FORBIDDEN.get(platform.machine())
    if known is None:
        return False
    architecture, numbers = known
    last = len(numbers)
    program = [
        (LOAD, 0, 0, AT_ARCH),
        (EQUALS, 1, 0, architecture),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, AT_NUMBER),
        *((EQUALS, last - index, 0, number) for index, number in enumerate(numbers)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filters = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    try:
        _call(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0))
    except OSError:
        return False
    return True


def _call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused by the kernel")
    return result
