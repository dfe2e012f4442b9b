"""The tools for programs, as endpoints of the page's server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import wraps

import gradio as gr

from pipelines.host.asgi import Application, Receive, Scope, Send, route_of
from pipelines.host.gate import Refusal
from pipelines.host.turns import ENDING
from pipelines.page.components import MAX_ASKING
from pipelines.page.host import Host, uploads
from pipelines.present import status
from pipelines.present.told import Told, told_so_far
from pipelines.programs.endpoints import Endpoint, Endpoints, signature_of
from pipelines.programs.stream import WAITED
from pipelines.programs.tools import Tools
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
CALL = re.compile(r"(/gradio_api)?/call/(v2/)?(?P<tool>[^/]*)/?")


class Named:
    """Lets calls through to the tools that there are, and refuses others."""

    def __init__(self, app: Application, tools: Sequence[str]) -> None:
        self._app, self._tools = app, tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises Refusal for a call of a tool that is not there."""
        if scope["type"] == "http" and scope["method"] == "POST":
            match = CALL.fullmatch(route_of(scope))
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
    signature = signature_of(endpoint)

    @wraps(endpoint)
    def told(*values: object) -> Iterator[object]:
        try:
            with host.turns.place(host.visitor()) as turn:
                for _ in host.turns.wait(turn):
                    yield told_so_far(host.model.load().info, "", "") if signature.return_annotation is Told else []
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

    vars(told)["__signature__"] = signature
    return told
