"""What a server sends instead of a reply, or beside it, in forms that no specification knows."""

from __future__ import annotations

import gzip
import json
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.engine.remote.events import Events, SentEvent
from pipelines.engine.remote.fields import Cleaner, clean
from pipelines.run import answer
from pipelines.types import Request, Result, Settings, UserError
from tests.dialect_server import HELD, Answer, Chunk, Refusal, Stream, delta, dialect_server, said, usage

SAID = delta({"content": "Blue."})
DONE = delta({}, "stop")


def told(sent: Answer, timeout_s: float = 20.0, **settings: Any) -> Result:
    with dialect_server(sent) as server:
        engine = RemoteEngine.connect(server.base_url, timeout_s=timeout_s)
        *_, result = answer(Request("What is it?", (), Settings(**settings)), engine)
    assert isinstance(result, Result)
    return result


def line(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def without(chunk: Chunk, name: str) -> Chunk:
    return {key: value for key, value in chunk.items() if key != name}


def test_nothing_is_unpacked_that_came_packed_unasked() -> None:
    """A list of models of 1.5 MB filled 3 GB of memory."""
    with dialect_server(Stream([SAID, DONE])) as server:
        packed = gzip.compress(json.dumps({"object": "list", "data": server.models}).encode())
        server.listing = Refusal(200, packed, {"content-encoding": "gzip"})
        with pytest.raises(UserError, match="The server at"):
            RemoteEngine.connect(server.base_url, timeout_s=20.0)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(line(b"null"), id="null"),
        pytest.param(line(b"5"), id="a number"),
        pytest.param(line(b"[1]"), id="a list"),
        pytest.param(line(b""), id="nothing"),
        pytest.param({**usage(3, 2), "choices": None}, id="choices are null"),
        pytest.param(without(usage(3, 2), "choices"), id="no choices"),
        pytest.param({"choices": [None]}, id="a choice is null"),
        pytest.param({"choices": [{"finish_reason": ""}]}, id="a choice with nothing"),
        pytest.param(delta({"content": ["x", {"type": "image"}], "reasoning": {"text": "x"}}), id="no text"),
        *(pytest.param({**usage(3, 2), "usage": told}, id=f"usage {told}") for told in ("n/a", [1], 5)),
        pytest.param({**usage(3, 2), "usage": {"completion_tokens": 10**30, "prompt_tokens": True}}, id="huge counts"),
        pytest.param({**usage(3, 2), "timings": {"prompt_ms": float("nan"), "predicted_ms": -3}}, id="no times"),
    ],
)
def test_what_is_no_chunk_is_passed_over(odd: Any) -> None:
    result = told(Stream([odd, SAID, odd, DONE, odd]))
    assert (result.answer, result.finish_reason) == ("Blue.", "stop")
    assert result.tokens.answer in (1, 2)
    json.dumps(vars(result.reported), allow_nan=False)


@pytest.mark.parametrize("reason", ["", "null", None])
def test_a_reply_goes_on_until_it_ends(reason: str | None) -> None:
    """SGLang and Ollama once said with each chunk that it does not end, and each reply was "given up"."""
    assert told(Stream([delta({"content": "Bl"}, reason), delta({"content": "ue."}, reason), DONE])).answer == "Blue."


@pytest.mark.parametrize("reason", ["eos", "end_turn", "function_call"])
def test_an_end_has_many_names(reason: str) -> None:
    assert told(Stream([SAID, delta({}, reason)])).finish_reason == "stop"


LIKELIHOODS = [None, float("nan"), float("-inf"), 5.0, 1000.0, "-0.1", True, 10**400]


