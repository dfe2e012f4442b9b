"""What a server refused or failed at, as one sentence for a person: what is wrong, and what to do."""

from __future__ import annotations

import html
import json
import re
import ssl

import httpx2
import openai

from pipelines.engine.remote.client import BAD_KEY
from pipelines.engine.remote.fields import items, line, mapping
from pipelines.engine.remote.server import Server
from pipelines.types import ServerFailedError, UserError

MAX_QUOTED = 200
MAX_DEPTH = 5
BLIND = re.compile(
    r"not a multimodal model|image input is not supported|mmproj|at most 0 (?:image|video)|does not support (?:ima|vis)"
    r"|missing data required for image"
    r"|(?:unsupported|unknown|invalid|unexpected)[^.]*(?:image_url|content part|content type)"
    r"|unknown variant [`'\"]image|input should be 'text'|no (?:endpoints|models?)[^.]*support image|text.only",
    re.IGNORECASE,
)
"""How vLLM, llama.cpp, Ollama, SGLang, DeepSeek and routers say that a model takes no pictures."""
TOO_LONG = re.compile(
    r"context (?:length|size|window)|maximum.{0,20}length|too many tokens|longer than the model", re.I
)
PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)
TITLE = re.compile(r"<title[^<>]*>([^<]+)", re.IGNORECASE)
MARKUP = re.compile(r"<(style|script)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)
"""A page for people, as a proxy answers with: its title, and what in it is no text."""
OF_THE_QUESTION = (400, 413, 422)
"""What a server answers with where it would take another question."""
ENDED_EARLY = "The server at {host} ended the reply in the middle: see whether it still runs, and ask again."
SILENT = "The server at {host} was silent for {seconds:g} s: it has too much to do, or --timeout is too short."
BLIND_MODEL = '"{model}" at {host} takes text only: ask without pictures and clips, or choose a model that sees.'
TOO_LONG_FOR = (
    "The question and its media are longer than {host} takes: ask with fewer frames or smaller pictures, or in a new "
    "chat."
)
NO_STREAM = "The server at {host} answered with no stream: put its address right, which often ends in /v1."
WHOLE = "The server at {host} answered all at once: have it stream its replies, or ask another one."
FAILED = "The server at {host} failed: ask again, or look into its log."
NO_REPLY = "The server at {host} sent what is no reply: ask again, or look into its log."
BAD_CERTIFICATE = "The certificate of {host} is not trusted here: set SSL_CERT_FILE to that of who issued it."
NO_TLS = "No secure connection to {host} comes about: see whether its address is to begin with http:// or https://."


class SaidError(Exception):
    """An error that a server tells of where its reply should be; `body` holds its words, in whatever form."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body


class NoStreamError(SaidError):
    """What a server answered with where a stream should be, from its beginning on: JSON, a page for people, nothing."""

    def __init__(self, written: str) -> None:
        super().__init__(_loaded(written))
        self.is_whole_reply = '"choices"' in written and not mapping(self.body).get("error")


def refused(
    error: Exception, server: Server, *, has_media: bool, timeout_s: float, has_begun: bool = False
) -> UserError:
    """The sentence for what the client raised, before the reply had begun or in its middle."""
    host, said = server.host, message_of(error)
    quoted = f" It says: {quote(said)}" if said else ""
    is_unreached = isinstance(error.__cause__, httpx2.ConnectTimeout)  # which the client tells as any other timeout
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException) and not is_unreached:
        return ServerFailedError(SILENT.format(host=host, seconds=timeout_s))
    if isinstance(error, openai.APIConnectionError | httpx2.ConnectError) and not has_begun:
        return ServerFailedError(_unreached(error, host))
    if isinstance(error, NoStreamError) and error.is_whole_reply:
        return ServerFailedError(WHOLE.format(host=host))
    if has_media and is_blind(error):
        return UserError(BLIND_MODEL.format(model=server.called, host=host))
    if TOO_LONG.search(said):
        return UserError(TOO_LONG_FOR.format(host=host) + quoted)
    if isinstance(error, NoStreamError):
        is_error = bool(mapping(error.body).get("error")) or mapping(error.body).get("object") == "error"
        return ServerFailedError((FAILED if is_error else NO_STREAM).format(host=host) + quoted)
    if not isinstance(error, openai.APIStatusError):
        is_told_first = isinstance(error, SaidError) and not has_begun
        return ServerFailedError((FAILED if is_told_first else ENDED_EARLY).format(host=host) + quoted)
    kind = UserError if error.status_code in OF_THE_QUESTION else ServerFailedError
    return kind(_by_status(error.status_code, host, server.called) + quoted)


def _unreached(error: BaseException, host: str) -> str:
    """The sentence for a question that did not get there, by what is behind the client's error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BAD_CERTIFICATE.format(host=host)
        if isinstance(cause, ssl.SSLError):
            return NO_TLS.format(host=host)
        if isinstance(cause, httpx2.LocalProtocolError):
            return BAD_KEY
        if isinstance(cause, httpx2.TooManyRedirects):
            return NO_STREAM.format(host=host)
        cause = cause.__cause__ or cause.__context__
    return f"No server answers at {host}: start it, or put its address right."


def _by_status(status: int, host: str, model: str) -> str:
    """The sentence for a status of HTTP."""
    known = {
        401: f"The server at {host} wants a key: set OPENAI_API_KEY to yours.",
        402: f"The account at {host} has no credit left: top it up, or ask another server.",
        403: f"The key does not open {model} at {host}: check what it is for.",
        404: f'The server at {host} has no "{model}", or that is not its address: it often ends in /v1.',
        413: f"The pictures are more than {host} takes at once: ask with fewer frames or less detail.",
        429: f"The server at {host} takes no more questions now, or the quota is used up: ask again in a while.",
        503: f"The server at {host} is not ready or has too much to do: ask again in a while.",
    }
    failed = f"The server at {host} failed ({status}): ask again, or look into its log."
    return known.get(status, failed if status >= 500 else f"The server at {host} refused the question ({status}).")


def is_blind(error: Exception) -> bool:
    """Whether the server says that its model takes no pictures."""
    return bool(BLIND.search(message_of(error)))


def message_of(error: Exception) -> str:
    """The server's own words, in the forms in which servers send them; empty where it sent none."""
    words = _words(getattr(error, "body", None)).strip()
    return _of_page(words) if PAGE.match(words) else words


def _of_page(page: str) -> str:
    """What a page for people says: its title, or its text where it has none."""
    title = TITLE.search(page)
    return html.unescape(title[1] if title else MARKUP.sub(" ", page)).strip()


def _words(body: object, depth: int = MAX_DEPTH) -> str:
    if isinstance(body, str) or depth == 0:
        return body if isinstance(body, str) else ""
    if isinstance(body, list):  # of FastAPI, one for each field that is wrong
        return "; ".join(_field(item, depth - 1) for item in body[:MAX_QUOTED])
    raw = mapping(mapping(body).get("metadata")).get("raw")  # of whom a router asked: its own words tell nothing
    behind = _loaded(raw) if isinstance(raw, str) else raw
    places = (behind, *(mapping(body).get(key) for key in ("message", "detail", "error", "msg")))
    return next((words for place in places if (words := _words(place, depth - 1))), "")


def _loaded(written: str) -> object:
    """JSON as it is, and any other text as that."""
    try:
        loaded: object = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return loaded


def _field(item: object, depth: int) -> str:
    """What is wrong with one field, which FastAPI names beside it."""
    place = items(mapping(item).get("loc"))[1:]
    return ": ".join([*(str(name) for name in place), _words(item, depth)])


def quote(said: str) -> str:
    """A server's words on one line, cut where they go on for long. They end the sentence."""
    words = line(said)
    return f'"{words if len(words) <= MAX_QUOTED else words[:MAX_QUOTED].rstrip() + " …"}".'
