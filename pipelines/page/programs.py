"""The tools for programs, as endpoints of the page's server.

Importing this module changes what Gradio answers to a call that does not fit its tool: it was a fault of the server.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio_client import utils

from pipelines.host.gate import Refusal
from pipelines.host.headers import Application, Receive, Scope, Send
from pipelines.host.turns import ENDING
from pipelines.page.components import MAX_ASKING
from pipelines.page.host import Host, uploads
from pipelines.present import status
from pipelines.programs.endpoints import Endpoint, Endpoints, signature_of
from pipelines.programs.stream import WAITED
from pipelines.programs.tools import Tools
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
CALL = re.compile(r"(/gradio_api)?/call/(v2/)?(?P<tool>[^/]*)/?")
MAX_SHOWN = 80
"""Characters of a name that whoever wrote a program made up."""

arrange = utils.construct_args


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


utils.construct_args = arrange_or_tell
gr.Blocks.validate_inputs = count_or_tell


class Named:
    """Lets calls through to the tools that there are, and refuses others."""

    def __init__(self, app: Application, tools: Sequence[str]) -> None:
        self._app, self._tools = app, tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises Refusal for a call of a tool that is not there."""
        if scope["type"] == "http" and scope["method"] == "POST":
            match = CALL.fullmatch(str(scope["path"]).removeprefix(str(scope.get("root_path", ""))))
            if match and match["tool"] not in self._tools:
                raise Refusal(404, f"There is no such tool: call one of {', '.join(self._tools)}.")
        await self._app(scope, receive, send)


def offer(host: Host) -> None:
    """Open the tools to programs."""
    for endpoint in tools_of(host):
        gr.api(telling(host, endpoint), api_name=endpoint.__name__, concurrency_id="ask", concurrency_limit=MAX_ASKING)


def tools_of(host: Host) -> tuple[Endpoint, ...]:
    """The tools that a host offers."""
    return Endpoints(Tools(host.model), uploads).all()


def telling(host: Host, endpoint: Endpoint) -> Endpoint:
    """The endpoint, with what a program's author can put right told as an error of the page's framework."""

    @wraps(endpoint)
    def told(*values: object) -> Iterator[object]:
        try:
            with host.turns.place(host.visitor()) as turn:
                for _ in host.turns.wait(turn):
                    yield None
                WAITED.set(turn.waited_s)
                for value in host.listened(endpoint(*values)):
                    if host.turns.is_ending:
                        raise UserError(ENDING)
                    yield value
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            LOGGER.exception("a program's request failed")
            raise gr.Error(status.SERVER_FAULT, print_exception=False) from None

    vars(told)["__signature__"] = signature_of(endpoint)
    return told
