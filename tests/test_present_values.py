"""The small parts of the page: messages, drafts, the status line, the settings, the header, the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.conversation import Draft
from pipelines.present.chat import asked
from pipelines.present.composer import draft_of, remembered_draft
from pipelines.present.examples import FOLLOWING, Card, Example, cards, load_examples
from pipelines.present.header import header_html
from pipelines.present.status import doing, ended, line
from pipelines.types import EngineInfo, Progress, TokenCounts, UserError
from tests.present_values import HOSTILE, INFO, result


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        pytest.param(HOSTILE, "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;", id="no HTML"),
        pytest.param("2*3*4 `a`\n\n    - [b](c)", "2*3*4 `a`\n\n    - [b](c)", id="no Markdown"),
        pytest.param("\n</pre> &amp;", "\n&lt;/pre&gt; &amp;amp;", id="no way out"),
    ],
)
def test_what_the_user_typed_is_shown_as_it_is(typed: str, shown: str) -> None:
    """A browser drops the first end of line of the block."""
    assert asked(typed, ())["content"] == [{"type": "text", "text": f'<pre class="gb-typed">\n{shown}</pre>'}]


def test_files_come_before_the_question() -> None:
    assert asked("Hi", (Path("a.png"),))["content"] == [{"path": "a.png"}, *asked("Hi", ())["content"]]


@pytest.mark.parametrize(
    "name", ["http://example.com/a.png", "/etc/passwd", "{uploads}/../secret.png", "a.png", "file:///etc/passwd"]
)
def test_only_uploads_are_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="uploaded here"):
        draft_of({"text": "?", "files": [name.format(uploads=tmp_path)]}, tmp_path)


def test_an_upload_is_taken(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "a.png"
    assert draft_of({"text": "?", "files": [str(upload)]}, tmp_path) == Draft("?", (upload,))


@pytest.mark.parametrize("message", [None, {}, {"text": None, "files": None}], ids=str)
def test_an_empty_message_is_an_empty_draft(message: dict[str, object] | None, tmp_path: Path) -> None:
    assert draft_of(message, tmp_path) == Draft("")


def test_half_a_surrogate_pair_in_a_question_is_a_question_mark(tmp_path: Path) -> None:
    """No answer of the server could hold it, nor could the files of what all requests took, for the rest of a visit."""
    assert draft_of({"text": "Hello \ud83d", "files": []}, tmp_path) == Draft("Hello ?")
    assert remembered_draft("Hello \ud83d", (), tmp_path) == Draft("Hello ?")


def test_the_status_announces_the_phase_and_not_the_seconds() -> None:
    assert doing(Progress("open", 3, 8), 1.25) == (
        '<p class="gb-status gb-busy" role="status">Reading the files'
        '<span aria-hidden="true"> · 3 of 8 frames · 1.2 s</span></p>'
    )
    assert HOSTILE not in line(HOSTILE)
    assert "Thinking<" in doing(Progress("think", 40), 3.0, 20.0)
    assert " · 40 tokens · 20 tok/s · 3.0 s" in doing(Progress("think", 40), 3.0, 20.0)
    assert " · 1 token · 3.0 s" in doing(Progress("answer", 1), 3.0)


@pytest.mark.parametrize(
    ("thought", "answered", "told"),
    [
        (40, 10, "s · 40 tokens thought · 10 answered ·"),
        (0, 10, "s · 10 tokens answered ·"),
        (1, 1, "s · 1 token thought · 1 answered ·"),
        (0, 1, "s · 1 token answered ·"),
        (40, 0, "s · 40 tokens thought ·"),
    ],
)
def test_the_end_says_what_it_counts(thought: int, answered: int, told: str) -> None:
    """Below an answer without a thought stood "10 answered", and nothing said of what."""
    assert told in ended(result(tokens=TokenCounts(20, 0, thought, answered)))


def test_the_header_says_what_runs_and_what_the_small_model_can_do() -> None:
    assert "drawn scenes only" in header_html(INFO)
    assert "python app.py --model 4B" in header_html(INFO)
    assert "needs a real model" in header_html(INFO, may_change=True)
    other = header_html(EngineInfo(HOSTILE, "CUDA", "bfloat16", 262_144))
    assert HOSTILE not in other
    assert "262,144 tokens" in other
    assert "loaded" in header_html(None)


def test_examples_come_from_the_manifest(tmp_path: Path) -> None:
    assert load_examples(tmp_path) == []
    (tmp_path / "manifest.json").write_text('[{"file": "a.png", "question": "What?", "answer": "That."}]')
    assert [(example.path, example.question) for example in load_examples(tmp_path)] == [(tmp_path / "a.png", "What?")]


def test_cards_show_every_file_and_one_goes_on_over_several_questions() -> None:
    *single, several = cards([Example(Path(name), f"{name}{n}") for name in "ab" for n in range(3)])
    assert single == [Card(Path("a"), ("a0",)), Card(Path("b"), ("b0",))]
    assert several == Card(Path("a"), ("a0", *FOLLOWING))
    assert (single[0].title, several.title) == ("a0", "a0 (3 questions, one after the other)")
    assert cards([]) == []
