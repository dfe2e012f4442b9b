"""What a server refused or failed at, as one sentence for a person: what is wrong, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx2
import openai

from pipelines.engine.remote.server import Server
from pipelines.types import ServerFailedError, UserError

MAX_QUOTED = 200
BLIND = re.compile(
    r"not a multimodal model|image input is not supported|mmproj|at most 0 (?:image|video)|does not support (?:ima|vis)"
    r"|(?:unsupported|unknown|invalid|unexpected)[^.]*(?:image_url|content part|content type)"
    r"|unknown variant [`'\"]image|input should be 'text'|no (?:endpoints|models?)[^.]*support image|text.only",
    re.IGNORECASE,
)
"""How vLLM, llama.cpp, SGLang, DeepSeek and routers say that a model takes no pictures."""
TOO_LONG = re.compile(
    r"context (?:length|size|window)|maximum.{0,20}length|too many tokens|longer than the model", re.I
)
OF_THE_QUESTION = (400, 413, 422)
"""What a server answers with where it would take another question."""
ENDED_EARLY = "The server at {host} ended the reply in the middle: see whether it still runs, and ask again."
SILENT = "The server at {host} was silent for {seconds:g} s: it has too much to do, or --timeout is too short."
BLIND_MODEL = '"{model}" at {host} takes text only: ask without pictures and clips, or choose a model that sees.'


def refused(
    error: Exception, server: Server, *, has_media: bool, timeout_s: float, has_begun: bool = False
) -> UserError:
    """The sentence for what the client raised, before the reply had begun or in its middle."""
    host, model, said = server.host, server.model, message_of(error)
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return ServerFailedError(SILENT.format(host=host, seconds=timeout_s))
    if isinstance(error, openai.APIConnectionError | httpx2.ConnectError) and not has_begun:
        return ServerFailedError(f"No server answers at {host}: start it, or put --base-url right.")
    if not isinstance(error, openai.APIStatusError):
        quoted = f" It says: {quote(said)}" if isinstance(error, openai.APIError) and said else ""
        return ServerFailedError(ENDED_EARLY.format(host=host) + quoted)
    if has_media and is_blind(error):
        return UserError(BLIND_MODEL.format(model=model, host=host))
    if TOO_LONG.search(said):
        return UserError(
            f"The question and its media are longer than {host} takes: ask with fewer frames or smaller pictures, or "
            f"in a new chat. It says: {quote(said)}"
        )
    kind = UserError if error.status_code in OF_THE_QUESTION else ServerFailedError
    return kind(_by_status(error.status_code, host, model) + (f" It says: {quote(said)}" if said else ""))


def _by_status(status: int, host: str, model: str) -> str:
    """The sentence for a status of HTTP."""
    known = {
        401: f"The server at {host} wants a key: set OPENAI_API_KEY to yours.",
        402: f"The account at {host} has no credit left: top it up, or ask another server.",
        403: f"The key does not open {model} at {host}: check what it is for.",
        404: f'The server at {host} has no "{model}", or --base-url is not its address: it often ends in /v1.',
        413: f"The pictures are more than {host} takes at once: ask with fewer frames or less detail.",
        429: f"The server at {host} takes no more questions now, or the quota is used up: ask again in a while.",
        503: f"The server at {host} is not ready or has too much to do: ask again in a while.",
    }
    failed = f"The server at {host} failed ({status}): ask again, or look into its log."
    return known.get(status, failed if status >= 500 else f"The server at {host} refused the question ({status}).")


def is_blind(error: Exception) -> bool:
    """Whether the server says that its model takes no pictures."""
    return isinstance(error, openai.APIStatusError) and bool(BLIND.search(message_of(error)))


def message_of(error: Exception) -> str:
    """The server's own words, in the forms in which servers send them; empty where it sent none."""
    body: object = getattr(error, "body", None)
    if isinstance(body, Mapping):
        body = next((body[key] for key in ("message", "detail", "error", "msg") if body.get(key)), None)
    if isinstance(body, list):  # of FastAPI, one for each field that is wrong
        body = "; ".join(str(item.get("msg", item)) if isinstance(item, Mapping) else str(item) for item in body)
    return body.strip() if isinstance(body, str) else ""


def quote(said: str) -> str:
    """A server's words on one line, cut where they go on for long. They end the sentence."""
    line = " ".join(said.split())
    return f'"{line if len(line) <= MAX_QUOTED else line[:MAX_QUOTED].rstrip() + " …"}".'
