"""A model on a server: what is sent, what comes back in each dialect, and which model is asked."""

from __future__ import annotations

import base64
import io
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.engine.presets import FAST
from pipelines.engine.remote.engine import RemoteEngine
from pipelines.models import DEMO, Running, load_engine
from pipelines.present.figures.rates import reported
from pipelines.present.report import as_text
from pipelines.present.status import ended
from pipelines.run import answer, foresee
from pipelines.types import Delta, Request, Result, Sampling, Settings, Turn, UserError
from tests.dialect_server import HELD, Refusal, Stream, ask, delta, dialect_server, said, usage
from tests.media_makers import write_clip

THOUGHT, ANSWER = "I look.\nIt is blue.", 'It is [{"bbox_2d": [1, 2, 3, 4], "label": "square"}].'
DONE = delta({}, "stop")


def fields(name: str) -> list[dict[str, Any]]:
    """A reply whose reasoning comes under `name`."""
    reasoning = [delta({name: piece, "content": None}) for piece in ("\nI look", ".\nIt is", " blue.\n")]
    return [delta({"role": "assistant"}), *reasoning, *(delta({"content": piece}) for piece in ("\n\n", ANSWER)), DONE]


@pytest.mark.parametrize(
    ("owned_by", "chunks"),
    [
        pytest.param("vllm", fields("reasoning"), id="vLLM"),
        pytest.param("vllm", fields("reasoning_content"), id="vLLM before"),
        pytest.param("sglang", fields("reasoning_content"), id="SGLang"),
        pytest.param("llamacpp", fields("reasoning_content"), id="llama.cpp"),
        pytest.param("deepseek", fields("reasoning_content"), id="DeepSeek"),
        pytest.param("vllm", said(f"<think>\n{THOUGHT}\n</think>\n\n", ANSWER), id="both tags in the text"),
        pytest.param("vllm", said("I look.\nIt is bl", "ue.\n</th", "ink>\n\n", ANSWER), id="opened by the prompt"),
    ],
)
def test_a_thought_is_told_apart_in_every_dialect(owned_by: str, chunks: list[dict[str, Any]]) -> None:
    with dialect_server(Stream(chunks), owned_by=owned_by) as server:
        result = ask(server)
    assert (result.reasoning, result.answer, result.finish_reason) == (THOUGHT, ANSWER, "stop")
    assert [region.label for region in result.grounding.regions] == ["square"]
    stages = list(result.timing.stage_ms)
    assert (stages[:3], stages[-2:]) == (["fuse", "send", "prefill"], ["answer", "deliver"])


def test_an_answer_of_a_model_that_does_not_think_is_one() -> None:
    """Nobody tells beforehand whether text without tags is a thought; the end does, and the next reply knows."""
    with dialect_server(Stream(said("It is ", "blue."))) as server:
        engine = RemoteEngine.connect(server.base_url)
        replies = [list(answer(Request("What is it?"), engine)) for _ in range(2)]
    for *_, result in replies:
        assert isinstance(result, Result)
        assert (result.reasoning, result.answer, result.tokens.reasoning) == ("", "It is blue.", 0)
    assert [step.channel for step in replies[1] if isinstance(step, Delta)] == ["answer", "answer"]


def test_a_refusal_in_words_is_the_answer() -> None:
    """OpenAI's own models tell it under a name of its own, beside a content of null. The answer was empty."""
    with dialect_server(
        Stream([delta({"content": None, "refusal": "I will "}), *said("not.", name="refusal")])
    ) as server:
        assert ask(server).answer == "I will not."


def test_a_thought_that_ran_out_of_tokens_is_no_answer() -> None:
    with dialect_server(Stream([delta({"content": "I look"}), delta({}, "length")])) as server:
        result = ask(server)
    assert (result.reasoning, result.answer, result.finish_reason, result.can_go_on) == ("I look", "", "length", False)


