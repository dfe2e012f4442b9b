"""What a server refuses, or fails at, is one sentence, and is asked again only where it did not begin."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Progress, Record, Request, Settings, UserError
from tests.dialect_server import CUT, Answer, Refusal, Stream, ask, delta, dialect_server, said

VLLM_BLIND = {"object": "error", "message": "openai/gpt-oss-120b is not a multimodal model", "code": 400}
LLAMA_BLIND = {"error": {"code": 500, "message": "image input is not supported - hint: provide the mmproj"}}
SGLANG_BLIND = {"object": "error", "message": "Unsupported content type: image_url", "type": "BadRequest", "code": 400}
OLLAMA_BLIND = {"error": {"message": "this model is missing data required for image input", "type": "api_error"}}
DEEPSEEK_BLIND = {"error": {"message": "Failed to deserialize: unknown variant `image_url`, expected `text`"}}


def routed(status: int, raw: str | None) -> Refusal:
    """What OpenRouter says where the one that it asked has refused: `raw` are the words of that."""
    metadata = {"raw": raw, "provider_name": "someone"}
    return Refusal(status, {"error": {"message": "Provider returned error", "code": status, "metadata": metadata}})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(400, VLLM_BLIND, id="vLLM"),
        pytest.param(500, LLAMA_BLIND, id="llama.cpp"),
        pytest.param(400, SGLANG_BLIND, id="SGLang"),
        pytest.param(500, OLLAMA_BLIND, id="Ollama"),
        pytest.param(400, DEEPSEEK_BLIND, id="DeepSeek"),
    ],
)
def test_a_picture_to_a_model_of_text_is_one_sentence_and_asked_once(status: int, body: Any, picture: Path) -> None:
    with dialect_server(Refusal(status, body), model="gpt-oss-120b") as server:
        engine = RemoteEngine.connect(server.base_url)
        for _ in range(2):
            with pytest.raises(UserError, match=r'^"gpt-oss-120b" at .* takes text only: ask without pictures'):
                list(answer(Request("What is it?", (picture,)), engine))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param(
            {
                "models": [{"name": "m", "model": "m", "capabilities": ["completion"]}],
                "data": [{"id": "m", "owned_by": "llamacpp"}],
            },
            id="llama.cpp",
        ),
        pytest.param({"data": [{"id": "m", "architecture": {"input_modalities": ["text"]}}]}, id="OpenRouter"),
    ],
)
def test_a_model_of_text_that_says_so_is_not_sent_a_picture(listing: dict[str, Any], picture: Path) -> None:
    """llama.cpp says so beside its list, in another one, which was not read."""
    with dialect_server(Stream(said("Blue."))) as server:
        server.listing = Refusal(200, listing)
        with pytest.raises(UserError, match="takes text only"):
            ask(server, picture)
    assert server.asked == []


def test_sglang_tells_elsewhere_that_a_model_takes_text_only(picture: Path) -> None:
    with dialect_server(Stream(said("Blue.")), owned_by="sglang") as server:
        server.info = {"has_image_understanding": False}
        with pytest.raises(UserError, match="takes text only"):
            ask(server, picture)


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        pytest.param(Refusal(401, {"error": {"message": "bad key"}}), "wants a key: set OPENAI_API_KEY", id="key"),
        pytest.param(Refusal(402, {"error": {"message": "Insufficient Balance"}}), "no credit left", id="credit"),
        pytest.param(Refusal(403, {"detail": "no"}), "does not open m", id="forbidden"),
        pytest.param(Refusal(404, {"detail": "Not Found"}), 'has no "m"', id="unknown model"),
        pytest.param(Refusal(413, "too large"), "with fewer frames", id="too large"),
        pytest.param(
            Refusal(
                400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.\nYou asked"}
            ),
            'longer than .* takes: .* "This model\'s maximum context length is 4096 tokens. You asked".$',
            id="context of vLLM",
        ),
        pytest.param(
            Refusal(400, {"error": {"message": "the request exceeds the available context size", "n_ctx": 4096}}),
            "longer than",
            id="context of llama.cpp",
        ),
        pytest.param(
            Refusal(422, {"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "x" * 400}]}),
            'refused the question \\(422\\). It says: "field required; x+ …".$',
            id="a list of FastAPI",
        ),
        pytest.param(
            routed(400, json.dumps({"error": {"message": "At most 8 images per prompt."}})),
            'refused the question \\(400\\). It says: "At most 8 images per prompt.".$',
            id="behind a router",
        ),
        pytest.param(routed(502, "upstream is away"), 'It says: "upstream is away".$', id="behind a router in words"),
        pytest.param(routed(502, None), 'It says: "Provider returned error".$', id="behind a router without any"),
        pytest.param(Refusal(500, "Internal Server Error"), "failed \\(500\\)", id="failed"),
        pytest.param(Refusal(429, {}, {"retry-after": "3600"}), "takes no more questions now", id="quota"),
        pytest.param(Refusal(503, "loading", {"retry-after": "3600"}), "is not ready", id="not ready"),
        pytest.param(Stream([delta({"content": "I l"}), CUT]), "ended the reply in the middle", id="killed"),
        pytest.param(Stream([delta({"content": "I l"})]), "ended the reply in the middle", id="ended early"),
        pytest.param(
            Stream([delta({"content": "I l"}), {"error": {"message": "CUDA out of memory"}}]),
            'in the middle.* It says: "CUDA out of memory".$',
            id="failed in the middle",
        ),
        pytest.param(
            Stream([delta({}, "insufficient_system_resource")]), "gave the reply up", id="DeepSeek gave it up"
        ),
        pytest.param(Stream([delta({}, "content_filter")]), "withheld the reply", id="withheld"),
    ],
)
def test_each_refusal_is_one_sentence_and_asked_once(refusal: Answer, sentence: str) -> None:
    with dialect_server(refusal) as server, pytest.raises(UserError, match=sentence) as caught:
        ask(server)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        pytest.param(Refusal(500, "Internal Server Error"), "failed", id="failed"),
        pytest.param(Refusal(401, {}), "failed", id="key"),
        pytest.param(Stream([delta({"content": "I l"}), CUT]), "failed", id="killed"),
        pytest.param(Stream([delta({}, "abort")]), "failed", id="gave it up"),
        pytest.param(Refusal(413, "too large"), "refused", id="too large"),
        pytest.param(Stream([delta({}, "content_filter")]), "refused", id="withheld"),
    ],
)
def test_a_server_that_fails_is_told_from_a_question_that_is_refused(refusal: Answer, outcome: str) -> None:
    told: list[Record | Progress] = []
    with dialect_server(refusal) as server:
        engine = RemoteEngine.connect(server.base_url)
        with pytest.raises(UserError):
            list(answer(Request("What is it?", (), Settings()), engine, observe=told.append))
    assert [record.outcome for record in told if isinstance(record, Record)] == [outcome]


def test_only_what_the_server_did_not_begin_is_asked_again() -> None:
    busy = Refusal(503, "busy", {"retry-after": "0.01"})
    with dialect_server(busy, busy, Stream(said("Blue."))) as server:
        assert ask(server).answer == "Blue."
    assert len(server.asked) == 3
    with dialect_server(busy) as server, pytest.raises(UserError, match="is not ready"):
        ask(server)
    assert len(server.asked) == 3


def test_a_silent_server_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(UserError, match=r"was silent for 0\.2 s"):
            RemoteEngine.connect(address, "m", timeout_s=0.2)


def test_no_server_is_one_sentence() -> None:
    with dialect_server(Stream(said("Blue."))) as server:
        engine = RemoteEngine.connect(server.base_url)
    with pytest.raises(UserError, match=rf"^No server answers at {server.host}"):
        list(answer(Request("What is it?"), engine))
    with pytest.raises(UserError, match=r"^No server answers"):
        RemoteEngine.connect(server.base_url)
