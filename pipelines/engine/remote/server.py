"""What a server says of itself before it is asked anything: what it is, which models it has, and whether they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.engine.remote.messages import ClipForm
from pipelines.types import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

NAMES = {"vllm": "vLLM", "sglang": "SGLang", "llamacpp": "llama.cpp", "deepseek": "DeepSeek", "openai": "OpenAI"}
"""Servers by what their list of models calls the owner."""
CLIP_FORMS: dict[str, ClipForm] = {"vLLM": "jpegs", "SGLang": "mp4"}
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
    def clip_form(self) -> ClipForm:
        """How it takes clips."""
        return CLIP_FORMS.get(self.name, "frames")


def host_of(base_url: str) -> str:
    """The address as a person is told it. Raises UserError for what is no address of a server."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f'"{base_url}" is no address of a server: give one such as http://127.0.0.1:8000/v1.')
    return parts.netloc.rpartition("@")[2]


async def look_up(client: AsyncOpenAI, host: str, model: str | None) -> Server:
    """What the server says. An unknown model is left for it to refuse: some serve more than they list.

    Raises UserError where no model is named and the server does not offer just one, and what the client raises.
    """
    import openai

    try:
        listed = [entry.model_dump() async for entry in await client.models.list()]
    except (openai.APIStatusError, openai.APIResponseValidationError):
        listed = []  # it has no such list; whether it answers at all, the first question tells
    entry = _entry(listed, host, model)
    name = NAMES.get(str(entry.get("owned_by", "")).lower().replace(".", ""), "a server")
    sees = _sees(entry)
    if sees is None and name == "SGLang":
        sees = await _sglang_sees(client)
    return Server(name, host, str(entry["id"]), _context(entry), sees)


def _entry(listed: Sequence[Mapping[str, Any]], host: str, model: str | None) -> Mapping[str, Any]:
    if model is not None:
        return next((entry for entry in listed if entry.get("id") == model), {**_owner(listed), "id": model})
    if len(listed) != 1:
        known = ", ".join(str(entry.get("id")) for entry in listed[:12]) or "none that it tells"
        raise UserError(f"The server at {host} has these models: {known}. Name the one to ask with --model.")
    return listed[0]


def _owner(listed: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Who made the list, which tells the kind of server also where it does not list the model."""
    return {"owned_by": listed[0].get("owned_by", "")} if listed else {}


def _context(entry: Mapping[str, Any]) -> int:
    meta = entry.get("meta")
    found = [entry.get("max_model_len"), entry.get("context_length")]
    found += [meta.get("n_ctx"), meta.get("n_ctx_train")] if isinstance(meta, Mapping) else []
    return next((value for value in found if isinstance(value, int) and value > 0), 0)


def _sees(entry: Mapping[str, Any]) -> bool | None:
    """Whether the list says that the model takes pictures: llama.cpp's `capabilities`, OpenRouter's `architecture`."""
    architecture = entry.get("architecture")
    takes = architecture.get("input_modalities") if isinstance(architecture, Mapping) else entry.get("capabilities")
    if not isinstance(takes, list) or not takes:
        return None
    return bool(SEEING & {str(kind).lower() for kind in takes})


async def _sglang_sees(client: AsyncOpenAI) -> bool | None:
    import openai

    try:
        told = await client.get(str(client.base_url.join("../get_model_info")), cast_to=object)
    except openai.OpenAIError:
        return None
    sees = told.get("has_image_understanding") if isinstance(told, Mapping) else None
    return sees if isinstance(sees, bool) else None
