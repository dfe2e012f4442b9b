"""Checkpoints from the hub: what is here already, and what has to come.

A connection that breaks is taken up where it was, and files that came whole are not fetched again. Only safetensors and
plain text are taken. A revision may be given behind an "@": a tag, a branch or a commit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from pipelines.catalogue.known import DEMO, HUB_IDS
from pipelines.types import UserError

FILES = ["*.json", "*.jinja", "*.safetensors"]
"""What is taken from the hub: no code, no weights in a form that can hold code."""
INDEX = "model.safetensors.index.json"
READ_BYTES = 2**22
Tell = Callable[[str], None]


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
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / name).is_file() for name in {"config.json", "tokenizer.json", *weights})


def downloaded(model: HubModel) -> Path | None:
    """Where a model lies on this machine, whole; nothing is asked of the hub."""
    from huggingface_hub import constants, scan_cache_dir

    if not Path(constants.HF_HUB_CACHE).is_dir():
        return None
    found = [repo for repo in scan_cache_dir().repos if repo.repo_type == "model" and repo.repo_id == model.hub_id]
    versions = [version for repo in found for version in repo.revisions]
    named = {model.revision} if model.revision else {"main"}
    fitting = [version for version in versions if named & {version.commit_hash, *version.refs}]
    fitting += [] if model.revision else sorted(versions, key=lambda version: -version.last_modified)
    return next((version.snapshot_path for version in fitting if is_whole(version.snapshot_path)), None)


def download(model: HubModel) -> Path:
    """The folder of a model, with what of it is missing here fetched first.

    Raises UserError for a model that is not there and where connection or disk do not suffice.
    """
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(model.hub_id, revision=model.revision, allow_patterns=FILES))
    except RevisionNotFoundError as error:
        raise UserError(f'"{model.hub_id}" has no revision "{model.revision}": check it.') from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(f'The hub has no model "{model.hub_id}", or it is not public: check the name.') from error
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, OSError) as error:
        raise UserError(
            f'"{model.hub_id}" is not on this machine and could not be downloaded: check the connection and the free '
            "disk space, or use --model demo."
        ) from error


def pull(model: HubModel, tell: Tell) -> Path:
    """Download a model and check every file of weights against what the hub says of it.

    Raises UserError as `download`, where the disk has no room, and for a file that is not what it should be; that one
    is removed, so that the next pull fetches it anew.
    """
    sizes = _files(model)
    missing = sum(size for size, _ in sizes.values()) if downloaded(model) is None else 0
    _check_disk(missing)
    folder = download(model)
    for name, (size, sha256) in sizes.items():
        tell(f"Checking {name}")
        file = folder / name
        if file.stat().st_size != size or (sha256 is not None and _sha256(file) != sha256):
            file.resolve().unlink()
            file.unlink(missing_ok=True)
            raise UserError(f'{name} of "{model.hub_id}" arrived damaged, and was removed: pull it again.')
    return folder


def _files(model: HubModel) -> dict[str, tuple[int, str | None]]:
    """Bytes and SHA-256 (of large files) of what is taken of a model; nothing where the hub is not to be reached."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().model_info(model.hub_id, revision=model.revision, files_metadata=True)
    except (HfHubHTTPError, HTTPError, HFValidationError, OfflineModeIsEnabled, OSError):
        return {}  # the download tells why
    taken = [file for file in info.siblings or [] if any(fnmatch(file.rfilename, pattern) for pattern in FILES)]
    return {file.rfilename: (file.size or 0, file.lfs.sha256 if file.lfs else None) for file in taken}


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


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while piece := data.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
