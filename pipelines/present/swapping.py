"""Changing the model from the page: which ones are offered, and how far the one that was chosen is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from pipelines.catalogue.choosing import TOKENS, VISITORS, IsHere, here
from pipelines.catalogue.device import Device, this_device
from pipelines.catalogue.forecast import forecast_label
from pipelines.catalogue.known import DEMO, KNOWN
from pipelines.present.loading import Load
from pipelines.present.model import Model
from pipelines.present.status import SERVER_FAULT, failed, line
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)


class Swapping:
    """The model of a page, changed for all its visitors, by one of them at a time."""

    def __init__(self, model: Model, device: Callable[[], Device] = this_device, is_here: IsHere = here) -> None:
        self._model, self._device, self._is_here = model, device, is_here
        self._cancel = threading.Event()
        self._running = threading.Lock()

    def offered(self) -> list[str]:
        """The present model, then those on this machine that fit beside it; none where it may not be changed."""
        if not self._model.may_change:
            return []
        device = self._device()
        fitting = [known.name for known in KNOWN if device.fitting(known.shape, TOKENS, VISITORS) == device.form]
        found = [known.name for known in KNOWN if known.name in fitting and self._is_here(known) is not None]
        present = self._model.load().info.model
        return [present, *(name for name in (DEMO, *found) if name != present)]

    def labels(self) -> list[tuple[str, str]]:
        """The same with what each takes and gives, but for the one that answers already, which is first."""
        device, shapes = self._device(), {known.name: known.shape for known in KNOWN}
        labels = []
        for place, name in enumerate(self.offered()):
            told = forecast_label(shapes[name], device.form) if place and name in shapes else ""
            labels.append((f"{name} · {told}" if told else name, name))
        return labels

    def swap(self, name: str | None, load: Load | None = None) -> Iterator[str]:
        """The status line as another model is loaded and takes over; what goes wrong is told there."""
        if not self._running.acquire(blocking=False):
            yield failed("Another model is on its way: wait for it, or cancel it.")
            return
        try:
            yield from self._steps(name, load)
        except UserError as error:
            yield failed(str(error))
        except Exception:
            LOGGER.exception("a model could not be loaded")
            yield failed(SERVER_FAULT)
        finally:
            self._running.release()

    def cancel(self) -> None:
        """Leave the model as it is."""
        self._cancel.set()

    def _steps(self, name: str | None, load: Load | None) -> Iterator[str]:
        present = self._model.load().info.model
        if name == present:
            yield line(f"{present} answers already.")
            return
        if name is None or name not in self.offered():
            raise UserError("This model is not offered here: choose one of the list.")
        self._cancel.clear()
        for waited in self._model.swap(name, self._cancel, *([load] if load else [])):
            yield line(f"Loading {name}", waited.told, "busy")
        told = f"{present} stays." if self._cancel.is_set() else f"{name} answers from now on."
        yield line(told)
