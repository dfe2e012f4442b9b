"""What one server takes, as far as it has shown: learned from what it refused, and kept for the questions after.

A refusal comes before the server has worked, so asking again otherwise costs nothing. What failed on the way is not
asked again: it may be working on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
import openai

from pipelines.engine.remote.messages import ClipForm, Json, Sent
from pipelines.engine.remote.refusals import is_blind, message_of
from pipelines.engine.remote.server import Server
from pipelines.types import Settings

MAX_RETRIES = 2
MAX_WAIT_S = 10.0
BODY = ("stream_options", "logprobs", "seed", "presence_penalty", "temperature", "top_p", "max_tokens")
"""Parameters of OpenAI's own that may be left out; what else is sent goes beside them."""
REFUSALS = (400, 422)


@dataclass(frozen=True)
class Ask:
    """A question as it is sent."""

    sent: Sent
    settings: Settings
    thinking: bool
    max_new_tokens: int
    has_media: bool
    has_clip: bool


class Habits:
    """A server's ways. `clip_form` and `sees` begin with what it says of itself."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._left_out: set[str] = set()
        self._limit = "max_tokens"
        self.clip_form: ClipForm = server.clip_form
        self.sees = server.sees
        self.answers_plainly = False

    def body(self, ask: Ask) -> dict[str, object]:
        """The request in the words of the client."""
        wished = {name: value for name, value in self._wished(ask).items() if name not in self._left_out}
        own = {name: wished.pop(name) for name in BODY if name in wished}
        if "max_tokens" in own and self._limit != "max_tokens":
            own[self._limit] = own.pop("max_tokens")
        sent = {"model": self._server.model, "messages": list(ask.sent.messages), "stream": True}
        return {**sent, **own, "extra_body": {**wished, **ask.sent.options}}

    def adapt(self, error: Exception, ask: Ask) -> bool:
        """Learn from a refusal; whether the question is worth asking otherwise now."""
        if not isinstance(error, openai.APIStatusError):
            return False
        if ask.has_media and is_blind(error) and not (ask.has_clip and self.clip_form != "frames"):
            self.sees = False
            return False
        said = message_of(error)
        if error.status_code in REFUSALS:
            if self._limit == "max_tokens" and "max_completion_tokens" in said:
                self._limit = "max_completion_tokens"
                return True
            named = {name for name in self._wished(ask) if re.search(rf"\b{name}\b", said)} - self._left_out
            self._left_out |= named
            if named:
                return True
        if ask.has_clip and self.clip_form != "frames" and error.status_code not in (401, 402, 403, 404, 429, 503):
            self.clip_form = "frames"
            return True
        return False

    def _wished(self, ask: Ask) -> dict[str, Json]:
        """What is sent where nothing speaks against it. Without a sampling of the user's the server has its own."""
        sampling = ask.settings.sampling
        wished: dict[str, Json] = {
            "max_tokens": ask.max_new_tokens,
            "stream_options": {"include_usage": True},
            "logprobs": True,
            "chat_template_kwargs": {"enable_thinking": ask.thinking},
        }
        if self._server.name == "DeepSeek":
            wished["thinking"] = {"type": "enabled" if ask.thinking else "disabled"}
        if sampling is not None:
            wished |= {"seed": ask.settings.seed, "temperature": sampling.temperature, "top_p": sampling.top_p}
            wished |= {"presence_penalty": sampling.presence_penalty, "min_p": sampling.min_p}
            wished |= {"top_k": sampling.top_k} if sampling.top_k else {}
            wished |= {"repetition_penalty": sampling.repetition_penalty}
        return wished


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
    wanted_s = float(asked) if asked.replace(".", "", 1).isdigit() else 0.5 * 2**num_tries
    return wanted_s if wanted_s <= MAX_WAIT_S else None
