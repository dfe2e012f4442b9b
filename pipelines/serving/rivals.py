"""The models that a page holds against each other: its own, those on this machine, and those that its owner named.

One of them is kept beside the page's own, so that the next question to it waits for nothing. Where two have no room,
another one waits until the last answer of that has ended. What a visitor names is looked for on this machine or asked
for at a server only where nobody but the owner can be that visitor.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

from pipelines.catalogue.choosing import TOKENS, VISITORS, IsHere, here
from pipelines.catalogue.device import Device, this_device
from pipelines.catalogue.download import at_hub, downloaded
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, KNOWN, model_in
from pipelines.compare.places import shown, split
from pipelines.disk import expanded
from pipelines.engine import Engine
from pipelines.engine.memory import free_memory
from pipelines.models import Running, load_engine
from pipelines.serving.loading import TICK_S, Load, Work
from pipelines.serving.model import Model
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)


class Rivals:
    """The models of one page. `named` are those of its owner; `is_open` lets a visitor name any other."""

    def __init__(
        self,
        model: Model,
        device: Callable[[], Device] = this_device,
        is_here: IsHere = here,
        load: Load = load_engine,
    ) -> None:
        self.named: tuple[str, ...] = ()
        self.is_open = False
        self._model, self._device, self._is_here, self._load = model, device, is_here, load
        self._kept: tuple[str, Engine] | None = None
        self._leaving = WeakSet[Engine]()
        self._lock = threading.Lock()
        model.swapped = self._let_go

    @property
    def present(self) -> str:
        """The name of the page's own model."""
        return self._model.load().info.model

    @property
    def may_compare(self) -> bool:
        """Whether there is more than one to choose."""
        return self.is_open or (bool(self.named) and len(self.offered()) > 1)

    def offered(self) -> list[str]:
        """The page's own model first, then the others that are here and those that the owner named."""
        found = [DEMO, *(one.name for one in KNOWN if self._is_here(one) is not None)] if self.is_open else []
        return list(dict.fromkeys([self.present, *found, *map(shown, self.named)]))

    def engine(self, place: str, cancel: threading.Event) -> Generator[str, None, Engine | None]:
        """The engine of a place, loaded where that is still to be done; yields how far it is.

        None once `cancel` is set. Raises UserError for a model that may not be named here or cannot be had.
        """
        if place == self.present:
            self._let_go(place)
            return self._model.load()
        place = next((named for named in self.named if place == shown(named)), place)
        if not self.is_open and place not in self.named:
            raise UserError("This model is not offered here: choose one of the list.")
        while not self._lock.acquire(timeout=TICK_S):  # another visitor's is on its way: two might not fit
            if cancel.is_set():
                return None
            yield ""
        try:
            if self._kept is None or self._kept[0] != place:
                self._drop()
                name, base_url = split(place)
                while self._leaving and not self._has_room(name, base_url):
                    if cancel.wait(TICK_S):
                        return None
                    free_memory()
                    yield ""
                running = self._running(name, base_url)
                loading = Work(lambda: self._load(name, running))
                for spent_s in loading.wait(cancel):
                    yield f" · {loading.share:.0%} · {spent_s:.1f} s"
                if cancel.is_set():
                    return None
                self._kept = place, loading.result()
            return self._kept[1]
        except UserError as error:
            if self.is_open:
                raise
            LOGGER.warning("%s was not to be had for a comparison: %s", shown(place), error)  # its owner's to mend
            raise UserError("This model is not to be had just now: choose another one of the list.") from error
        finally:
            self._lock.release()

    def _let_go(self, place: str) -> None:
        """Keep no second one of a model that the page answers with by now; whoever loads another lets it go too."""
        if self._lock.acquire(blocking=False):
            try:
                if self._kept is not None and self._kept[0] == place:
                    self._drop()
            finally:
                self._lock.release()

    def _drop(self) -> None:
        """Keep none. One of this machine takes its memory until the answers that it writes have ended."""
        if self._kept is not None and split(self._kept[0])[1] is None:
            self._leaving.add(self._kept[1])
        self._kept = None
        free_memory()

    def _has_room(self, name: str, base_url: str | None) -> bool:
        """Whether a model runs as it is, beside all that is loaded now. Raises UserError where it is not here."""
        if base_url is not None:
            return True
        shape, device = model_in(self._folder(name), name).shape, self._device()
        return device.fitting(shape, TOKENS, VISITORS) == device.form

    def _running(self, name: str, base_url: str | None) -> Running:
        """How it is run. Raises UserError for a model here that would be a download, or has no room."""
        if base_url is not None:
            return Running("openai", base_url=base_url)
        folder = self._folder(name)
        shape, device = model_in(folder, name).shape, self._device()
        form = device.fitting(shape, TOKENS, VISITORS)
        if form is None:
            raise UserError(
                f'"{name}" does not fit beside {self.present} on this {device.name}: choose a smaller one, or one on a '
                "server, as NAME@http://HOST:PORT/v1."
            )
        own = self._model.running
        weights = "int8" if form == "int8" and own.weights == "full" else own.weights
        return replace(Running(), weights="full" if shape.experts else weights)

    def _folder(self, name: str) -> Path:
        """Where a model lies on this machine. Raises UserError where it does not."""
        if name == DEMO:
            return DEMO_FOLDER
        if (folder := expanded(name)).is_dir():
            return folder
        known = next((one for one in KNOWN if one.name == name.upper()), None)
        found = self._is_here(known) if known else downloaded(at_hub(name))
        if found is None:
            raise UserError(f'"{name}" is not on this machine: bring it by `python -m pipelines models pull {name}`.')
        return found
