"""Two models side by side: what is counted the same, and the table of a folder."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from pipelines.__main__ import main
from pipelines.batch.items import Item
from pipelines.checkpoint import Checkpoint
from pipelines.commands.compare import ask
from pipelines.compare.common import MAX_WORDS, in_common
from pipelines.compare.pairs import Pair, iou, overlap
from pipelines.compare.places import load
from pipelines.compare.votes import FILE, Contender, Vote, keep, kept
from pipelines.conversation import Draft
from pipelines.engine import Engine, ScriptedEngine, Step
from pipelines.models import DEMO_FOLDER
from pipelines.present.comparison import Comparison, Side
from pipelines.present.side_by_side import MAX_DRAWN, drawn_html
from pipelines.types import Region, Settings, WeightFormat
from tests.dialect_server import Answer, Refusal, Stream, dialect_server, said
from tests.present_values import picture, result

EXAMPLES = DEMO_FOLDER.parent / "examples"


@pytest.mark.parametrize(
    ("first", "second", "is_same", "differing"),
    [
        pytest.param("There are 3.", "there  are 3.", True, ("There are 3.", "there are 3."), id="case"),
        pytest.param("There are 3.", "There are 4.", False, ("There are [3.]", "There are [4.]"), id="number"),
        pytest.param("A red cat", "A cat", False, ("A [red] cat", "A cat"), id="word"),
    ],
)
def test_answers_are_compared_by_their_words(
    first: str, second: str, is_same: bool, differing: tuple[str, str]
) -> None:
    pair = Pair(result(answer=first), result(answer=second))
    assert (pair.is_same, pair.differing) == (is_same, differing)


def test_a_question_that_one_could_not_answer_is_never_the_same() -> None:
    assert not Pair("It failed.", "It failed.").is_same
    assert Pair("It failed.", result()).overlap is None


def test_boxes_are_paired_best_first() -> None:
    left, right, half = (0.0, 0.0, 100.0, 100.0), (500.0, 0.0, 600.0, 100.0), (0.0, 0.0, 50.0, 100.0)
    assert iou(left, left) == 1
    assert iou(left, right) == 0
    assert iou(left, half) == 0.5
    a, b, c = (Region(name, box=box) for name, box in (("a", left), ("b", right), ("c", half)))
    assert overlap([a, b], [b, a]) == 1
    assert overlap([a, b], [c]) == 0.25
    assert overlap([a], []) == 0
    assert overlap([], []) is None
    assert Pair(result(regions=(a,)), result(regions=(c, Region("point", point=(1, 1))))).overlap == 0.5


@pytest.mark.parametrize("apart", [{"media_index": 1}, {"time_s": 2.0}])
def test_boxes_in_other_media_or_at_other_times_do_not_lie_on_each_other(apart: dict[str, Any]) -> None:
    """The verdict said of such boxes that none is the same, and that they lie on each other by 100%."""
    region = Region("cup", box=(100, 100, 300, 300), time_s=0.0)
    pair = Pair(result(regions=(region,)), result(regions=(replace(region, **apart),)))
    assert (pair.partners, pair.overlap) == (({}, {}), 0)


def test_a_like_that_is_not_drawn_is_told_without_its_number() -> None:
    place = Region("cup", box=(100, 100, 300, 300))
    others = tuple(Region("dot", point=(900, at)) for at in range(MAX_DRAWN))
    pair = Pair(result(picture(), regions=(place,)), result(picture(), regions=(*others, place)))
    shown = drawn_html(Comparison(Draft("Where?"), (Side("a", reply=pair.first), Side("b", reply=pair.second))), None)
    assert "in B too" in shown
    assert f"B{MAX_DRAWN + 1}" not in shown


def test_places_find_their_like_in_the_other_answer() -> None:
    box, shifted = (100.0, 100.0, 300.0, 300.0), (110.0, 100.0, 310.0, 300.0)
    mine = (Region("a", box=box), Region("b", point=(500, 500)), Region("c", box=box, time_s=4.0))
    theirs = (Region("d", point=(520, 500)), Region("e", box=shifted), Region("f", box=box, time_s=9.0))
    assert Pair(result(regions=mine), result(regions=theirs)).partners == ({0: 1, 1: 0}, {1: 0, 0: 1})
    assert Pair(result(regions=mine), "It failed.").partners == ({}, {})


def test_parts_keep_every_character_of_both_answers() -> None:
    pair = Pair(result(answer="One\n\n  two three"), result(answer="One two  four"))
    first, second = pair.parts
    assert "".join(part.text for part in first) == "One\n\n  two three"
    assert [part.text for part in second if part.is_own] == ["four"]


def test_as_few_words_as_can_be_are_marked() -> None:
    """The longest block was held in place, whatever it kept from being found around it."""
    pair = Pair(result(answer="p q r s A B C"), result(answer="A B C p 1 q 2 r 3 s"))
    assert pair.differing == ("p q r s [A B C]", "[A B C] p [1] q [2] r [3] s")


def test_of_words_that_are_alike_the_last_are_marked_as_more() -> None:
    assert Pair(result(answer="1, 1, 1, 1,"), result(answer="1, 1,")).differing == ("1, 1, [1, 1,]", "1, 1,")


def test_what_is_in_common_is_in_order_and_the_longest() -> None:
    """Against the table of it, number by number."""
    random = Random(0)
    for _ in range(200):
        first, second = ([random.choice("abcd") for _ in range(random.randrange(9))] for _ in "ab")
        here, there = in_common(first, second)
        assert [first[i] for i in sorted(here)] == [second[k] for k in sorted(there)]
        lengths = {(i, k): 0 for i in range(-1, len(first)) for k in range(-1, len(second))}
        for i, one in enumerate(first):
            for k, other in enumerate(second):
                longer = lengths[i - 1, k - 1] + (one == other)
                lengths[i, k] = max(longer, lengths[i - 1, k], lengths[i, k - 1])
        assert len(here) == lengths[len(first) - 1, len(second) - 1]


def test_an_answer_without_end_is_compared_as_far_as_that_goes() -> None:
    """Answers of models in a loop took minutes, anew each time the page was drawn."""
    pair = Pair(result(answer="1, " * MAX_WORDS + "and 2."), result(answer="1, " * 10))
    (same, own, rest), others = pair.parts
    assert [part.is_own for part in (same, own, rest)] == [False, True, False]
    assert (len(same.text.split()), rest.text) == (10, "and 2.")
    assert [part.is_own for part in others] == [False]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shapes.png", "signs.png"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    return tmp_path


def test_a_model_here_and_one_on_a_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[Answer] = [Stream(said("There are 3 red shapes.")), Refusal(400, {"message": "no"})]
    with dialect_server(*answers, model="other") as server:
        remote = f"other@{server.base_url}"
        question = ["-q", "How many red shapes are there?", "--thinking", "off", "--greedy"]
        assert main(["compare", str(folder), *question, "--models", "demo", remote, "--prices", "2", "0"]) == 0
    head, first, second, _, same, here, there, *rest = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["file", "first", "second"]
    assert first.startswith("shapes.png")
    assert "refused the question (400)" in second
    assert same.split()[1:] == ["of", "2", "answers", "are", "the", "same."]
    assert here.startswith("demo: ")
    assert here.endswith(" an answer at 2 an hour.")
    assert there.startswith(f"{remote}: ")
    assert there.endswith("; 1 could not be answered.")
    assert f"  {remote}: [The server at" in "\n".join(rest)


def test_whatever_fails_is_told_of_its_own_question_alone(folder: Path) -> None:
    """An error that no sentence was written for ended the command, and every answer before it was lost."""

    class Broken(ScriptedEngine):
        def generate(self, *_: object) -> Iterator[Step]:
            raise ZeroDivisionError("in a layer")

    item = Item("shapes.png", folder / "shapes.png", "What is it?")
    asked = ask(item, Broken("", Checkpoint.open(DEMO_FOLDER)), Settings())
    assert asked.reply == "The program failed at this file (ZeroDivisionError: in a layer): ask about it alone."


def test_lines_of_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = ["-q", "How many objects are there?", "--thinking", "off", "--json"]
    assert main(["compare", str(folder), *question, "--models", "demo", "demo"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == ["shapes.png", "signs.png"]
    for line in lines:
        (seen,) = line["second"]["media"]
        with Image.open(folder / line["file"]) as drawn:
            assert tuple(seen["size"]) == drawn.size
        assert line["same"]
        assert line["first"]["answer"] == line["second"]["answer"]


def test_only_one_of_both_has_to_fit_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was still there as the second was loaded."""
    loaded: list[weakref.ref[Engine]] = []

    def counted(name: str, weights: WeightFormat) -> Engine:
        assert not any(engine() for engine in loaded)
        engine = load(name, weights)
        loaded.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr("pipelines.commands.compare.load", counted)
    assert main(["compare", str(folder), "-q", "What?", "--thinking", "off", "--models", "demo", "demo"]) == 0
    assert len(loaded) == 2


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("7C", '"7C" is not a known model'), ("a@http://", '"http://" is no address of a server')],
)
def test_a_model_that_can_be_none_is_one_sentence_before_anything_is_asked(
    name: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(folder), "-q", "What?", "--models", "demo", name]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Loading" not in told


def vote(id: str, answer: str = "Yes.") -> Vote:
    sides = (Contender("A", "here", answer, 1.0, 1), Contender("B", "here", "No.", 1.0, 1))
    return Vote(id, 0.0, "Is it so?", (), *sides, is_same=False, overlap=None, choice="first")


def test_a_vote_behind_half_a_line_is_kept(tmp_path: Path) -> None:
    """It was written onto the half that a full disk had left, and lost with it."""
    keep(vote("a"), tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write(vote("half").as_json()[:50])
    keep(vote("b"), tmp_path)
    assert [found.id for found in kept(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("text", ["one\u2028two", "one\x85two", "half \ud800 of a pair"])
def test_a_vote_about_any_text_is_kept(text: str, tmp_path: Path) -> None:
    keep(vote("a", text), tmp_path)
    (found,) = kept(tmp_path)
    assert found.first.answer == text.replace("\ud800", "?")
