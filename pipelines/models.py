"""The models by name: the shipped one, the four sizes of Qwen3.5, any hub id, any folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.catalogue.choosing import AUTO, choose
from pipelines.catalogue.download import HubModel, at_hub, download, downloaded
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, HUB_IDS, model_in
from pipelines.catalogue.shape import Format
from pipelines.disk import expanded
from pipelines.engine import Engine
from pipelines.types import EngineName, UserError, WeightFormat

__all__ = ["DEMO", "DEMO_FOLDER", "HUB_IDS", "Running", "find_checkpoint", "load_engine"]


def _silently(sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Running:
    """What runs a model, and how.

    `is_warm` has done beforehand what its first requests would wait for. The server at `base_url` may be silent for
    `timeout_s`; None takes what is usual. `replicas` engines run side by side, one on each GPU.
    """

    engine: EngineName = "local"
    weights: WeightFormat = "full"
    is_warm: bool = False
    base_url: str | None = None
    timeout_s: float | None = None
    replicas: int = 1

    @property
    def is_remote(self) -> bool:
        """Whether a server runs it; an empty address was meant to be one."""
        return self.engine == "openai" or self.base_url is not None


def load_engine(name: str, running: Running | None = None, tell: Callable[[str], None] = _silently) -> Engine:
    """The engine for a model's name. `tell` is told what a single one will take and give, before it is loaded.

    Raises UserError for an unknown name, a checkpoint or a server that cannot be had, or what the device has not.
    """
    running = running or Running()
    if running.engine == "reference" and running.is_remote:
        raise UserError("The reference runs here and asks no server: leave out --base-url, or --engine reference.")
    if running.is_remote:
        return _connect(name, running.base_url or os.environ.get("OPENAI_BASE_URL"), running.timeout_s)
    if name == AUTO:
        from pipelines.catalogue.device import this_device

        name, fitting = choose(this_device())
        running = replace(running, weights=fitting) if running.weights == "full" else running
    folder = find_checkpoint(name)
    for chatty in ("torchao", "torch.utils._pytree"):  # what the first tells of kernels for other GPUs is no use here
        logging.getLogger(chatty).setLevel(logging.ERROR)
    told = shown_name(name)
    if running.replicas > 1:
        from pipelines.engine.replicas import Replicas

        _check_replicas(running.replicas)
        return Replicas([_load(folder, told, running, index) for index in range(running.replicas)])
    _foretell(folder, told, running, tell)
    return _load(folder, told, running)


def shown_name(name: str) -> str:
    """What people are told a model's name is: one that is known has the same however it was spelled.

    A path is the server's own matter: the folder's name is told.
    """
    if name == DEMO:
        return DEMO
    if (folder := expanded(name)).is_dir():
        return folder.resolve().name
    return next((known for known, hub_id in HUB_IDS.items() if at_hub(name) == HubModel(hub_id)), name)


def _foretell(folder: Path, told: str, running: Running, tell: Callable[[str], None]) -> None:
    """Tell what a model will take and give, where its config can be read; if not, the loading says so."""
    import torch

    from pipelines.catalogue.device import this_device
    from pipelines.catalogue.forecast import forecast
    from pipelines.engine.placement import choose_placement

    dtype = choose_placement(folder, running.weights).dtype
    is_whole = running.weights == "full"
    form: Format = "fp32" if is_whole and dtype == torch.float32 else "bf16" if is_whole else "int8"
    called = "fp16" if is_whole and dtype == torch.float16 else form if is_whole else running.weights
    with suppress(UserError):
        if sentence := forecast(told, this_device().held(model_in(folder, told).shape), form, called):
            tell(sentence)


def _load(folder: Path, told: str, running: Running, index: int = 0) -> Engine:
    """One engine, on the GPU of that index where there are several.

    What does not fit one GPU is spread over all of them, and then transformers' own loop runs it: the program's own
    keeps to one device.
    """
    # slow to import: a wrong name should be told at once
    from pipelines.engine.local import LocalEngine
    from pipelines.engine.placement import choose_placement, must_spread
    from pipelines.engine.reference import ReferenceEngine

    is_spread = running.replicas == 1 and must_spread(folder, running.weights)
    placement = choose_placement(folder, running.weights, index, is_spread=is_spread)
    kind = ReferenceEngine if running.engine == "reference" or is_spread else LocalEngine
    loaded = kind.load(folder, told, placement, running.weights)
    if running.is_warm:
        loaded.warm_up()
    return loaded


def _check_replicas(count: int) -> None:
    import torch

    if (num_gpus := torch.cuda.device_count()) < count:
        raise UserError(
            f"{count} replicas need {count} GPUs, and this machine has {num_gpus}: ask for fewer with --replicas."
        )


def _connect(name: str, base_url: str | None, timeout_s: float | None) -> Engine:
    if not base_url:
        raise UserError("Which server is to answer? Give its address, such as --base-url http://127.0.0.1:8000/v1.")
    from pipelines.engine.remote.engine import TIMEOUT_S, RemoteEngine

    wait_s = TIMEOUT_S if timeout_s is None else timeout_s
    return RemoteEngine.connect(base_url, None if name == DEMO else name, wait_s, usual=DEMO)


def find_checkpoint(name: str) -> Path:
    """The folder of a model, downloaded first where it comes from the hub and is not here yet.

    What is here is taken as it is, and the hub is not asked: a newer one would be a download that nobody asked for.
    """
    if name == DEMO:
        return DEMO_FOLDER
    if (folder := expanded(name)).is_dir():
        return folder
    model = at_hub(name)
    return downloaded(model) or download(model)