def test_what_the_server_reports_is_kept() -> None:
    likely = {"content": [{"token": "It", "logprob": -0.1, "bytes": None, "top_logprobs": []}] * 2}
    details = {
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    timings = {"prompt_ms": 12.5, "predicted_ms": 80.0}
    chunks = [
        delta({"reasoning_content": "I look."}),
        delta({"content": "Blue."}, logprobs=likely),
        delta({}, "stop"),
        {**usage(50, 9, **details), "timings": timings},
    ]
    with dialect_server(Stream(chunks), owned_by="llamacpp", meta={"n_ctx_train": 4096}) as server:
        result = ask(server)
        assert result.engine.place == f"llama.cpp at {server.host}"
        assert result.engine.server == server.host
    assert result.engine.context_tokens == 4096
    tokens = result.tokens
    assert (tokens.text, tokens.kept, tokens.reasoning, tokens.answer) == (50, 40, 7, 2)
    assert result.reported is not None
    assert (result.reported.prefill_ms, result.reported.decode_ms) == (12.5, 80.0)
    assert result.certainty == pytest.approx(np.exp(-0.1))


def test_a_thought_that_a_server_did_not_count_is_counted_here() -> None:
    """LM Studio and vLLM can report none beside a thought that they sent: all of the reply was the answer's."""
    thought = [delta({"reasoning_content": word}) for word in ("I", " look", ".")]
    counted = usage(5, 8, completion_tokens_details={"reasoning_tokens": 0})
    with dialect_server(Stream([*thought, *said("Blue."), counted])) as server:
        tokens = ask(server).tokens
    assert (tokens.reasoning, tokens.answer) == (6, 2)


@pytest.mark.parametrize(
    ("named", "sentence"),
    [("other", ' The server calls the model that answered "other".'), ("m", ""), ("m@main", ""), (7, ""), ("", "")],
)
def test_another_model_than_was_asked_for_is_told(named: object, sentence: str) -> None:
    """llama.cpp answers to any name, with the model that it has."""
    chunks = [{**chunk, "model": named} for chunk in said("It is blue.")]
    with dialect_server(Stream(chunks)) as server:
        engine = RemoteEngine.connect(server.base_url, "m")
        *_, result = answer(Request("What is it?"), engine)
    assert isinstance(result, Result)
    assert reported(result) == sentence


def test_a_reply_that_the_context_ends_is_told_as_that() -> None:
    """More new tokens were advised, which would have changed nothing."""
    chunks = [delta({"content": "It is"}), delta({}, "length"), usage(211, 45)]
    with dialect_server(Stream(chunks), owned_by="llamacpp", meta={"n_ctx": 256}) as server:
        result = ask(server, thinking=False)
    assert result.fills_context
    assert "Cut off: the model's context of 256 tokens is full: ask in fewer words" in as_text(result)
    assert "Cut off: the model&#x27;s context of 256 tokens is full ·" in ended(result)


def test_a_conversation_goes_out_as_it_stands(picture: Path) -> None:
    with dialect_server(Stream(said("Blue."))) as server:
        engine = RemoteEngine.connect(server.base_url)
        turn = Turn("What is it?", (picture,), "A square.")
        settings = Settings(max_new_tokens=99, system="Be brief.")
        list(answer(Request("Which colour?", history=(turn,), settings=settings), engine))
    (body,) = server.asked
    system, first, second, third = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    image, question = first["content"]
    assert question == {"type": "text", "text": "What is it?"}
    assert second == {"role": "assistant", "content": "A square."}
    assert third == {"role": "user", "content": "Which colour?"}
    assert (body["max_tokens"], body["stream"]) == (99, True)
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert "temperature" not in body
    kind, data = image["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(sent, np.asarray(Image.open(picture)))


def test_a_server_is_told_the_sampling_of_the_models_card(picture: Path) -> None:
    """Servers draw as they please from a checkpoint that has no generation_config.json, as those of the 2B and 4B."""
    with dialect_server(Stream(said("Blue.")), model="Qwen/Qwen3.5-4B", owned_by="vllm") as server:
        ask(server, picture, thinking=False)
    (body,) = server.asked
    told = body["temperature"], body["top_p"], body["top_k"], body["presence_penalty"]
    assert told == (FAST.temperature, FAST.top_p, FAST.top_k, FAST.presence_penalty)


def test_a_large_picture_goes_at_the_size_that_was_chosen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (1500, 2000, 3), np.uint8)).save(tmp_path / "large.png")
    with dialect_server(Stream(said("Noise."))) as server:
        result = ask(server, tmp_path / "large.png", max_pixels=512 * 512)
    kind, data = server.asked[0]["messages"][0]["content"][0]["image_url"]["url"].split(",")
    assert kind == "data:image/jpeg;base64"
    size = Image.open(io.BytesIO(base64.b64decode(data))).size
    assert size == (result.sights[0].width, result.sights[0].height) == (576, 416)
    assert result.sights[0].num_visual_tokens is None


