"""The framework's doors, shut: what Gradio lets in, gives away and leaves behind, where that can only do harm here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio import exceptions, processing_utils, queueing, route_utils, routes, utils
from gradio.data_classes import PredictBody
from gradio.route_utils import GradioMultiPartParser
from gradio.state_holder import StateHolder
from gradio_client import utils as client_utils
from pydantic import field_validator
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from pipelines.host.gate import Refusal, Unshared
from pipelines.present.composer import NOT_UPLOADED

MAX_NAME_CHARACTERS = 128
"""Of a session, which a page draws with eleven, and of a visitor who gives a password."""
MAX_SHOWN = 80
"""Characters of a name that whoever wrote a program made up."""


def shut_doors() -> None:
    """Have Gradio use what stands here in the place of its own, in this process; again it changes nothing."""
    vars(routes)["PredictBody"] = Called
    vars(route_utils)["GradioMultiPartParser"] = Tidy
    queueing.Queue.send_message = tell_if_heard
    processing_utils._check_allowed = refuse_path
    utils.is_static_file = is_static
    processing_utils.async_ssrf_protected_download = refuse_url
    StateHolder.delete_all_expired_state = keep_all
    client_utils.construct_args = arrange_or_tell
    gr.Blocks.validate_inputs = count_or_tell
    vars(routes)["CustomCORSMiddleware"] = Unshared  # a host in the network would let every other site read


async def refuse_url(url: str, *_: object, **__: object) -> str:
    """Stand in for Gradio's download of whatever URL a client names as its file."""
    raise gr.Error(f"{url[:MAX_SHOWN]} cannot be read: add the picture or the clip itself.", print_exception=False)


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


def keep_all(_holder: StateHolder) -> None:
    """Stand in for Gradio's end of what a page holds, told by when it was begun and not by when it was used last.

    After a day, or an hour where the line had broken once, an open page lost its conversation in the midst of it.
    `pipelines.page.sessions` clears away what nobody comes back to.
    """


find_static = utils.is_static_file


def is_static(value: Any) -> bool:
    """Stand in for Gradio's look whether a file is one of its own, which a name that is too long for one breaks."""
    try:
        return bool(find_static(value))
    except OSError:
        return False


arrange = client_utils.construct_args


def arrange_or_tell(parameters: Sequence[Mapping[str, Any]], args: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
    """Stand in for Gradio's bringing of named values into their order, and say which name is wrong or missing."""
    try:
        return list(arrange(parameters, args, named))
    except TypeError as error:
        names = [str(one["parameter_name"]) for one in parameters]
        takes = f"this tool takes {', '.join(names) or 'nothing'}."
        if unknown := [name for name in named if name not in names]:
            raise HTTPException(400, f'There is no setting "{unknown[0][:MAX_SHOWN]}": {takes}') from error
        needed = (str(one["parameter_name"]) for one in parameters if not one["parameter_has_default"])
        missing = next(name for name in needed if name not in named)
        raise HTTPException(400, f'The value of "{missing}" is missing: {takes}') from error


count = gr.Blocks.validate_inputs


def count_or_tell(page: gr.Blocks, function: Any, values: list[Any]) -> None:
    """Stand in for Gradio's count of values that come without their names, whose error nobody was told."""
    try:
        count(page, function, values)
    except ValueError as error:
        sentence = (
            f"There are {len(values)} values where {len(function.inputs)} belong: send all of them, in their order, or "
            "by their names to /call/v2."
        )
        raise gr.Error(sentence, print_exception=False) from error


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
