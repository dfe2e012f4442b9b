"""What a running page holds: memory, threads, open files, uploads, sessions, questions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.memory import status_number
from tests.page_server import PageServer

MEMORY_SLACK = 600 * 1024**2
"""What is kept on purpose: opened files (256 MB), patches, states of conversations."""
THREAD_SLACK = 48
"""Gradio's pool of 40 worker threads stays once it has grown."""
DESCRIPTOR_SLACK = 24
"""Four workers with a connection and shared memory each, and connections that are kept open for a while."""


@dataclass(frozen=True)
class Holdings:
    """What a server holds: memory in bytes, threads, open files, uploads, sessions, questions."""

    memory: int
    threads: int
    descriptors: int
    uploads: int
    sessions: int
    questions: int

    @classmethod
    def of(cls, server: PageServer) -> Holdings:
        """Those of a running page."""
        told = server.holds()
        return cls(
            status_number(server.number, "VmRSS") * 1024,
            status_number(server.number, "Threads"),
            sum(1 for _ in Path(f"/proc/{server.number}/fd").iterdir()),
            sum(len(names) for _, _, names in os.walk(server.uploads)),
            told["sessions"],
            told["questions"],
        )

    def beyond(self, before: Holdings) -> list[str]:
        """What is more than it was before, and more than what is kept on purpose."""
        pairs = (
            ("memory", before.memory, self.memory, MEMORY_SLACK),
            ("threads", before.threads, self.threads, THREAD_SLACK),
            ("open files", before.descriptors, self.descriptors, DESCRIPTOR_SLACK),
            ("uploads", before.uploads, self.uploads, 0),
            ("sessions", before.sessions, self.sessions, 0),
            ("questions", before.questions, self.questions, 0),
        )
        return [f"{name}: {was:,} before, {now:,} after" for name, was, now, slack in pairs if now > was + slack]
