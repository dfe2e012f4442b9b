"""The tools for programs, as endpoints of the page's server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import wraps

import gradio as gr

from pipelines.host.turns import ENDING
from pipelines.page.components import MAX_ASKING
from pipelines.page.host import Host, uploads
from pipelines.present import status
from pipelines.programs.endpoints import Endpoint, Endpoints, signature_of
from pipelines.programs.stream import WAITED
from pipelines.programs.tools import Tools
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)


def offer(host: Host) -> None:
    """Open the tools to programs."""
    for endpoint in Endpoints(Tools(host.model), uploads).all():
        gr.api(telling(host, endpoint), api_name=endpoint.__name__, concurrency_id="ask", concurrency_limit=MAX_ASKING)


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
