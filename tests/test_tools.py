"""Looking closer: what a call may say, what it gives, and the loop of calls with the model that ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest
from PIL import Image

from pipelines.checkpoint import Checkpoint
from pipelines.demo.cases import make_cases
from pipelines.engine import LocalEngine, ScriptedEngine
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.tools import MAX_LOOKS, Written, follow, offered, told
from pipelines.tools.calls import Call, read_call
from pipelines.types import Clip, Delta, Look, Media, Picture, Progress, Record, Request, Result, Sampling, Settings
from tests.engine_cases import result_of
from tests.media_makers import write_clip

CLOSER = Settings(look_closer=True, sampling=Sampling(), max_new_tokens=400)
PICTURE = Picture("a.png", np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3), "one")
CLIP = Clip("b.mp4", np.zeros((4, 64, 64, 3), np.uint8), (0.0, 0.5, 1.0, 1.5), (0, 15, 30, 45), 2.0, content="two")


def written(name: str = "image_zoom_in_tool", **arguments: str) -> str:
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<function={name}>\n{parameters}</function>"


def zooming(box: str = "[250, 500, 750, 1000]", index: str = "0") -> str:
    return written(bbox_2d=box, label="thing", img_idx=index)


def no_span(*asked: float) -> Media:
    raise AssertionError(f"no frames were asked for: {asked}")


def look(call: str, media: tuple[Media, ...] = (PICTURE,), looks: tuple[Look, ...] = ()) -> Look:
    return follow(Written("", "", call), media, looks, no_span)


@pytest.mark.parametrize(
    ("width", "kept"), [(480, (240, 480)), (481, (121, 241)), (959, (240, 480)), (961, (161, 321))]
)
def test_what_is_kept_for_the_eye_is_small(width: int, kept: tuple[int, int]) -> None:
    """Up to twice the bound everything was kept whole."""
    seen = Picture("a.png", np.zeros((-(-width // 2), width, 3), np.uint8))
    reduced = replace(look(zooming()), shown=seen).reduced().shown
    assert reduced is not None
    assert reduced.rgb.shape[:2] == kept


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (zooming(), Call("image_zoom_in_tool", {"bbox_2d": "[250, 500, 750, 1000]", "label": "thing", "img_idx": "0"})),
        ("<function=f>\n</function>", Call("f", {})),
        ("<function=f>\n<parameter=a>\n1\n</parameter>", Call("f", {"a": "1"})),
        ("<function=f><parameter=a>two\nlines</parameter></function>", Call("f", {"a": "two\nlines"})),
        ("<function=f>\n<parameter=a>\n1", Call("f", {})),
        ("<function=f>\n<parameter=a>\n1\n<parameter=b>\n2\n</parameter>", Call("f", {"a": "1", "b": "2"})),
        (
            "<function=f>" + "<parameter=a>1</parameter>" * 15 + "<parameter=b>2<parameter=c>3",
            Call("f", {"a": "1", "b": "2"}),
        ),
        ('{"name": "f", "arguments": {"a": 1}}\n\n{"name": "g", "arguments": {}}', Call("f", {"a": "1"})),
        (
            '{"name": "f", "arguments": {"bbox_2d": [1, 2, 3, 4], "label": "x"}}',
            Call("f", {"bbox_2d": "[1, 2, 3, 4]", "label": "x"}),
        ),
        ('{"name": "f"}', Call("f", {})),
        ('{"name": 3, "arguments": {}}', Call("", {})),
        ("[" * 100_000, Call("", {})),
        ("", Call("", {})),
        ("zoom in please", Call("", {})),
    ],
)
def test_a_call_is_read_as_far_as_it_can_be(text: str, call: Call) -> None:
    assert read_call(text) == call


def test_a_region_is_cut_from_the_original_at_full_resolution() -> None:
    found = look(zooming())
    assert isinstance(found.shown, Picture)
    assert np.array_equal(found.shown.rgb, PICTURE.rgb[50:100, 50:150])
    assert (found.box, found.media_index, found.whole, found.refused) == ((250, 500, 750, 1000), 0, PICTURE, "")
    assert found.shown.content.startswith("one ")


def test_a_region_of_a_region_is_cut_from_the_original_too() -> None:
    first = look(zooming())
    second = look(zooming("[0, 0, 500, 500]", "1"), looks=(first,))
    assert isinstance(second.shown, Picture)
    assert second.box == (250, 500, 500, 750)
    assert np.array_equal(second.shown.rgb, PICTURE.rgb[50:75, 50:100])


def test_pictures_are_counted_without_the_clips_between_them() -> None:
    other = replace(PICTURE, name="c.png")
    assert look(zooming(index="1"), (PICTURE, CLIP, other)).whole is other


def test_a_call_of_parameters_without_end_is_read() -> None:
    """It took hours: each was looked through to the end of the text, where none of them ends."""
    assert read_call("<function=f>" + "<parameter=a>" * 100_000) == Call("f", {"a": ""})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (written("rm_rf", path="/"), "There is no tool of that name here"),
        (written("clip_frames_tool", start_s="0", end_s="1", num_frames="4"), "There is no tool of that name here"),
        ("nonsense", "The call cannot be read"),
        (written(label="thing", img_idx="0"), "bbox_2d is missing"),
        (zooming("[1, 2, 3"), "bbox_2d has to be four numbers"),
        (zooming("[1, 2, 3]"), "bbox_2d has to be four numbers"),
        (zooming('["a", 2, 3, 4]'), "bbox_2d has to be four numbers"),
        (zooming("[1, 2, 1e999, 4]"), "bbox_2d has to be four numbers"),
        (zooming(f"[1, 2, {'9' * 400}, 4]"), "bbox_2d has to be four numbers"),
        (zooming("[500, 500, 500, 900]"), "The box is empty"),
        (zooming("[700, 500, 500, 900]"), "The box is empty"),
        (zooming("[1200, 1200, 1300, 1300]"), "The box is empty"),
        (zooming("[0, 0, 1, 1000]"), "The box is too thin"),
        (zooming(index="1"), "There is no picture 1: the only picture is 0"),
        (zooming(index="-1"), "There is no picture -1"),
        (zooming(index="0.5"), "There is no picture 0.5"),
        (zooming(index="first"), "img_idx has to be a number"),
    ],
)
def test_a_bad_call_is_answered_in_one_sentence(call: str, words: str) -> None:
    found = look(call)
    assert found.shown is None
    assert found.refused.startswith(words)
    assert found.refused.count(".") - found.refused.count("0.") <= 1
    assert told([found])[-1] == {"role": "tool", "content": found.refused}


def test_no_more_than_six_calls_are_followed() -> None:
    looks = (look(zooming()),) * MAX_LOOKS
    assert look(zooming(), looks=looks).refused.startswith("You have looked 6 times and no call is left")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"start_s": "1", "end_s": "1", "num_frames": "4"}, "The span is empty"),
        ({"start_s": "5", "end_s": "9", "num_frames": "4"}, "The span is empty"),
        ({"start_s": "0", "end_s": "1", "num_frames": "0"}, "num_frames has to be a whole number from 1 to 32"),
        ({"start_s": "0", "end_s": "1", "num_frames": "1000"}, "num_frames has to be a whole number"),
        ({"start_s": "0", "end_s": "1"}, "num_frames is missing"),
        ({"start_s": "NaN", "end_s": "1", "num_frames": "4"}, "start_s has to be a number"),
    ],
)
def test_a_bad_span_is_answered_in_one_sentence(arguments: dict[str, str], words: str) -> None:
    assert look(written("clip_frames_tool", **arguments), (CLIP,)).refused.startswith(words)


def test_each_kind_of_medium_has_its_tool() -> None:
    def names(*media: Media) -> list[object]:
        return [tool["function"]["name"] for tool in offered(media)]

    assert names(PICTURE) == ["image_zoom_in_tool"]
    assert names(CLIP) == ["clip_frames_tool"]
    assert names(CLIP, PICTURE) == ["image_zoom_in_tool", "clip_frames_tool"]
    assert names() == []


def ask(engine: LocalEngine | ScriptedEngine, request: Request) -> tuple[list[Delta], list[Look], Result]:
    steps = list(answer(request, engine))
    *_, result = steps
    assert isinstance(result, Result)
    return [s for s in steps if isinstance(s, Delta)], [s for s in steps if isinstance(s, Look)], result


def zoom_cases(tmp_path: Path, count: int) -> Iterator[tuple[Path, str, str]]:
    """Files with something too small to be told, a question about it, and its answer."""
    for number, case in enumerate(make_cases("zoom", count)):
        [picture] = case.query.media
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture.rgb).save(path)
        yield path, case.query.question, case.truth


def test_the_model_that_ships_looks_closer_and_answers(engine: LocalEngine, tmp_path: Path) -> None:
    """It calls in nearly all of 12, and most answers are right; nothing of what it has seen is seen again."""
    called, right = 0, 0
    for path, question, truth in zoom_cases(tmp_path, 12):
        runs = engine.scheduler.tower.num_runs
        _, looks, result = ask(engine, Request(question, (path,), CLOSER, conversation=str(path)))
        if not looks:
            continue
        called += 1
        right += result.answer == truth
        assert list(result.looks) == looks
        assert engine.scheduler.tower.num_runs - runs == 1 + len([one for one in looks if one.shown is not None])
        assert looks[0].reasoning
        assert "look" in result.timing.stage_ms
        assert "tool" in result.timing.stage_ms
        assert sum(result.timing.stage_tokens.get(stage, 0) for stage in ("think", "tool", "answer")) > 0
        assert len(result.media) == 1
        assert result.tokens.kept == 0  # of what was there before it was asked
        assert result.timing.stage_ms["restore"] > 0
        assert result.timing.stage_tokens["prefill"] < 2 * result.tokens.text
    assert called >= 10
    assert right >= 6


def test_a_switch_that_is_off_offers_no_tool(engine: LocalEngine, tmp_path: Path) -> None:
    [(path, question, _)] = zoom_cases(tmp_path, 1)
    _, looks, result = ask(engine, Request(question, (path,), replace(CLOSER, look_closer=False)))
    assert looks == []
    assert result.looks == ()


def scripted(call: str) -> ScriptedEngine:
    return ScriptedEngine(f"I look.</think>\n\n<tool_call>\n{call}\n</tool_call>", Checkpoint.open(DEMO_FOLDER))


def test_a_model_that_only_calls_is_ended(picture: Path) -> None:
    """Six calls are followed, the seventh is told that none is left, and what then comes is the reply."""
    long = replace(CLOSER, max_new_tokens=4096)
    deltas, looks, result = ask(scripted(zooming()), Request("Where?", (picture,), long))
    assert [one.refused == "" for one in looks] == [True] * 6 + [False]
    assert result.finish_reason == "stop"
    assert result.answer == ""
    assert {delta.channel for delta in deltas} == {"reasoning", "tool_call"}


@pytest.mark.parametrize(("spare", "num_looks"), [(-1, 0), (0, 0), (1, 1)])
def test_all_replies_on_the_way_share_one_limit_of_new_tokens(picture: Path, spare: int, num_looks: int) -> None:
    """Each had it anew: eight times as many tokens could be had of a host as it allows."""
    engine = scripted(zooming())
    num_tokens = result_of(Request("Where?", (picture,), replace(CLOSER, look_closer=False)), engine).tokens
    limit = num_tokens.reasoning + num_tokens.answer + spare
    _, looks, result = ask(engine, Request("Where?", (picture,), replace(CLOSER, max_new_tokens=limit)))
    assert len(looks) == num_looks
    assert result.tokens.reasoning + result.tokens.answer == limit
    assert (result.finish_reason, result.can_go_on) == ("length", True)


def test_a_label_that_spells_control_tokens_is_text(picture: Path) -> None:
    call = written(bbox_2d="[0, 0, 500, 500]", label="<|image_pad|><|im_end|>", img_idx="0")
    _, looks, _ = ask(scripted(call), Request("Where?", (picture,), replace(CLOSER, max_new_tokens=4096)))
    assert len(looks) == 7


def test_more_frames_of_a_span_are_fetched(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=60)
    call = written("clip_frames_tool", start_s="0.5", end_s="1.5", num_frames="4")
    _, looks, result = ask(scripted(call), Request("When?", (clip,), CLOSER))
    seen = looks[0].shown
    assert isinstance(seen, Clip)
    assert len(seen.times_s) == 4
    assert seen.times_s[0] == 0.48  # shown up to 0.52
    assert seen.times_s[-1] <= 1.5
    assert looks[0].span_s == (0.5, 1.5)
    assert len(result.media) == 1


def test_a_stop_while_more_frames_are_fetched_is_told_as_one(tmp_path: Path) -> None:
    """It was told as a reply that had ended by itself."""
    clip = write_clip(tmp_path / "clip.mp4", frames=72)  # read by no other test: its frames would be kept
    call = written("clip_frames_tool", start_s="0.5", end_s="1.5", num_frames="4")
    stop, outcomes = Flag(), list[str]()

    def observe(told: Progress | Record) -> None:
        if isinstance(told, Record):
            outcomes.append(told.outcome)
        elif told.stage == "look":
            stop.set()

    *_, result = answer(Request("When?", (clip,), CLOSER), scripted(call), stop, observe)
    assert isinstance(result, Result)
    assert (result.finish_reason, outcomes, result.looks) == ("cancelled", ["cancelled"], ())
