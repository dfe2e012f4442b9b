"""The models by name: the shipped one, the four sizes of Qwen3.5, any hub id, any folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipelines.catalogue.choosing import AUTO, choose
from pipelines.catalogue.download import at_hub, download
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, HUB_IDS
from pipelines.engine import Engine
from pipelines.types import EngineName, UserError, WeightFormat

__all__ = ["DEMO", "DEMO_FOLDER", "HUB_IDS", "find_checkpoint", "load_engine"]


def load_engine(
    name: str,
    engine: EngineName = "local",
    weights: WeightFormat = "full",
    is_warm: bool = False,
    base_url: str | None = None,
    timeout_s: float | None = None,
) -> Engine:
    """The engine for a model's name, on the server at `base_url` where one is given.

    `is_warm` has done beforehand what its first requests would wait for. Raises UserError for an unknown name, a
    checkpoint or a server that cannot be had, or weights that the device has not.
    """
    if engine == "openai" or base_url:
        return _connect(name, base_url or os.environ.get("OPENAI_BASE_URL"), timeout_s)
    if name == AUTO:
        from pipelines.catalogue.device import this_device

        name, fitting = choose(this_device())
        weights = fitting if weights == "full" else weights
    folder = find_checkpoint(name)
    for chatty in ("torchao", "torch.utils._pytree"):  # what the first tells of kernels for other GPUs is no use here
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # slow to import: a wrong name should be told at once
    from pipelines.engine.local import LocalEngine
    from pipelines.engine.reference import ReferenceEngine

    # a path is the server's own matter: people are told the folder's name
    told = folder.resolve().name if Path(name).expanduser().is_dir() else name
    loaded = (ReferenceEngine if engine == "reference" else LocalEngine).load(folder, told, weights=weights)
    if is_warm:
        loaded.warm_up()
    return loaded


def _connect(name: str, base_url: str | None, timeout_s: float | None) -> Engine:
    if not base_url:
        raise UserError("Which server is to answer? Give its address, such as --base-url http://127.0.0.1:8000/v1.")
    from pipelines.engine.remote.engine import TIMEOUT_S, RemoteEngine

    return RemoteEngine.connect(base_url, None if name == DEMO else name, timeout_s or TIMEOUT_S)


def find_checkpoint(name: str) -> Path:
    """The folder of a model, downloaded first where it comes from the hub and is not here yet."""
    if name == DEMO:
        return DEMO_FOLDER
    if (folder := Path(name).expanduser()).is_dir():
        return folder
    return download(at_hub(name))
