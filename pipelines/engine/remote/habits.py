"""What one server takes, as far as it has shown: learned from what it refused, and kept for the questions after.

A refusal comes before the server has worked, so asking again otherwise costs nothing. What failed on the way is not
asked again: it may be working on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import httpx2
import openai

from pipelines.engine.presets import named_preset
from pipelines.engine.remote.messages import ClipForm, Sent
from pipelines.engine.remote.reading import Reading
from pipelines.engine.remote.refusals import TOO_LONG, is_blind, message_of
from pipelines.engine.remote.server import Server
from pipelines.types import Json, Settings

MAX_RETRIES = 2
MAX_WAIT_S = 10.0
BODY = ("stream_options", "logprobs", "top_logprobs", "seed", "presence_penalty", "temperature", "top_p", "max_tokens")
"""Parameters of OpenAI's own; what else is sent goes beside them."""
UNCHOSEN = ("stream_options", "logprobs", "top_logprobs", "chat_template_kwargs", "reasoning_effort")
"""What no user chose: whatever a server has against one of these, the question goes without it."""
CALLED = {"reasoning_effort": "(?i:reasoning)(?:_effort)?"}
"""What else than its name a server calls a parameter: OpenRouter, that reasoning is mandatory."""
OF_ONES_OWN = ("vLLM", "SGLang", "llama.cpp")
"""Servers that take a template's arguments, draw from 20 or 40 tokens where they are told none, and from all at -1."""
UNKNOWN = re.compile(
    r"unsupported(?! value)|not supported|does not support parameter|unrecogni[sz]ed|unexpected|unknown|\bextra\b"
    r"|not permitted",
    re.IGNORECASE,
)
"""How servers say that they do not take a parameter at all, whatever its value."""
REFUSALS = (400, 415, 422, 501)


@dataclass(frozen=True)
class Form:
    """How a question is put to a server: the form of its clips, the name of its limit, and what it goes without."""

    clips: ClipForm
    limit: str = "max_tokens"
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ask:
    """A question as it is sent. `form` is the one that `sent` was written in."""

    sent: Sent
    settings: Settings
    thinking: bool
    max_new_tokens: int
    has_media: bool
    has_clip: bool
    form: Form


class Habits:
    """A server's ways. `form` and `sees` begin with what it says of itself.

    Questions may be under way at the same time. So each is judged by the form that it was sent in: one that is refused
    for what another has taught meanwhile is asked again as well.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.form = Form(server.clip_form)
        self.sees = server.sees
        self.answers_plainly = False

    def body(self, ask: Ask) -> dict[str, object]:
        """The request in the words of the client."""
        wished = {name: value for name, value in self._wished(ask).items() if name not in ask.form.left_out}
        own = {name: wished.pop(name) for name in BODY if name in wished}
        own[ask.form.limit] = own.pop("max_tokens")
        sent = {"model": self._server.model, "messages": list(ask.sent.messages), "stream": True}
        return {**sent, **own, "extra_body": {**wished, **ask.sent.options}}

    def adapt(self, error: Exception, ask: Ask) -> bool:
        """Learn from a refusal; whether the question would go otherwise now than it went."""
        if not isinstance(error, openai.APIStatusError):
            return False
        said = message_of(error)
        if ask.has_media and is_blind(error) and not (ask.has_clip and ask.form.clips != "frames"):
            self.sees = False
            return False
        if error.status_code not in REFUSALS or TOO_LONG.search(said):
            return False
        self.form = self._learned(said, ask)
        is_rewritten = ask.has_clip and self.form.clips != ask.form.clips
        return is_rewritten or self.body(replace(ask, form=self.form)) != self.body(ask)

    def note(self, reading: Reading, settings: Settings) -> None:
        """Learn from a reply whether its text alone is the answer: one that thought in it would be shown as that."""
        if reading.is_told_apart or reading.has_tags:
            self.answers_plainly = False
        elif settings.thinking and reading.finish_reason == "stop":
            self.answers_plainly = True

    def _learned(self, said: str, ask: Ask) -> Form:
        """The form for the questions after, as the server's words about this one have it.

        A value that it refuses is none of that: another question has another one. The limit is never left out, since
        what keeps a reply from going on without end is this alone.
        """
        named = {name for name in self._wished(ask) if re.search(rf"\b{CALLED.get(name, name)}\b", said)}
        unknown = {name for name in named if name in UNCHOSEN or _is_unknown(name, said)}
        form = replace(self.form, left_out=self.form.left_out | unknown - {"max_tokens"})
        if "max_tokens" in unknown:
            return replace(form, limit="max_completion_tokens")
        return replace(form, clips="frames") if ask.has_clip and not named else form

    def _wished(self, ask: Ask) -> dict[str, Json]:
        """What is sent where nothing speaks against it.

        Without a sampling of the user's it is that of the model's card, and the server's own where the model's name
        does not tell that it has one: what a server has for a checkpoint without generation_config.json is no card's.
        vLLM refuses a limit beyond the context, which no reply reaches.
        """
        sampling = ask.settings.sampling or named_preset(
            self._server.model, thinking=ask.thinking, has_media=ask.has_media
        )
        wished: dict[str, Json] = {
            "max_tokens": min(ask.max_new_tokens, self._server.context_tokens or ask.max_new_tokens),
            "stream_options": {"include_usage": True},
            "logprobs": True,
            "chat_template_kwargs": {"enable_thinking": ask.thinking},
        }
        if self._server.name == "DeepSeek":
            wished["thinking"] = {"type": "enabled" if ask.thinking else "disabled"}
        elif not ask.thinking and self._server.name not in OF_ONES_OWN:
            wished["reasoning_effort"] = "none"  # Ollama, LM Studio and OpenRouter know no template's arguments
        is_llama = self._server.name == "llama.cpp"
        if is_llama:
            wished["top_logprobs"] = 1  # it tells of 20 with each token else, in two kilobytes
        if sampling is not None:
            wished |= {"seed": ask.settings.seed, "temperature": sampling.temperature, "top_p": sampling.top_p}
            wished |= {"presence_penalty": sampling.presence_penalty, "min_p": sampling.min_p}
            top_k = sampling.top_k or (-1 if self._server.name in OF_ONES_OWN else 0)
            wished |= {"top_k": top_k} if top_k else {}
            wished["repeat_penalty" if is_llama else "repetition_penalty"] = sampling.repetition_penalty
        return wished


def _is_unknown(name: str, said: str) -> bool:
    """Whether a server says that it does not take a parameter, in a sentence that names it."""
    sentences = re.split(r"[;.]\s", said)
    return any(UNKNOWN.search(sentence) for sentence in sentences if re.search(rf"\b{name}\b", sentence))


def wait_s(error: Exception, num_tries: int) -> float | None:
    """Seconds to wait before the same is asked again; None where that could make the server work twice."""
    if num_tries >= MAX_RETRIES:
        return None
    if isinstance(error, openai.APIStatusError):
        return _asked_to_wait(error.response.headers, num_tries) if error.status_code in (429, 503) else None
    is_unheard = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
    return 0.25 * 2**num_tries if is_unheard else None


def _asked_to_wait(headers: Mapping[str, str], num_tries: int) -> float | None:
    asked = headers.get("retry-after", "")
    wanted_s = float(asked) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", asked) else 0.5 * 2**num_tries
    return wanted_s if wanted_s <= MAX_WAIT_S else None
