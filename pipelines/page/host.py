"""What all handlers share: the models, whose turn it is, what is kept, and who asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gradio import utils
from gradio.context import LocalContext

from pipelines.archive import Archive
from pipelines.conversation import Draft
from pipelines.host import Audience, Policy, Turns, Visitor
from pipelines.host.asgi import address_of
from pipelines.serving.model import Model
from pipelines.serving.rivals import Rivals
from pipelines.serving.session import Session
from pipelines.serving.swapping import Machine

Item = TypeVar("Item")


def uploads() -> Path:
    """Where uploads lie."""
    return Path(utils.get_upload_folder())


@dataclass(frozen=True)
class Host:
    """What one server has, for all of its visitors."""

    model: Model
    turns: Turns
    archive: Archive
    rivals: Rivals
    machine: Machine = field(default_factory=Machine)
    audience: Audience = field(default_factory=Audience)

    @classmethod
    def of(cls, model: Model, archive: Archive | None = None, machine: Machine | None = None) -> Host:
        """A host for a model, with its limits; conversations are kept in the archive where it is on."""
        turns = Turns(model.policy.max_per_address)
        return cls(model, turns, archive or Archive(), Rivals(model), machine or Machine())

    def policy(self) -> Policy:
        """The limits, which are known once it starts."""
        return self.model.policy

    def visitor(self) -> Visitor:
        """Who sent the request that is being handled."""
        request = LocalContext.request.get(None)
        scope = request.request.scope if request is not None and request.request is not None else {"headers": []}
        return Visitor(str(getattr(request, "session_hash", "")), address_of(scope, self.model.policy.trusts_proxy))

    def listened(self, updates: Iterator[Item]) -> Iterator[Item]:
        """The updates, for as long as whoever sent the request that is being handled listens."""
        return self.audience.heard(updates, *self._listeners())

    def lost(self) -> Callable[[], bool]:
        """What tells whether whoever sent the request that is being handled listens no more."""
        return self.audience.lost(*self._listeners())

    def leave(self, session: Session) -> None:
        """What happens when a visitor has left a conversation."""
        session.close()
        self.model.forget(session.name)

    def leave_for_another(self, session: Session, typed: Draft) -> Draft | None:
        """Leave a conversation for another one: what then goes into the composer, None where that stays as it is."""
        left = session.leave(typed, is_kept=self.archive.is_on)
        self.model.forget(session.name)
        return left

    def _listeners(self) -> tuple[str, str]:
        return self.visitor().session, str(LocalContext.event_id.get(""))
