"""What a server says of itself before it is asked anything: what it is, which models it has, and whether they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from pipelines.engine.remote.fields import count, items, line, mapping
from pipelines.engine.remote.messages import ClipForm
from pipelines.types import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

NAMES = {"vllm": "vLLM", "sglang": "SGLang", "llamacpp": "llama.cpp", "deepseek": "DeepSeek", "openai": "OpenAI"}
"""Servers by what their list of models calls the owner."""
CLIP_FORMS: dict[str, ClipForm] = {"vLLM": "jpegs", "SGLang": "mp4"}
NO_LIST_YET = (401, 403, 429, 503)
"""What a server with a list refuses it with: it wants a key, has too much to do, or still loads its model."""
NO_MODELS = "The server at {host} lists no model: name one, or put its address right: it often ends in /v1."
MAX_CALLED = 200
"""Characters of a model's name that are told; a hub's id has at most 96."""
SEEING = {"image", "multimodal", "vision"}


@dataclass(frozen=True)
class Server:
    """A server with the model that it is asked for.

    `name` is what serves, as far as it tells, and `host` where. `context_tokens` is 0 and `sees` None where it does not
    say.
    """

    name: str
    host: str
    model: str
    context_tokens: int = 0
    sees: bool | None = None

    @property
    def called(self) -> str:
        """The model's name as a person is told it: the server may list any."""
        return called(self.model)

    @property
    def clip_form(self) -> ClipForm:
        """How it takes clips."""
        return CLIP_FORMS.get(self.name, "frames")


def host_of(base_url: str) -> str:
    """The address as a person is told it. Raises UserError for what is no address of a server."""
    address = base_url.strip()
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx2.URL(address)
        (parts.hostname or "").encode("idna")
    except (ValueError, httpx2.InvalidURL):
        is_address = False
    if not is_address or not address.isprintable() or " " in address:
        raise UserError(f'"{line(base_url)}" is no address of a server: give one such as http://127.0.0.1:8000/v1.')
    return parts.netloc.rpartition("@")[2]


async def look_up(client: AsyncOpenAI, host: str, model: str | None, usual: str | None = None) -> Server:
    """What the server says. An unknown model is left for it to refuse: some serve more than they list.

    Where none is named, it is the only one, or of several the one that is called `usual`. Raises UserError where it is
    neither, and what the client raises.
    """
    listed = await _listed(client, is_needed=model is None)
    entry = _entry(listed, host, usual if model is None and len(listed) > 1 and usual in _ids(listed) else model)
    name = NAMES.get(str(entry.get("owned_by", "")).lower().replace(".", ""), "a server")
    sees = _sees(entry)
    if sees is None and name == "SGLang":
        sees = await _sglang_sees(client)
    return Server(name, host, str(entry["id"]), _context(entry), sees)


async def _listed(client: AsyncOpenAI, *, is_needed: bool) -> list[Mapping[str, Any]]:
    """The models that the server lists; none where it has no such list, or one that cannot be read.

    Whether it answers at all, the first question tells; why there is none yet is told where the list `is_needed`.
    """
    import openai

    try:
        told = await client.get("/models", cast_to=object)
    except UnicodeEncodeError:
        raise  # nothing was asked: a setting cannot be sent
    except (openai.APIStatusError, openai.APIResponseValidationError, ValueError, RecursionError) as error:
        if is_needed and isinstance(error, openai.APIStatusError) and error.status_code in NO_LIST_YET:
            raise
        return []
    entries = items(told) or items(mapping(told).get("data"))
    beside = {str(entry.get("name")): entry for entry in map(mapping, items(mapping(told).get("models")))}
    listed = [entry for entry in map(mapping, entries) if isinstance(entry.get("id"), str)]
    return [{**beside.get(entry["id"], {}), **entry} for entry in listed]  # llama.cpp tells there what its model takes


def _entry(listed: Sequence[Mapping[str, Any]], host: str, model: str | None) -> Mapping[str, Any]:
    if model is not None:
        return next((entry for entry in listed if entry.get("id") == model), {**_owner(listed), "id": model})
    if not listed:
        raise UserError(NO_MODELS.format(host=host))
    if len(listed) > 1:
        known = ", ".join(called(entry["id"]) for entry in listed[:12])
        raise UserError(f"The server at {host} has these models: {known}. Name the one to ask with --model.")
    return listed[0]


def _ids(listed: Sequence[Mapping[str, Any]]) -> set[str]:
    return {entry["id"] for entry in listed}


def called(model: str) -> str:
    """A model's name as a person is told it: a server may send any."""
    told = line(model)
    return told if len(told) <= MAX_CALLED else f"{told[:MAX_CALLED]} …"


def _owner(listed: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Who made the list, which tells the kind of server also where it does not list the model."""
    return {"owned_by": listed[0].get("owned_by", "")} if listed else {}


def _context(entry: Mapping[str, Any]) -> int:
    meta = mapping(entry.get("meta"))
    found = (entry.get("max_model_len"), entry.get("context_length"), meta.get("n_ctx"), meta.get("n_ctx_train"))
    return next((num_tokens for value in found if (num_tokens := count(value))), 0)


def _sees(entry: Mapping[str, Any]) -> bool | None:
    """Whether the list says that the model takes pictures: llama.cpp's `capabilities`, OpenRouter's `architecture`."""
    architecture = mapping(entry.get("architecture"))
    takes = items(architecture.get("input_modalities") or entry.get("capabilities"))
    if not takes:
        return None
    return bool(SEEING & {str(kind).lower() for kind in takes})


async def _sglang_sees(client: AsyncOpenAI) -> bool | None:
    import openai

    try:
        told = await client.get(str(client.base_url.join("../get_model_info")), cast_to=object)
    except (openai.OpenAIError, ValueError, RecursionError):
        return None
    sees = mapping(told).get("has_image_understanding")
    return sees if isinstance(sees, bool) else None