@pytest.mark.parametrize(
    "logprobs",
    [*({"content": [{"token": "a", "logprob": value}]} for value in LIKELIHOODS), {"content": [-0.1]}, [], "x"],
    ids=lambda value: str(value)[:50],
)
def test_a_likelihood_that_is_none_is_not_counted(logprobs: Any) -> None:
    """A logprob of 1000 was an OverflowError; one that is no number went out as JSON that is none."""
    result = told(Stream([delta({"content": "Blue."}, logprobs=logprobs), DONE]))
    assert (result.answer, result.certainty) == ("Blue.", None)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param({"error": "boom"}, id="a word"),
        pytest.param({"error": {"message": "boom"}}, id="an object"),
        pytest.param({"object": "error", "message": "boom", "code": 500}, id="vLLM"),
        pytest.param(b'event: error\ndata: {"message": "boom"}\n\n', id="a named event"),
        pytest.param(b"event: error\ndata: boom\n\n", id="a named event of text"),
    ],
)
def test_an_error_within_the_reply_is_told(error: Any) -> None:
    with pytest.raises(UserError, match=r'in the middle.* It says: "boom"\.$'):
        told(Stream([SAID, error]))


def test_an_error_in_the_place_of_the_reply_is_told_as_a_failure() -> None:
    """SGLang and routers begin the stream first: of a picture that cannot be read the reply was told to have ended."""
    with pytest.raises(UserError, match=r'failed: ask again, or look into its log\. It says: "boom"\.$'):
        told(Stream([delta({"role": "assistant", "content": ""}), {"error": {"message": "boom", "code": 400}}]))


def test_a_question_that_proves_too_long_within_the_reply_is_told_as_that() -> None:
    """SGLang begins its stream before it looks how long the question is."""
    with pytest.raises(UserError, match=r"^The question and its media are longer"):
        told(Stream([{"error": {"message": "The input (5000 tokens) is longer than the model's context length"}}]))


@pytest.mark.parametrize("broken", [b'{"id":', b"{" * 100_000, b"[" * 100_000], ids=["cut", "braces", "nested"])
def test_what_is_no_json_is_one_sentence(broken: bytes) -> None:
    with pytest.raises(UserError, match="sent what is no reply"):
        told(Stream([SAID, line(broken), DONE]))


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert told(Stream([line(json.dumps(SAID).encode().replace(b"Blue", b"\xff")), DONE])).answer == "\ufffd."


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        pytest.param(Refusal(200, "<html>login</html>", {"content-type": "text/html"}), "login", id="a page"),
        pytest.param(Refusal(200, {"detail": "no such page"}), "no such page", id="an object"),
    ],
)
def test_an_answer_that_is_no_stream_is_told_in_its_words(sent: Refusal, sentence: str) -> None:
    with pytest.raises(UserError, match=rf'answered with no stream: .* It says: "{sentence}'):
        told(sent)


@pytest.mark.parametrize("words", ["It is blue.", "Its context length " * 1_000], ids=["short", "long"])
def test_a_reply_that_comes_whole_is_told_as_that(words: str) -> None:
    """It was said that the address is wrong."""
    whole = {"object": "chat.completion", "choices": [{"message": {"content": words}, "finish_reason": "stop"}]}
    with pytest.raises(UserError, match=r"^The server at \S+ answered all at once: have it stream .* another one\.$"):
        told(Refusal(200, whole))


@pytest.mark.parametrize("body", [{"error": {"message": "overloaded"}}, {"object": "error", "message": "overloaded"}])
def test_an_error_with_the_status_of_a_success_is_one(body: Any) -> None:
    """It was said that the address is wrong."""
    with pytest.raises(UserError, match=r'failed: ask again, or look into its log\. It says: "overloaded"\.$'):
        told(Refusal(200, body))


@pytest.mark.parametrize(
    "page",
    [
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>nginx</center></body></html>",
        "<!DOCTYPE html><html><head><style>p {x: y}</style></head><body><h1>502</h1> <p>Bad &#71;ateway</p></body>",
        "<html><style>" + "<" * 60_000 + "</style>502 Bad Gateway",
    ],
    ids=["with a title", "without one", "of signs"],
)
def test_a_page_of_a_proxy_is_told_in_its_words(page: str) -> None:
    """Its markup stood in the sentence."""
    with pytest.raises(UserError, match=r'failed \(502\): .* It says: "502 Bad Gateway"\.$'):
        told(Refusal(502, page, {"content-type": "text/html"}))


def test_an_answer_of_nothing_is_no_stream() -> None:
    with pytest.raises(UserError, match=r"answered with no stream: .* often ends in /v1\.$"):
        told(Refusal(204, ""))