def test_a_clip_goes_to_vllm_as_one_item_with_the_times_of_its_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    with dialect_server(Stream(said("It moves.")), owned_by="vllm") as server:
        result = ask(server, path)
    (body,) = server.asked
    item, _ = body["messages"][0]["content"]
    head, *frames = item["video_url"]["url"].split(",")
    assert (item["type"], head) == ("video_url", "data:video/jpeg;base64")
    clip = result.media[0]
    assert len(frames) == result.sights[0].num_frames
    told = body["media_io_kwargs"]["video"]
    assert [index / told["fps"] for index in told["frames_indices"]] == pytest.approx(clip.times_s, abs=1e-3)  # type: ignore[union-attr]
    assert body["mm_processor_kwargs"] == {"do_sample_frames": False}
    seen = result.sights[0]
    assert Image.open(io.BytesIO(base64.b64decode(frames[0]))).size == (seen.width, seen.height)


def test_a_clip_goes_to_sglang_as_a_small_video_of_its_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    with dialect_server(Stream(said("It moves.")), owned_by="sglang") as server:
        result = ask(server, path)
    item, _ = server.asked[0]["messages"][0]["content"]
    kind, data = item["video_url"]["url"].split(",")
    assert kind == "data:video/mp4;base64"
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        decoded = list(container.decode(video=0))
    clip = result.media[0]
    times_s = [frame.time for frame in decoded]
    assert len(decoded) == len(clip.times_s)  # type: ignore[union-attr]
    assert times_s[-1] == pytest.approx(clip.times_s[-1], abs=0.05)  # type: ignore[union-attr]
    assert np.abs(decoded[0].to_ndarray(format="rgb24").astype(int) - clip.rgb[0]).mean() < 6


