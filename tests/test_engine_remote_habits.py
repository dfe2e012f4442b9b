"""What is learned from a server's refusals, and what is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Request, Result, Sampling, Settings, UserError
from tests.dialect_server import Answer, Refusal, Stream, dialect_server, said
from tests.media_makers import write_clip

BLUE = Stream(said("Blue."))
LONG = "'max_tokens' or 'max_completion_tokens' is too large: 3000. This model's maximum context length is 4096 tokens"
TOO_MUCH = "max_tokens is too large: 32000. This model supports at most 16384 completion tokens"
TOO_HOT = "temperature must be in [0, 2], got 3.0"


def refusal(words: str, status: int = 400) -> Refusal:
    return Refusal(status, {"error": {"message": words}})


def told(engine: RemoteEngine, *files: Path, **settings: Any) -> str:
    *_, result = answer(Request("What is it?", files, Settings(**settings)), engine)
    assert isinstance(result, Result)
    return result.answer


ONE_VALUE = "Unsupported value: 'temperature' does not support 3.0 with this model. Only the default (1) is supported."
VALUES = {"context": LONG, "limit": TOO_MUCH, "temperature": TOO_HOT, "one value": ONE_VALUE}


@pytest.mark.parametrize("words", VALUES.values(), ids=VALUES)
def test_a_value_that_is_refused_teaches_nothing(words: str) -> None:
    """One question that was too long took the limit off the replies to all later ones, whoever asked them."""
    sampling = Sampling(temperature=3.0, top_p=0.8, top_k=20)
    with dialect_server(refusal(words), BLUE) as server:
        engine = RemoteEngine.connect(server.base_url)
        with pytest.raises(UserError):
            told(engine, max_new_tokens=3000, sampling=sampling)
        told(engine, max_new_tokens=100, sampling=sampling)
    assert [body["max_tokens"] for body in server.asked] == [3000, 100]
    assert [body["temperature"] for body in server.asked] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        pytest.param(
            "Unrecognized request argument supplied: chat_template_kwargs", "chat_template_kwargs", id="OpenAI"
        ),
        pytest.param("property 'top_k' is unsupported", "top_k", id="Groq"),
        pytest.param("1 validation error\ntop_k\n  Extra inputs are not permitted", "top_k", id="pydantic"),
        pytest.param("Requested logprobs of 1, which is greater than max allowed: 0", "logprobs", id="vLLM"),
    ],
)
def test_what_a_server_does_not_know_is_left_out(words: str, gone: str) -> None:
    with dialect_server(refusal(words), BLUE) as server:
        engine = RemoteEngine.connect(server.base_url)
        assert told(engine, sampling=Sampling(top_k=20)) == "Blue."
    assert set(server.asked[0]) - set(server.asked[1]) == {gone}


PENALISED = {"repetition_penalty": 1.2}
OWN_NAMES: dict[str, dict[str, float]] = {
    "vllm": {"top_k": -1, **PENALISED},
    "sglang": {"top_k": -1, **PENALISED},
    "llamacpp": {"top_k": -1, "repeat_penalty": 1.2},
    "someone": PENALISED,
}


@pytest.mark.parametrize(("owned_by", "own"), OWN_NAMES.items(), ids=OWN_NAMES)
def test_a_server_is_told_the_sampling_in_its_own_words(owned_by: str, own: dict[str, float]) -> None:
    """llama.cpp drew from 40 tokens where all were chosen, and passed over a penalty that it calls otherwise."""
    with dialect_server(BLUE, owned_by=owned_by) as server:
        told(RemoteEngine.connect(server.base_url), sampling=Sampling(temperature=1.0, repetition_penalty=1.2))
    names = ("top_k", "repetition_penalty", "repeat_penalty")
    assert {name: server.asked[0][name] for name in names if name in server.asked[0]} == own


@pytest.mark.parametrize(
    ("owned_by", "effort"), [("library", "none"), ("", "none"), ("vllm", None), ("sglang", None), ("llamacpp", None)]
)
def test_a_server_is_told_not_to_think_in_words_that_it_knows(owned_by: str, effort: str | None) -> None:
    """Ollama, LM Studio and OpenRouter pass over what is for a template: without thinking, they thought."""
    with dialect_server(BLUE, owned_by=owned_by) as server:
        engine = RemoteEngine.connect(server.base_url)
        for thinking in (True, False):
            told(engine, thinking=thinking)
    assert [body.get("reasoning_effort") for body in server.asked] == [None, effort]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("Reasoning is mandatory for this endpoint and cannot be disabled.", id="OpenRouter"),
        pytest.param("Unsupported value: 'reasoning_effort' does not support 'none' with this model.", id="OpenAI"),
        pytest.param('invalid reasoning value: \'none\' (must be "high", "medium", or "low")', id="Ollama before"),
    ],
)
def test_a_model_that_has_to_think_answers_all_the_same(words: str) -> None:
    with dialect_server(refusal(words), BLUE) as server:
        assert told(RemoteEngine.connect(server.base_url), thinking=False) == "Blue."
    assert set(server.asked[0]) - set(server.asked[1]) == {"reasoning_effort"}


def test_llama_cpp_is_asked_for_no_other_likelihoods() -> None:
    """It tells of the 20 likeliest tokens beside each one, 1.9 kilobytes, where nobody says how many."""
    with dialect_server(BLUE, owned_by="llamacpp") as server:
        told(RemoteEngine.connect(server.base_url))
    assert (server.asked[0]["logprobs"], server.asked[0]["top_logprobs"]) == (True, 1)


UNTRUSTED = (
    "Per-request mm_processor_kwargs are disabled by default because they can change multimodal preprocessing resource "
    "usage. Start the server with --trust-request-mm-kwargs only when clients are trusted."
)


def test_a_vllm_that_trusts_no_options_of_a_clip_gets_timed_pictures(tmp_path: Path) -> None:
    """The words of vLLM 0.32.0, for what it took from everybody once."""
    clip = write_clip(tmp_path / "a.mp4")
    with dialect_server(refusal(UNTRUSTED), BLUE, owned_by="vllm") as server:
        engine = RemoteEngine.connect(server.base_url)
        assert [told(engine, clip) for _ in range(2)] == ["Blue."] * 2
    assert ["mm_processor_kwargs" in body for body in server.asked] == [True, False, False]


EXTRA = {"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted", "input": 20}
LOW = {"type": "greater_than", "loc": ["body", "top_p"], "msg": "Input should be greater than 0", "input": 0}


@pytest.mark.parametrize(
    "body", [{"detail": [EXTRA, LOW]}, {"message": {"detail": [EXTRA, LOW]}}], ids=["FastAPI", "Mistral"]
)
def test_a_field_is_named_beside_what_is_wrong_with_it(body: Any) -> None:
    with dialect_server(Refusal(422, body), BLUE) as server:
        told(RemoteEngine.connect(server.base_url), sampling=Sampling(top_k=20))
    assert set(server.asked[0]) - set(server.asked[1]) == {"top_k"}


def test_a_limit_beyond_the_context_is_that_of_the_context() -> None:
    """vLLM 0.32.0 refuses any that is greater; one that is as great it takes, however long the prompt."""
    with dialect_server(Stream(said("Blue.")), owned_by="vllm", max_model_len=1024) as server:
        engine = RemoteEngine.connect(server.base_url)
        for max_new_tokens in (2048, 512):
            list(answer(Request("What is it?", (), Settings(max_new_tokens=max_new_tokens)), engine))
        assert [body["max_tokens"] for body in server.asked] == [1024, 512]


def test_the_limit_is_renamed_and_never_left_out() -> None:
    with dialect_server(refusal("unknown field: max_tokens"), BLUE) as server:
        assert told(RemoteEngine.connect(server.base_url), max_new_tokens=99) == "Blue."
    assert server.asked[1]["max_completion_tokens"] == 99


@pytest.mark.parametrize("name", ["chat_template_kwargs", "max_tokens"])
def test_questions_at_the_same_time_all_learn(name: str) -> None:
    """Of four at once, three failed: what they were refused for was known already as their refusals came."""
    together = threading.Barrier(4)

    def choose(body: dict[str, Any]) -> Answer:
        if name not in body:
            return BLUE
        together.wait(20)
        return refusal(f"Unsupported parameter: '{name}'. Use 'max_completion_tokens' instead.")

    with dialect_server(choose) as server, ThreadPoolExecutor(4) as pool:
        engine = RemoteEngine.connect(server.base_url)
        assert list(pool.map(lambda _: told(engine), range(4))) == ["Blue."] * 4
    assert len(server.asked) == 8


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param("upstream timed out", 504, id="gateway"),
        pytest.param("CUDA out of memory", 500, id="failed"),
        pytest.param("the request exceeds the maximum context length", 400, id="too long"),
        pytest.param(TOO_HOT, 400, id="a value"),
    ],
)
def test_a_clip_is_asked_once_where_its_form_was_not_refused(words: str, status: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    with dialect_server(refusal(words, status), BLUE, owned_by="vllm") as server:
        engine = RemoteEngine.connect(server.base_url)
        with pytest.raises(UserError):
            told(engine, path, sampling=Sampling(temperature=3.0))
        told(engine, path)
    assert [body["messages"][0]["content"][0]["type"] for body in server.asked] == ["video_url", "video_url"]


@pytest.mark.parametrize("asked", ["²", "-5", "inf", ".", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_time_to_wait_that_is_none_is_not_believed(asked: str) -> None:
    busy = Refusal(503, "busy", {"retry-after": asked})
    with dialect_server(busy, BLUE) as server:
        assert told(RemoteEngine.connect(server.base_url)) == "Blue."
