"""Checkpoints from the hub: what is here already, and what has to come.

A connection that breaks is taken up where it was, also by a later download, and files that came whole are not fetched
again. Only safetensors and plain text are taken. A revision may be given behind an "@": a tag, a branch or a commit.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePath
from threading import Event as Flag

from pipelines.catalogue.known import DEMO, HUB_IDS
from pipelines.catalogue.transfer import RemoteFile, Stopped, fetch, sha256_of, telling_of_disk
from pipelines.checkpoint import check_config
from pipelines.disk import is_full
from pipelines.types import UserError

WEIGHTS = "*.safetensors"
FILES = ["*.json", "*.jinja", WEIGHTS]
"""What is taken from the hub: no code, no weights in a form that can hold code."""
INDEX = "model.safetensors.index.json"
GATED = (
    'The hub does not give "{name}" to this machine: accept its terms at huggingface.co, then sign in here with '
    "`hf auth login`."
)
NO_HUB = 'What answers for the hub is none, and "{name}" was not downloaded: check the address in HF_ENDPOINT.'
SHA256 = re.compile("[0-9a-f]{64}")
SHUT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})
"""No right to write there, a disk that is only read, a file where a folder belongs."""


@dataclass(frozen=True)
class Fetched:
    """How far a download is, in bytes."""

    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.done / 1e9:.2f} of {self.total / 1e9:.2f} GB"


Follow = Callable[[Fetched], None]
"""Hears, again and again, how far a download is."""


@dataclass(frozen=True)
class _Found:
    """What the hub has of a model: the commit, and bytes and SHA-256 (of large files) of each file by its name.

    Whoever answers in the place of the hub could name a file elsewhere on this machine, or files of no commit: raises
    ValueError for that.
    """

    commit: str | None = None
    files: dict[str, tuple[int, str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths = [PurePath(name) for name in (self.commit or "", *self.files)]
        hashes = [sha256 for _, sha256 in self.files.values() if sha256 is not None]
        if self.files and not self.commit:
            raise ValueError("the hub names no commit")
        if any(path.anchor or ".." in path.parts for path in paths) or not all(map(SHA256.fullmatch, hashes)):
            raise ValueError("the hub names what cannot be a file of a model")


@dataclass(frozen=True)
class HubModel:
    """A model at the hub, at one revision; None is the newest."""

    hub_id: str
    revision: str | None = None


def at_hub(name: str) -> HubModel:
    """The model that a name stands for. Raises UserError for what can be none."""
    plain, _, revision = name.partition("@")
    hub_id = HUB_IDS.get(plain.upper(), plain)
    if len(hub_id.split("/")) != 2 or hub_id.startswith((".", "/", "~")):
        known = ", ".join([DEMO, *HUB_IDS])
        raise UserError(
            f'"{name}" is not a known model: use {known}, the path of a checkpoint folder, '
            "or a hub id such as Qwen/Qwen3.5-4B."
        )
    return HubModel(hub_id, revision or None)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all that its index of weights names."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        weights = set(index["weight_map"].values())
    except FileNotFoundError:
        weights = {"model.safetensors"}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):  # none, or of another form
        return False
    names = {"config.json", "tokenizer.json", *weights}
    return all(isinstance(name, str) and (folder / name).is_file() for name in names)


def downloaded(model: HubModel) -> Path | None:
    """Where a model lies on this machine, whole; nothing is asked of the hub. None where the cache cannot be read."""
    from huggingface_hub import constants, scan_cache_dir

    if not Path(constants.HF_HUB_CACHE).is_dir():
        return None
    try:
        repos = scan_cache_dir().repos
    except OSError:  # of any model in it, which may be another user's, or be removed meanwhile
        return None
    found = [repo for repo in repos if repo.repo_type == "model" and repo.repo_id == model.hub_id]
    versions = [version for repo in found for version in repo.revisions]
    named = {model.revision} if model.revision else {"main"}
    fitting = [version for version in versions if named & {version.commit_hash, *version.refs}]
    fitting += [] if model.revision else sorted(versions, key=lambda version: -version.last_modified)
    return next((version.snapshot_path for version in fitting if is_whole(version.snapshot_path)), None)


def download(model: HubModel, follow: Follow | None = None, stop: Flag | None = None) -> Path:
    """The folder of a model, with what of it is missing here fetched first; `follow` hears how far that is.

    Raises UserError for a model that is not there, not given or none that can be run, and where connection or disk do
    not suffice, and Stopped once `stop` is set. Of large files what came is kept, and the next download goes on from
    there.
    """
    return _brought(model, follow, stop)[0]


def _brought(model: HubModel, follow: Follow | None, stop: Flag | None) -> tuple[Path, _Found]:
    """The same, with what the hub said of the files."""
    from huggingface_hub import snapshot_download

    with telling_of_disk(model.hub_id), _telling_of_hub(model):
        found = _files(model)
        # the weights come last, as by them a model is told to be here, and what cannot be run is told before them
        rest = snapshot_download(model.hub_id, revision=model.revision, allow_patterns=FILES, ignore_patterns=WEIGHTS)
        if found.commit:
            check_config(Path(rest), model.hub_id)
        _fetch_large(model, found, follow or (lambda _: None), stop or Flag())
        # the hub may have a newer commit by now, and its library would bring all of that
        folder = Path(snapshot_download(model.hub_id, revision=found.commit or model.revision, allow_patterns=FILES))
        if not (all((folder / name).is_file() for name in found.files) if found.files else is_whole(folder)):
            # without a connection the hub's library gives what it has, and be that a config alone
            raise FileNotFoundError(f"not all of {model.hub_id} is here")
        return folder, found


@contextmanager
def _telling_of_hub(model: HubModel) -> Iterator[None]:
    """What the hub refuses, a connection that fails, and what is no hub, as a sentence."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except RevisionNotFoundError as error:
        raise UserError(f'"{model.hub_id}" has no revision "{model.revision}": check it.') from error
    except GatedRepoError as error:
        raise UserError(GATED.format(name=model.hub_id)) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(f'The hub has no model "{model.hub_id}", or it is not public: check the name.') from error
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise
        if isinstance(error, OSError) and error.errno in SHUT:
            raise UserError(
                f'"{model.hub_id}" could not be kept in the folder for models ({error.strerror}): mend its '
                "rights, or set HF_HOME to another one."
            ) from error
        if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
            raise UserError(GATED.format(name=model.hub_id)) from error
        raise UserError(
            f'"{model.hub_id}" is not on this machine and could not be downloaded: check the connection and the '
            "free disk space, or use --model demo."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:  # its library checks little
        raise UserError(NO_HUB.format(name=model.hub_id)) from error


def _fetch_large(model: HubModel, found: _Found, follow: Follow, stop: Flag) -> None:
    """Bring the large files into the hub's cache, where its library finds them: its own would begin each anew.

    Without symbolic links, as on Windows, that is the folder of the commit: of what lies elsewhere it makes a copy.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
    from huggingface_hub.utils._headers import build_hf_headers

    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model.hub_id, repo_type="model")
    blobs, folder = cache / "blobs", cache / "snapshots" / (found.commit or "")
    large = [
        RemoteFile(name, hf_hub_url(model.hub_id, name, revision=found.commit), build_hf_headers(), size, sha256)
        for name, (size, sha256) in found.files.items()
        if sha256 is not None
    ]
    total = sum(size for size, _ in found.files.values())
    missing = [file for file in large if not ((blobs / file.sha256).exists() or (folder / file.name).exists())]
    links = not missing or are_symlinks_supported(constants.HF_HUB_CACHE)  # writes there to find out
    places = {file.name: blobs / file.sha256 if links else folder / file.name for file in missing}
    here = [file.part(places[file.name]) for file in missing]
    _check_disk(sum(file.size for file in missing) - sum(part.stat().st_size for part in here if part.exists()))
    done = sum(file.size for file in large) - sum(file.size for file in missing)
    for file in missing:
        fetch(file, places[file.name], lambda came, before=done: follow(Fetched(before + came, total)), stop)  # type: ignore[misc]
        done += file.size
    if stop.is_set():
        raise Stopped


def pull(model: HubModel, tell: Callable[[str], None], follow: Follow | None = None) -> Path:
    """Download a model and check every file of weights against what the hub says of it.

    `tell` hears what is done, `follow` how far the download is. Raises UserError as `download`, where the hub cannot
    be asked, and for a file that is not what it should be; that one is removed, so that the next pull fetches it anew.
    """
    folder, found = _brought(model, follow, None)
    if not found.files:
        raise UserError(
            f'"{model.hub_id}" is here, but the hub cannot be asked what its files should be, so none was checked: '
            "check the connection, and pull it again."
        )
    for name, (size, sha256) in found.files.items():
        tell(f"Checking {name}")
        file = folder / name
        if file.stat().st_size != size or (sha256 is not None and sha256_of(file) != sha256):
            file.resolve().unlink()
            file.unlink(missing_ok=True)
            raise UserError(f'{name} of "{model.hub_id}" arrived damaged, and was removed: pull it again.')
    return folder


def _files(model: HubModel) -> _Found:
    """What is taken of a model; nothing where the hub is not to be reached. Raises whatever what is no hub leads to."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().model_info(model.hub_id, revision=model.revision, files_metadata=True)
        taken = [file for file in info.siblings or [] if any(fnmatch(file.rfilename, pattern) for pattern in FILES)]
        files = {file.rfilename: (file.size or 0, file.lfs.sha256 if file.lfs else None) for file in taken}
        return _Found(info.sha, files)
    except (HfHubHTTPError, HTTPError, HFValidationError, OfflineModeIsEnabled, OSError):
        return _Found()  # the download tells why


def _check_disk(num_bytes: int) -> None:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    while not cache.is_dir():
        cache = cache.parent
    free = shutil.disk_usage(cache).free
    if num_bytes > free:
        raise UserError(
            f"The download takes {num_bytes / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left: make room, or set "
            "HF_HOME to a larger disk."
        )