@pytest.mark.parametrize("owned_by", ["llamacpp", "deepseek", ""])
def test_a_clip_goes_as_timed_pictures_where_no_item_is_known_to_be_taken(owned_by: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    with dialect_server(Stream(said("It moves.")), owned_by=owned_by) as server:
        result = ask(server, path)
    *items, _ = server.asked[0]["messages"][0]["content"]
    times = [item["text"] for item in items if item["type"] == "text"]
    assert times == [f"<{time_s:.1f} seconds>" for time_s in result.media[0].times_s]  # type: ignore[union-attr]
    assert [item["type"] for item in items] == ["text", "image_url"] * len(times)


def test_a_video_item_that_is_refused_goes_again_as_timed_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    refusal = Refusal(400, {"error": {"message": "frames_indices length (5) must match number of frames sent (4)"}})
    with dialect_server(refusal, Stream(said("It moves.")), owned_by="vllm") as server:
        engine = RemoteEngine.connect(server.base_url)
        request = Request("What moves?", (path,))
        *_, result = answer(request, engine)
        list(answer(request, engine))
    assert isinstance(result, Result)
    assert result.answer == "It moves."
    forms = [body["messages"][0]["content"][0]["type"] for body in server.asked]
    assert forms == ["video_url", "text", "text"]
    assert "media_io_kwargs" not in server.asked[1]


def test_a_parameter_that_is_refused_is_left_out_from_then_on() -> None:
    refusals = [
        Refusal(422, {"detail": "Unexpected fields in the request: {'top_k', 'min_p'}"}),
        Refusal(400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."}}),
    ]
    sampling = Sampling(temperature=0.7, top_p=0.8, top_k=20)
    with dialect_server(*refusals, Stream(said("Blue."))) as server:
        engine = RemoteEngine.connect(server.base_url)
        for _ in range(2):
            *_, result = answer(Request("What is it?", settings=Settings(sampling=sampling)), engine)
    assert isinstance(result, Result)
    assert "top_k" in server.asked[0]
    assert len(server.asked) == 4
    for body in server.asked[2:]:
        assert not {"top_k", "min_p", "max_tokens"} & set(body)
        assert (body["temperature"], body["max_completion_tokens"]) == (0.7, Settings.max_new_tokens)


@pytest.mark.parametrize("chunks", [[HELD], [delta({"reasoning_content": "I look."}), HELD]], ids=["early", "late"])
def test_a_stop_ends_the_work_of_the_server(chunks: list[dict[str, Any]]) -> None:
    stop = threading.Event()
    with dialect_server(Stream(chunks)) as server:
        engine = RemoteEngine.connect(server.base_url)
        steps = answer(Request("What is it?"), engine, stop)
        if len(chunks) > 1:
            next(steps)
            stop.set()
        else:
            threading.Timer(0.2, stop.set).start()
        *_, result = steps
        assert server.left.wait(20)
    assert isinstance(result, Result)
    assert result.finish_reason == "cancelled"
    assert result.reasoning == ("I look." if len(chunks) > 1 else "")


def test_leaving_the_stream_ends_the_work_of_the_server() -> None:
    with dialect_server(Stream([delta({"reasoning_content": "I look."}), HELD])) as server:
        steps = answer(Request("What is it?"), RemoteEngine.connect(server.base_url))
        next(steps)
        steps.close()  # type: ignore[attr-defined]
        assert server.left.wait(20)


@pytest.mark.parametrize("end", ["asked", "budget"])
def test_a_thought_that_must_end_is_followed_by_an_answer(end: str) -> None:
    hurry = threading.Event()
    thought = Stream([*(delta({"reasoning_content": word}) for word in ("I", " look", " long")), HELD])
    settings = Settings(max_thinking_tokens=2 if end == "budget" else None)
    if end == "asked":
        hurry.set()
    with dialect_server(thought, Stream([*said("Blue."), usage(10, 3)])) as server:
        engine = RemoteEngine.connect(server.base_url)
        *_, result = answer(Request("What is it?", settings=settings), engine, hurry=hurry)
        assert server.left.wait(20)
    assert isinstance(result, Result)
    assert (result.reasoning, result.answer) == ("I look" if end == "budget" else "I", "Blue.")
    assert result.thought_end == end
    assert [body["chat_template_kwargs"]["enable_thinking"] for body in server.asked] == [True, False]


@pytest.mark.parametrize(
    ("models", "model", "sentence"),
    [
        pytest.param(["a", "b"], None, "has these models: a, b. Name the one", id="several"),
        pytest.param([], None, "lists no model", id="no list"),
    ],
)
def test_which_model_must_be_told(models: list[str], model: str | None, sentence: str) -> None:
    with dialect_server(Stream(said("Blue.")), model="") as server:
        server.models = [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in models]
        with pytest.raises(UserError, match=sentence):
            RemoteEngine.connect(server.base_url, model)


def test_the_usual_model_is_asked_where_it_is_one_of_several() -> None:
    """A server with a model called `demo` beside others told whoever had named it to name one."""
    with dialect_server(Stream(said("Blue.")), model="") as server:
        server.models = [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in ("a", DEMO)]
        assert load_engine(DEMO, Running("openai", base_url=server.base_url)).info.model == DEMO
        server.models = [{"id": "a", "object": "model", "created": 1, "owned_by": "x"}]
        assert load_engine(DEMO, Running("openai", base_url=server.base_url)).info.model == "a"


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://x/v1", "file:///etc/passwd", ""])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(UserError, match="is no address of a server"):
        RemoteEngine.connect(address, "m")


def test_what_a_file_costs_is_not_invented(picture: Path) -> None:
    with dialect_server(Stream(said("Blue."))) as server:
        _, sight = foresee(picture, Settings(), RemoteEngine.connect(server.base_url).vision)
    assert (sight.width, sight.height, sight.num_visual_tokens) == (192, 160, None)
