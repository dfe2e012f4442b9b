"""The last requests of a visitor, beside each other and as files."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from pipelines.present.figures.history import MAX_RECORDS, History
from pipelines.present.figures.history_file import as_csv_file, as_json_file
from pipelines.present.figures.pair import NO_PAIR, difference, pair_html
from pipelines.present.figures.past import EMPTY, MAX_SHOWN, history_html, labels, newest
from pipelines.spreadsheet import UTF_8_MARK
from pipelines.types import EngineInfo, Record, Span, Timing, TokenCounts, Usage
from tests.present_values import HOSTILE, INFO, record
from tests.test_present_waterfall import cells


def of(*records: Record) -> History:
    history = History()
    for one in records:
        history.add(one)
    return history


def lasting(total_ms: float, *spans: Span, question: str = "How many?") -> Record:
    return record(Timing(spans, total_ms, None, "perf_counter"), question=question)


def test_without_a_request_there_is_nothing_to_see() -> None:
    assert history_html(History()) == EMPTY
    assert pair_html(History(), None, None) == NO_PAIR
    assert labels(History()) == []


def test_the_newest_stands_first_and_columns_go_from_the_oldest_on() -> None:
    history = of(lasting(500, Span("think", 0, 500)), lasting(1000, Span("answer", 0, 1000), question="And now?"))
    html = history_html(history)
    first, second = cells(html)[1:]
    assert first[:2] == ["2. And now?", "1.00 s"]
    assert second[0] == "1. How many?"
    columns = re.findall(
        r'<rect class="gb-in-(\w+)" x="([\d.]+)%" width="[\d.]+%" y="([\d.]+)" height="([\d.]+)"', html
    )
    assert [(name, y, height) for name, _, y, height in columns] == [
        ("thinking", "81.0", "67.0"),
        ("answering", "14.0", "134.0"),
    ]
    assert float(columns[0][1]) < float(columns[1][1])


def test_a_column_is_a_waterfall_set_upright_with_its_first_token() -> None:
    timing = Timing((Span("open", 0, 20), Span("vision", 20, 30), Span("answer", 50, 50)), 100, 50, "perf_counter")
    html = history_html(of(record(timing)))
    parts = re.findall(r'<rect class="gb-in-(\w+)"[^>]* y="([\d.]+)"', html)
    assert parts == [("files", "121.2"), ("seeing", "81.0"), ("answering", "14.0")]
    assert re.search(r'<line class="gb-first-token" [^>]* y1="81.0"', html)


def test_the_colour_of_seeing_is_that_of_sending_where_all_was_sent_to_a_server() -> None:
    served = record(engine=replace(INFO, server="http://server/v1"))
    assert "<span>sending</span>" in history_html(of(served))
    assert "<span>seeing</span>" in history_html(of(served, record()))


def test_a_request_that_did_not_end_well_says_so() -> None:
    html = history_html(of(record(outcome="out of memory"), record()))
    assert [row[0] for row in cells(html)[1:]] == ["2. How many?", "1. How many? out of memory"]


def test_old_requests_give_way_and_keep_their_numbers() -> None:
    history = of(*(lasting(at) for at in range(1, MAX_RECORDS + 4)))
    assert [at for at, _ in history.numbered] == list(range(4, MAX_RECORDS + 4))
    assert len(cells(history_html(history))) == MAX_SHOWN + 1
    assert labels(history)[0][1] == MAX_RECORDS + 3


def test_showing_a_request_is_part_of_it() -> None:
    history = of(lasting(100, Span("answer", 0, 100)))
    assert history.end(1, 150.0) is history.records[0]
    (kept,) = history.records
    assert (kept.timing.total_ms, kept.timing.stage_ms) == (150, {"answer": 100, "deliver": 50})


def test_one_that_is_shown_while_others_come_is_still_itself() -> None:
    """A comparison of the same visitor may end between the end of a request and its being shown."""
    history = of(lasting(100), lasting(200))
    told = history.end(1, 150.0)
    assert told is not None
    assert [one.timing.total_ms for one in history.records] == [150, 200]
    for _ in range(MAX_RECORDS):
        history.add(lasting(300))
    assert history.end(2, 250.0) is None
    assert {one.timing.total_ms for one in history.records} == {300}


def test_two_requests_side_by_side() -> None:
    few = lasting(150, Span("vision", 0, 50), Span("answer", 50, 100))
    many = lasting(400, Span("frames", 0, 40), Span("vision", 40, 260), Span("answer", 300, 100))
    many = replace(many, num_frames=9, usage=Usage(3_000_000, 1_000_000))
    html = pair_html(of(few, many), 1, 2)
    assert '<th scope="col"></th>' not in html  # who listens hears no column without a name
    told = {row[0]: row[1:4] for row in cells(html)}
    assert told["Vision"] == ["50 ms", "260 ms", "+210 ms"]
    assert told["Frames"] == ["–", "40 ms", "+40 ms"]
    assert told["Total"] == ["150 ms", "400 ms", "+250 ms"]
    assert told["Answer"][2] == "+0.0 ms"
    assert told["frames"] == ["1", "9", "+8"]
    assert told["memory, peak"] == ["–", "3 MB", ""]
    assert "Request 2 took 250 ms longer than request 1: Vision +210 ms, Frames +40 ms. It had 9 frames for 1." in html
    assert difference(many, few, 2, 1).endswith("It had 1 frame for 9.")


def test_what_a_server_does_not_count_is_not_told_in_a_pair() -> None:
    """It counts the prompt as a whole: a question with a picture had `0 visual tokens`."""
    there = EngineInfo("m", "vLLM at box:8000", "", 4096, engine="openai", server="box:8000")
    counted = record(tokens=TokenCounts(text=211, visual=0, reasoning=40, answer=10), engine=there)
    told = {row[0]: row[1:4] for row in cells(pair_html(of(counted, record()), 1, 2))}
    assert told["prompt tokens"] == ["211", "120", "−91"]
    assert told["visual tokens"] == ["–", "100", ""]
    assert told["text tokens"] == ["–", "20", ""]
    assert "visual tokens for" not in pair_html(of(counted, record()), 1, 2)


def test_a_pair_says_which_was_quicker_too() -> None:
    slow, quick = lasting(100, Span("think", 0, 100)), lasting(60, Span("think", 0, 60))
    assert difference(slow, quick, 3, 4) == "Request 4 took 40 ms less than request 3: Think −40 ms."
    assert difference(slow, slow, 1, 1) == "Request 1 took 0.0 ms longer than request 1."


def test_the_newest_two_are_beside_each_other_by_themselves() -> None:
    assert newest(of(*(lasting(at) for at in (1, 2, 3)))) == (2, 3)
    assert newest(of(lasting(1))) == (None, None)


@pytest.mark.parametrize("pair", [(1, 9), (None, 1), (0, 1)], ids=["unknown", "none", "out of range"])
def test_a_pair_that_is_not_there_asks_for_one(pair: tuple[int | None, int | None]) -> None:
    assert pair_html(of(lasting(1)), *pair) == NO_PAIR


def test_what_was_asked_is_text() -> None:
    history = of(lasting(1, question=HOSTILE), lasting(2, question=HOSTILE))
    assert HOSTILE not in history_html(history)
    assert HOSTILE not in pair_html(history, 1, 2)


def test_files_hold_the_same_values() -> None:
    records = [lasting(100, Span("think", 0, 60, num_tokens=3), question='Say "a, b"\nthere'), record()]
    from_json = json.loads(as_json_file(records))
    from_csv = list(csv.DictReader(io.StringIO(as_csv_file(records).removeprefix(UTF_8_MARK))))
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in from_json] == from_csv
    assert from_json[0]["think_ms"] == 60
    assert from_json[0]["think_tokens_per_s"] == 50
    assert from_json[1]["gap_p95_ms"] == 60
    assert from_json[1]["asked_at"] == "2027-01-15T08:00:00.000+00:00"


@pytest.mark.parametrize("question", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_computes_nothing(question: str) -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv_file([lasting(1, question=question)])))
    assert row["question"] == f"'{question}"
