from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

from pipelines.present.rates import decode_rate, tokens_per_second
from pipelines.present.waterfall import waterfall_html
from pipelines.types import EngineInfo, Span, Timing, TokenCounts
from tests.present_values import HOSTILE, TIMING, picture, result


def cells(html: str) -> list[list[str]]:
    """The text of the table's rows."""
    rows = re.findall("<tr.*?</tr>", html, re.DOTALL)
    return [[re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_every_stage_has_its_milliseconds_tokens_and_rate() -> None:
    assert cells(waterfall_html(result(picture())))[1:] == [
        ["Open", "", "100", "–", "–"],
        ["Fuse", "", "50", "–", "–"],
        ["Vision", "", "250", "100", "400"],
        ["Prefill", "", "100", "120", "1,200"],
        ["Think", "", "2,000", "40", "20"],
        ["Answer", "", "500", "10", "20"],
    ]


def test_a_bar_lies_where_its_stage_lay() -> None:
    bars = re.findall(r'<rect x="([\d.]+)%" y="2" width="([\d.]+)%"', waterfall_html(result()))
    assert (float(bars[4][0]), float(bars[4][1])) == (16.67, 66.67)


def test_a_stage_entered_twice_has_two_bars_and_one_sum() -> None:
    timing = Timing((Span("think", 0, 10), Span("answer", 10, 5), Span("think", 15, 10)), 25, 1, "perf_counter")
    html = waterfall_html(result(timing=timing))
    assert [row[2] for row in cells(html)[1:]] == ["20", "5.0"]
    assert html.count("<rect") == 3


def test_a_request_that_was_stopped_at_once_can_be_shown() -> None:
    timing = Timing((Span("open", 0, 0),), 0, None, "perf_counter")
    html = waterfall_html(result(timing=timing, tokens=TokenCounts(0, 0, 0, 0), finish_reason="cancelled"))
    assert cells(html)[1:] == [["Open", "", "0.0", "–", "–"]]


def test_it_says_which_clock_and_device() -> None:
    measured = replace(result(timing=replace(TIMING, clock="cuda event")), engine=EngineInfo(HOSTILE, "H", "bf16", 1))
    html = waterfall_html(measured)
    assert "CUDA events" in html
    assert HOSTILE not in html
    assert "&lt;img" in html


def test_what_is_shown_can_be_downloaded() -> None:
    data = re.findall(r"base64,([^\"]+)", waterfall_html(result()))[0]
    assert json.loads(base64.b64decode(data))["answer"] == "A circle."


def test_rates() -> None:
    assert decode_rate(result()) == 20
    assert tokens_per_second(0, 10) is None
    assert tokens_per_second(5, 0) is None
