"""What all handlers share: the models, whose turn it is, what is kept, and who asks. The framework's doors are shut.

Importing this module changes how Gradio takes files by URL, answers other sites, and tells sessions that are gone: all
of that only ever harms here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from fastapi import HTTPException
from gradio import exceptions, processing_utils, queueing, route_utils, routes, utils
from gradio.context import LocalContext
from gradio.data_classes import PredictBody
from gradio.route_utils import GradioMultiPartParser
from pydantic import field_validator
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from pipelines.archive import Archive
from pipelines.conversation import Draft
from pipelines.host import Audience, Policy, Turns, Visitor
from pipelines.host.gate import Refusal, Unshared, address_of
from pipelines.present.composer import NOT_UPLOADED
from pipelines.serving.model import Model
from pipelines.serving.rivals import Rivals
from pipelines.serving.session import Session
from pipelines.serving.swapping import Machine

Item = TypeVar("Item")
MAX_NAME_CHARACTERS = 128
"""Of a session; those that a page draws have eleven."""


async def refuse_url(url: str, *_: object, **__: object) -> str:
    """Stand in for Gradio's download of whatever URL a client names as its file."""
    raise gr.Error(f"{url[:80]} cannot be read: add the picture or the clip itself.", print_exception=False)


tell_listener = queueing.Queue.send_message


def tell_if_heard(queue: queueing.Queue, event: queueing.Event, message: queueing.EventMessage) -> None:
    """Stand in for Gradio's telling of how an event goes, which raises where its session is not known any more.

    That ended the loop of the queue: one event of a session without a name, and nobody was answered from then on.
    """
    if event.session_hash in queue.pending_messages_per_session:
        tell_listener(queue, event, message)


check_path = processing_utils._check_allowed


def refuse_path(path: str | Path, check_in_upload_folder: bool) -> None:
    """Stand in for Gradio's look at a path, whose refusal says nothing to whoever named a file of their own machine."""
    try:
        check_path(path, check_in_upload_folder)
        Path(path).exists()  # raises where no file can have such a name
    except exceptions.InvalidPathError as error:
        if not check_in_upload_folder:
            raise
        raise gr.Error(NOT_UPLOADED, print_exception=False) from error
    except (OSError, ValueError) as error:  # no path at all, by its length or its characters
        raise gr.Error(NOT_UPLOADED, print_exception=False) from error


find_static = utils.is_static_file


def is_static(value: Any) -> bool:
    """Stand in for Gradio's look whether a file is one of its own, which a name that is too long for one breaks."""
    try:
        return bool(find_static(value))
    except OSError:
        return False


class Called(PredictBody):  # type: ignore[misc]
    """Stands in for Gradio's body of a request, which takes megabytes for the name of a session, and remembers them."""

    @field_validator("session_hash")
    @classmethod
    def check_name(cls, name: str | None) -> str | None:
        """Refuse a long name, whichever way the request came."""
        if len(name or "") > MAX_NAME_CHARACTERS:
            raise HTTPException(400, f"A session's name has at most {MAX_NAME_CHARACTERS} characters: draw another.")
        return name


class Tidy(GradioMultiPartParser):  # type: ignore[misc]
    """Stands in for Gradio's reader of uploads, which leaves what it has of one that is cancelled or breaks off.

    It lay there for as long as an upload does, and counted as one: so a few filled the room of all.
    """

    async def parse(self) -> FormData:
        """Write the uploads of a request into files; none where it does not come to its end."""
        try:
            form: FormData = await super().parse()
            return form
        except BaseException as error:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # a full disk does not take its last bytes
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            if isinstance(error, ClientDisconnect):  # a traceback in the log would be of what nobody can mend
                raise Refusal(400, "The upload broke off: send it again.") from error
            raise


vars(routes)["PredictBody"] = Called
vars(route_utils)["GradioMultiPartParser"] = Tidy
queueing.Queue.send_message = tell_if_heard
processing_utils._check_allowed = refuse_path
utils.is_static_file = is_static
processing_utils.async_ssrf_protected_download = refuse_url
vars(routes)["CustomCORSMiddleware"] = Unshared  # a host in the network would let every other site read


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
