"""The way through: from a request to its result, with a scripted reply and with the shipped model."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.demo.scoring import iou
from pipelines.engine import Enter, LocalEngine, ScriptedEngine, Step
from pipelines.grounding import parse_grounding
from pipelines.inputs import ModelInputs
from pipelines.messages import messages_of
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Clip, Delta, Picture, Progress, Record, Region, Request, Result, Settings, Turn, UserError
from tests.engine_cases import result_of

EXAMPLES = DEMO_FOLDER.parent / "examples"
REPLY = 'I look.\n1. blue square\n</think>\n\n[{"bbox_2d": [100, 200, 300, 400], "label": "blue square"}]'


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


def test_a_reply_becomes_reasoning_answer_and_regions(checkpoint: Checkpoint, picture: Path) -> None:
    result = result_of(Request("Where is the blue square?", (picture,)), ScriptedEngine(REPLY, checkpoint))
    assert result.reasoning == "I look.\n1. blue square"
    assert result.answer.startswith('[{"bbox_2d"')
    assert result.grounding.regions == (Region("blue square", box=(100, 200, 300, 400)),)
    assert result.finish_reason == "stop"
    assert [type(item) for item in result.media] == [Picture]


def test_deltas_add_up_to_the_result_and_come_before_it(checkpoint: Checkpoint, picture: Path) -> None:
    steps = list(answer(Request("Where?", (picture,)), ScriptedEngine(REPLY, checkpoint)))
    result = steps.pop()
    assert isinstance(result, Result)
    texts = {"reasoning": "", "answer": ""}
    for step in steps:
        assert isinstance(step, Delta)
        texts[step.channel] += step.text
    assert texts == {"reasoning": result.reasoning, "answer": result.answer}


def test_tokens_are_counted_as_ids_on_the_channel_they_belong_to(checkpoint: Checkpoint, picture: Path) -> None:
    tokens = result_of(Request("Where?", (picture,)), ScriptedEngine(REPLY, checkpoint)).tokens
    reasoning, reply = REPLY.split("</think>")
    assert tokens.reasoning == len(checkpoint.encode(reasoning + "</think>"))
    assert tokens.answer == len(checkpoint.encode(reply))
    assert tokens.visual > 0
    assert tokens.text > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 0) for name in ("max_new_tokens", "max_thinking_tokens", "num_frames", "max_frames")),
        *(("sample_fps", value) for value in (0, math.nan, math.inf)),
        *(("price_per_hour", value) for value in (-1, math.nan, math.inf)),
    ],
)
def test_a_setting_that_cannot_be_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be "):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_stages_are_observed_and_timed_in_order(checkpoint: Checkpoint, picture: Path) -> None:
    told: list[Progress | Record] = []
    steps = answer(Request("Where?", (picture,)), ScriptedEngine(REPLY, checkpoint), observe=told.append)
    *_, result = steps
    assert isinstance(result, Result)
    seen = [item for item in told if isinstance(item, Progress)]
    stages = ["open", "fuse", "vision", "prefill", "think", "answer"]
    assert list(dict.fromkeys(progress.stage for progress in seen)) == stages
    assert seen[-1] == Progress("answer", result.tokens.answer)
    assert [span.stage for span in result.timing.spans] == [*stages, "deliver"]
    assert sum(span.duration_ms for span in result.timing.spans) == pytest.approx(result.timing.total_ms, rel=0.1)
    assert result.timing.time_to_first_token_ms is not None


def test_fast_mode_answers_without_a_reasoning_stage(checkpoint: Checkpoint, picture: Path) -> None:
    request = Request("How many?", (picture,), Settings(thinking=False))
    result = result_of(request, ScriptedEngine("One.", checkpoint))
    assert (result.reasoning, result.answer, result.tokens.reasoning) == ("", "One.", 0)
    assert "think" not in result.timing.stage_ms


def test_a_stop_keeps_the_partial_text(checkpoint: Checkpoint, picture: Path) -> None:
    stop = threading.Event()
    steps = answer(Request("Where?", (picture,)), ScriptedEngine(REPLY, checkpoint), stop)
    first = next(steps)
    assert isinstance(first, Delta)
    stop.set()
    *_, result = steps
    assert isinstance(result, Result)
    assert result.finish_reason == "cancelled"
    assert result.reasoning.startswith(first.text.strip())
    assert result.answer == ""


def test_closing_the_stream_frees_the_engine(checkpoint: Checkpoint, picture: Path) -> None:
    engine = ScriptedEngine(REPLY, checkpoint)
    steps = answer(Request("Where?", (picture,)), engine)
    next(steps)
    assert engine.num_running == 1
    steps.close()  # type: ignore[attr-defined]
    assert engine.num_running == 0


def test_a_reply_cut_inside_its_reasoning_is_no_answer(checkpoint: Checkpoint, picture: Path) -> None:
    request = Request("Where?", (picture,), Settings(max_new_tokens=3))
    result = result_of(request, ScriptedEngine('[{"bbox_2d": [1, 2, 3, 4]}]', checkpoint))
    assert (result.answer, result.grounding.regions, result.finish_reason) == ("", (), "length")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        pytest.param("  \n", "There is no question: type one", id="no question"),
        pytest.param("What is in this picture?", "none is given: add one", id="this picture"),
        pytest.param("Describe the image.", "none is given: add one", id="the image"),
        pytest.param("Locate the cup. Report bbox coordinates in JSON format.", "none is given: add one", id="boxes"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_sentence(
    checkpoint: Checkpoint, question: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        result_of(Request(question), ScriptedEngine("", checkpoint))


@pytest.mark.parametrize(
    "question",
    [
        *("How many days are there in a leap year?", "Which direction does the Nile flow?", "What is a bounding box?"),
        *("Who directed the film Alien?", "Can you see the Great Wall from space?"),
    ],
)
def test_a_question_about_the_world_needs_no_picture(checkpoint: Checkpoint, question: str) -> None:
    assert (
        result_of(Request(question, settings=Settings(thinking=False)), ScriptedEngine("So it is.", checkpoint)).answer
        == "So it is."
    )


def test_a_place_belongs_to_the_picture_that_came_last(checkpoint: Checkpoint, picture: Path) -> None:
    turns = (Turn("What is it?", (picture,), "A square."), Turn("And here?", (picture,), "One more."))
    engine = ScriptedEngine('[{"bbox_2d": [1, 2, 3, 4]}]', checkpoint)
    for history, media_index in (((), 0), (turns[:1], 0), (turns, 1)):
        request = Request("Where?", () if history else (picture,), Settings(thinking=False), history)
        (region,) = result_of(request, engine).grounding.regions
        assert region.media_index == media_index
    pointed = Request("Where?", (picture,), Settings(thinking=False), turns, about=0)
    assert result_of(pointed, engine).grounding.regions[0].media_index == 0
    followed = (*turns, Turn("What is in this region?", (picture,), "A circle.", about=0))
    later = Request(
        "Where?", (), Settings(thinking=False), followed
    )  # its places were drawn on the part that was cut out
    assert result_of(later, engine).grounding.regions[0].media_index == 0


def test_a_question_about_no_picture_needs_none(checkpoint: Checkpoint) -> None:
    request = Request("Who painted the first frame houses of Bergen?", settings=Settings(thinking=False))
    assert result_of(request, ScriptedEngine("I do not know.", checkpoint)).answer == "I do not know."


def test_a_conversation_keeps_its_media_in_order() -> None:
    blank = Picture("a", np.zeros((32, 32, 3), np.uint8))
    clip = Clip("b", np.zeros((1, 32, 32, 3), np.uint8), (0.0,), (0,), 1.0)
    earlier = Turn("How many?", (Path("a.png"),), "Two.")
    request = Request("And here?", (Path("b.mp4"),), history=(earlier,))
    assert request.files == (Path("a.png"), Path("b.mp4"))
    assert messages_of(request, (blank, clip)) == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "And here?"}]},
    ]


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


def true_answer(file: str, question: str) -> str:
    entries = json.loads((EXAMPLES / "manifest.json").read_text(encoding="utf-8"))
    (found,) = [entry["answer"] for entry in entries if (entry["file"], entry["question"]) == (file, question)]
    return str(found)


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "fast"])
@pytest.mark.parametrize(
    ("file", "question"),
    [("shapes.png", "How many red shapes are there?"), ("moving-circle.mp4", "Which way does the circle move?")],
)
def test_the_shipped_model_answers_the_examples(engine: LocalEngine, file: str, question: str, thinking: bool) -> None:
    result = result_of(Request(question, (EXAMPLES / file,), Settings(thinking=thinking)), engine)
    truth = true_answer(file, question)
    assert bool(result.reasoning) == thinking
    assert result.answer == truth if thinking else result.answer.split()[:2] == truth.split()[:2]


def test_the_shipped_model_finds_the_blue_square(engine: LocalEngine) -> None:
    question = "Where is the blue square? Report bbox coordinates in JSON format."
    (region,) = result_of(Request(question, (EXAMPLES / "shapes.png",)), engine).grounding.regions
    (true_region,) = parse_grounding(true_answer("shapes.png", question)).regions
    assert region.label == "blue square"
    assert iou(region.box or (), true_region.box or ()) > 0.75
    fast = result_of(Request(question, (EXAMPLES / "shapes.png",), Settings(thinking=False)), engine)
    assert [found.label for found in fast.grounding.regions] == ["blue square"]


def test_a_follow_up_about_the_same_picture_runs_on_the_shipped_model(engine: LocalEngine, picture: Path) -> None:
    first = result_of(Request("How many objects are there?", (picture,)), engine)
    history = (Turn("How many objects are there?", (picture,), first.answer),)
    second = result_of(Request("What colour is the square?", history=history), engine)
    assert first.answer
    assert second.answer
    assert second.tokens.visual == first.tokens.visual


def test_a_system_prompt_comes_first_and_holds_no_control_token(checkpoint: Checkpoint, picture: Path) -> None:
    settings = Settings(system="  Be brief.<|im_end|> ")
    request = Request("Where?", (picture,), settings, (Turn("Is it?", (), "Yes."),))
    messages = messages_of(request, (Picture("a", np.zeros((8, 8, 3), np.uint8)),))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    heard = Heard(REPLY, checkpoint)
    result_of(request, heard)
    assert heard.prompt.startswith("<|im_start|>system\nBe brief.<\u2060|im_end|><|im_end|>\n<|im_start|>user\n")


class Heard(ScriptedEngine):
    """Keeps the prompt that it got, as text."""

    prompt = ""

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        self.prompt = self.checkpoint.tokenizer.decode(inputs.input_ids[0].tolist(), skip_special_tokens=False)
        yield from super().generate(inputs, settings, enter, stop, hurry)


def test_a_system_prompt_beside_tools_goes_along(checkpoint: Checkpoint, picture: Path) -> None:
    heard = Heard(REPLY, checkpoint)
    result_of(Request("Where?", (picture,), Settings(system="Be brief.", look_closer=True)), heard)
    first, _ = heard.prompt.split("<|im_end|>", 1)
    assert "# Tools" in first
    assert first.endswith("Be brief.")


def test_a_system_prompt_has_its_bound(checkpoint: Checkpoint) -> None:
    with pytest.raises(UserError, match="longer than 8,000 characters: shorten it"):
        result_of(Request("Hello", settings=Settings(system="x" * 8_001)), ScriptedEngine(REPLY, checkpoint))
