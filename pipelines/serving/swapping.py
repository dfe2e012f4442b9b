"""Changing the model from the page: what is offered, downloading it, loading it, and how far that is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.choosing import IsHere, here
from pipelines.catalogue.device import Device, memory_in_use, this_device
from pipelines.catalogue.download import Fetched, Follow, HubModel, download
from pipelines.catalogue.known import KNOWN
from pipelines.catalogue.transfer import Stopped
from pipelines.models import load_engine
from pipelines.present.offers import Offer, offers
from pipelines.present.status import SERVER_FAULT, failed, line
from pipelines.serving.loading import Load, Work
from pipelines.serving.model import Model
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
Bring = Callable[[HubModel, Follow, threading.Event], Path]


@dataclass(frozen=True)
class Machine:
    """What a page can do about models on the machine that it runs on."""

    device: Callable[[], Device] = this_device
    is_here: IsHere = here
    bring: Bring = download
    load: Load = load_engine


class Swapping:
    """The model of a page, changed for all its visitors, by one of them at a time."""

    def __init__(self, model: Model, machine: Machine | None = None) -> None:
        self._model, self._machine = model, machine or Machine()
        self._cancel = threading.Event()
        self._running = threading.Lock()

    def offered(self) -> list[Offer]:
        """The present model first; none where it may not be changed."""
        if not self._model.may_change:
            return []
        return offers(self._model.load().info.model, self._machine.device(), self._machine.is_here)

    def swap(self, name: str | None) -> Iterator[str]:
        """The status line as another model is downloaded, loaded, and takes over; what goes wrong is told there."""
        if not self._running.acquire(blocking=False):
            yield failed("Another model is on its way: wait for it, or cancel it.")
            return
        self._cancel = cancel = threading.Event()  # its own: what was left before may still be about to stop
        try:
            yield from self._steps(name, cancel)
        except UserError as error:
            yield failed(str(error))
        except Exception:
            LOGGER.exception("a model could not be loaded")
            yield failed(SERVER_FAULT)
        finally:
            cancel.set()  # whoever waited may have left
            self._running.release()

    def cancel(self) -> None:
        """Leave the model as it is."""
        self._cancel.set()

    def _steps(self, name: str | None, cancel: threading.Event) -> Iterator[str]:
        found = {offer.name: offer for offer in self.offered()}
        offer = found.get(name or "")
        if offer is None:
            raise UserError("This model is not offered here: choose one of the list.")
        if offer.is_present:
            yield line(f"{name} answers already.")
            return
        if offer.form is None:
            raise UserError(f"{name} does not fit into the memory of this machine: choose a smaller one.")
        if not offer.is_here:
            yield from self._download(offer, cancel)
        if not cancel.is_set():
            yield from self._load(offer, cancel)

    def _download(self, offer: Offer, cancel: threading.Event) -> Iterator[str]:
        """Bring a model; what came of it stays where that is cancelled."""
        came: list[Fetched] = []
        work = Work(lambda: self._machine.bring(HubModel(offer.hub_id), came.append, cancel))
        for spent_s in work.wait(threading.Event()):  # it stops by itself once it is cancelled
            yield line(f"Downloading {offer.name}", _fetched(came, spent_s), "busy")
        try:
            work.result()
        except Stopped:
            far = f" at {came[-1]}" if came else ""
            yield line(
                f"The download of {offer.name} was cancelled{far}: what came is kept, and it goes on from there."
            )

    def _load(self, offer: Offer, cancel: threading.Event) -> Iterator[str]:
        present, before = self._model.load().info.model, memory_in_use()
        for spent_s in self._model.swap(offer.name, cancel, self._machine.load, weights=offer.weights):
            taken = min(max(memory_in_use() - before, 0), offer.weight_bytes)
            far = f" · {taken / 1e9:.1f} of {offer.weight_bytes / 1e9:.1f} GB · {spent_s:.1f} s"
            yield line(f"Loading {offer.name}", far, "busy")
        yield line(f"{present} stays." if cancel.is_set() else f"{offer.name} answers from now on.")


def first_loaded(model: Model) -> Iterator[str]:
    """Load the model where nobody did yet; yields how far that is. Raises UserError where it cannot be had."""
    if model.is_loaded:
        return
    before, shapes, device = memory_in_use(), {known.name: known.shape for known in KNOWN}, this_device()
    total = device.held(shapes[model.name]).weight_bytes(device.form) if model.name in shapes else 0
    work = Work(model.load)
    for spent_s in work.wait(threading.Event()):
        taken = max(memory_in_use() - before, 0)
        far = f" · {min(taken, total) / 1e9:.1f} of {total / 1e9:.1f} GB" if total else ""
        yield f"{far} · {spent_s:.1f} s"
    work.result()


def _fetched(came: list[Fetched], spent_s: float) -> str:
    """How much is there, and how long the rest takes at the speed so far."""
    if not came:
        return ""
    first, last = came[0], came[-1]
    speed = (last.done - first.done) / spent_s if spent_s else 0
    return f" · {last}" + (f" · {_left((last.total - last.done) / speed)} left" if speed else "")


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