def test_a_reply_is_whole_though_the_connection_stays_open() -> None:
    """It was lost with the timeout, where the server did not say that it was done."""
    result = told(Stream([SAID, DONE, usage(5, 3), HELD]))
    assert (result.answer, result.tokens.text) == ("Blue.", 5)


def test_what_comes_behind_a_whole_reply_does_not_spoil_it() -> None:
    assert told(Stream([SAID, DONE, line(b"{")])).answer == "Blue."


def test_a_server_that_ignores_the_limit_is_left() -> None:
    words = Stream([*(delta({"content": "word "}) for _ in range(200)), HELD])
    result = told(words, thinking=False, max_new_tokens=5)
    assert (result.answer.split(), result.finish_reason) == (["word"] * 8, "length")  # of 40 characters


def test_a_server_that_sends_letter_by_letter_is_not_left() -> None:
    letters = Stream([*(delta({"content": letter}) for letter in "It is blue."), delta({}, "stop")])
    result = told(letters, thinking=False, max_new_tokens=5)
    assert (result.answer, result.finish_reason) == ("It is blue.", "stop")


def test_halves_of_characters_are_put_together_and_single_ones_replaced() -> None:
    halves = ["a\ud83d", "\ude00b", "\ud83d", " c", "\ude00", "d\ud83d"]
    result = told(Stream(said(*halves)), thinking=False)
    assert result.answer == "a\U0001f600b\ufffd c\ufffdd\ufffd"


def test_a_terminal_gets_no_orders() -> None:
    assert told(Stream(said("\x1b]0;x\x07a\tb\r\nc\x9b2J"))).answer == "\ufffd]0;x\ufffda\tb\nc\ufffd2J"
    with pytest.raises(UserError) as caught:
        told(Refusal(400, {"error": {"message": "\x1b[31mred"}}))
    assert "\x1b" not in str(caught.value)


def test_a_model_is_asked_for_by_its_name_and_called_by_what_is_harmless_of_it() -> None:
    """A server's only model had the terminal of the page's owner do what its name said."""
    name = "a\x1b]0;x\x07\n" + "b" * 300
    with dialect_server(Stream([SAID, DONE]), Refusal(404, {}), model=name) as server:
        engine = RemoteEngine.connect(server.base_url, timeout_s=20.0)
        *_, result = answer(Request("What is it?"), engine)
        assert isinstance(result, Result)
        assert server.asked[0]["model"] == name
        assert result.engine.model == f"a\ufffd]0;x\ufffd {'b' * 192} …"
        with pytest.raises(UserError, match=r'has no "a\ufffd\]0;x\ufffd b+ …"'):
            list(answer(Request("What is it?"), engine))


@given(st.text(st.sampled_from("a \ud83d\ude00\U0001f600é\r\n\x1b")), st.lists(st.integers(0, 20), max_size=5))
def test_a_text_is_cleaned_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    cleaner = Cleaner()
    pieces = [
        text[start:end] for start, end in pairwise(sorted([0, len(text), *(min(cut, len(text)) for cut in cuts)]))
    ]
    assert "".join([*(cleaner.feed(piece) for piece in pieces), cleaner.flush()]) == clean(text)


STREAM = (
    b": hello\r\n\r\ndata: a\n\nevent: x\rdata: b\rdata:c\r\revent: y\r\n\r\n"
    b'none\n\n\ndata: "\xe2\x80\xa8"\n\ndata: cut'
)
EVENTS = [SentEvent("a"), SentEvent("b\nc", "x"), SentEvent("", "y"), SentEvent('"\u2028"')]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_the_events_are_the_same_however_their_stream_is_cut(cuts: list[int]) -> None:
    events = Events()
    pieces = [STREAM[start:end] for start, end in pairwise(sorted([0, len(STREAM), *cuts]))]
    assert [event for piece in pieces for event in events.feed(piece)] == EVENTS
    events.flush()
    assert events.stray == "none\n"


def test_an_event_without_end_is_not_kept() -> None:
    events = Events()
    parts = (b"data: " + b"x" * 2**16 for _ in range(100))
    with pytest.raises(ValueError, match="without end"):
        list(chain.from_iterable(map(events.feed, parts)))
