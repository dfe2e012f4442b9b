"""A reply that ran out of tokens, in a conversation that is opened again, by another program too."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.archive.cut_off import cut_off_as_json, cut_off_of_json
from pipelines.conversation import CutOff, Draft, Reply
from pipelines.engine import LocalEngine
from pipelines.present.listing import Pressed, Remembered
from pipelines.serving.asking import ask
from pipelines.serving.keeping import GONE_FILES, Keeping, save
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Look, Said, Sampling, Settings, Token
from tests.archive_values import media
from tests.present_values import result

QUESTION = "Describe the picture."
SETTINGS = Settings(sampling=Sampling(), max_pixels=128 * 128, system="Be brief.", max_new_tokens=12)
SAID = (Said(Token(5, "A ", -0.25), "answer"), Said(Token(6, "", None), "answer"))
CUT = CutOff(replace(result(answer="A ", reasoning="", finish_reason="length"), token_ids=(5, 6), said=SAID), SETTINGS)


@pytest.fixture
def keeping(archive: Archive, tmp_path: Path) -> Keeping:
    return Keeping(archive, lambda session, typed: session.leave(typed, is_kept=True), lambda: tmp_path / "uploads")


def answered(session: Session, engine: LocalEngine, archive: Archive, settings: Settings = SETTINGS) -> str:
    """The status line once the question on its way is answered, and the conversation kept."""

    def keep() -> None:
        assert save(archive, session) == ""

    *_, update = ask(session, settings, Model("demo", engine).answer, keep)
    return update.status


def begun(engine: LocalEngine, archive: Archive, picture: Path) -> Session:
    """A conversation whose last reply was cut off, as it is kept."""
    session = Session()
    session.begin(Draft(QUESTION, (picture,)))
    answered(session, engine, archive)
    assert session.can_go_on
    return session


@pytest.mark.parametrize("parts", [[300], [3, 300], [3, 1, 300]], ids=str)
def test_a_reply_that_was_cut_off_goes_on_as_if_it_had_not_been(
    engine: LocalEngine, archive: Archive, keeping: Keeping, picture: Path, parts: list[int]
) -> None:
    """There was no way to go on with it: the rest of what had been thought so far was never seen."""
    whole = Session()
    whole.begin(Draft(QUESTION, (picture,)))
    answered(whole, engine, archive, replace(SETTINGS, max_new_tokens=300))
    session, status = begun(engine, archive, picture), ""
    engine.forget(session.name)
    for number in parts:
        session = keeping.restore(Remembered(session.name), Session()).session
        session.resume()
        other = Settings(thinking=False, sampling=Sampling(), max_new_tokens=number)
        status = answered(session, engine, archive, other)
    (expected,), (reply,) = whole.rounds, session.rounds
    assert (reply.reply.reasoning, reply.reply.answer) == (expected.reply.reasoning, expected.reply.answer)
    assert reply.reply.num_thought_tokens == expected.reply.num_thought_tokens
    assert session.result is not None
    assert whole.result is not None
    assert session.result.token_ids == whole.result.token_ids
    assert session.result.certainty == pytest.approx(whole.result.certainty)
    assert "Done" in status
    assert not keeping.restore(Remembered(session.name), Session()).session.can_go_on


def test_a_reply_goes_on_that_was_opened_from_the_list_and_renamed(
    engine: LocalEngine, archive: Archive, keeping: Keeping, picture: Path
) -> None:
    name = begun(engine, archive, picture).name
    archive.rename(name, "Mine")
    opened = keeping.do(Pressed("open", name), Session(), {"text": "", "files": []}, "").session
    assert opened.can_go_on
    opened.undo(Draft(""))
    assert not opened.can_go_on


def test_a_reply_about_a_file_that_is_gone_cannot_go_on(
    engine: LocalEngine, archive: Archive, keeping: Keeping, picture: Path
) -> None:
    """Its prompt would be another one."""
    name = begun(engine, archive, picture).name
    for file in media(archive):
        file.unlink()
    done = keeping.restore(Remembered(name), Session())
    assert done.warnings == (GONE_FILES,)
    assert not done.session.can_go_on


def test_tokens_go_nowhere_with_a_conversation(
    engine: LocalEngine, archive: Archive, tmp_path: Path, picture: Path
) -> None:
    """Those of a stranger could be any, control tokens among them."""
    name = begun(engine, archive, picture).name
    exported = export(archive, name, tmp_path)
    assert exported is not None
    with zipfile.ZipFile(exported) as bundle:
        text = json.loads(bundle.read("conversation.json"))
    assert text["cut_off"] is None
    with closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as connection, connection:
        (body,) = connection.execute("SELECT body FROM conversation").fetchone()
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as bundle:
        bundle.writestr("conversation.json", body)
    kept = archive.find(import_file(archive, tmp_path / "made.zip"))
    assert kept is not None
    assert kept.cut_off is None


def test_what_is_kept_of_it_is_read_again() -> None:
    read = cut_off_of_json(json.loads(json.dumps(cut_off_as_json(CUT))), Reply.of(CUT.result))
    assert read is not None
    assert read.result.said == SAID
    assert read.result.token_ids == (5, 6)
    assert read.result.engine.model == CUT.result.engine.model
    assert read.settings == replace(SETTINGS, sampling=None, max_new_tokens=Settings().max_new_tokens)


def test_of_a_reply_that_looked_closer_nothing_is_kept() -> None:
    look = Look("", "", "zoom", {}, 1.0, refused="No.")
    assert cut_off_as_json(replace(CUT, result=replace(CUT.result, looks=(look,)))) is None


@pytest.mark.parametrize(
    "change",
    [
        {"model": 5},
        {"tokens": None},
        {"tokens": [[5, "A"]]},
        {"tokens": [[-1, "A", None, "answer"]]},
        {"tokens": [["5", "A", None, "answer"]]},
        {"tokens": [[5, "A", "likely", "answer"]]},
        {"tokens": [[5, "A", None, "aside"]]},
        {"tokens": [5]},
        {"settings": []},
        {"settings": {"of a later version": 1}},
        {"settings": {"max_pixels": 0}},
    ],
    ids=str,
)
def test_what_is_no_such_reply_cannot_go_on(change: dict[str, Any]) -> None:
    whole: Any = cut_off_as_json(CUT)
    assert cut_off_of_json(whole | change, Reply.of(CUT.result)) is None


def test_a_reply_that_has_ended_cannot_go_on() -> None:
    assert cut_off_of_json(cut_off_as_json(CUT), Reply("A circle.")) is None
