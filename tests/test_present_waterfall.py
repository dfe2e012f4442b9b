"""Where the time of a request went, on the page and on a terminal."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import pytest

from pipelines.present.figures.bars import axis, ticks, told
from pipelines.present.figures.facts import figures, headline, rows
from pipelines.present.figures.limit import amount, limits
from pipelines.present.figures.rates import cost, decode_rate, saved_ms, tokens_per_second
from pipelines.present.figures.timing_text import timing_text
from pipelines.present.figures.waterfall import waterfall_html
from pipelines.types import EngineInfo, Span, Timing, TokenCounts, Upload, Usage
from tests.present_values import BEST, HOSTILE, INFO, TIMING, record, result


def cells(html: str) -> list[list[str]]:
    """The text of the table's rows."""
    html = re.sub(r'<span class="gb-narrow">[^<]*</span>|<title>[^<]*</title>|<text.*?</text>', "", html)
    found = re.findall("<tr.*?</tr>", html, re.DOTALL)
    return [[re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in found]


def test_every_stage_has_its_milliseconds_amount_rate_and_clock() -> None:
    assert cells(waterfall_html(record()))[1:] == [
        ["Open", "", "100", "–", "–", "CPU"],
        ["Fuse", "", "50", "–", "–", "CPU"],
        ["Vision", "", "250", "100 tok", "400", "CPU"],
        ["Prefill", "", "100", "120 tok", "1,200", "CPU"],
        ["Think", "", "2,000", "40 tok", "20", "CPU"],
        ["Answer", "", "500", "10 tok", "20", "CPU"],
        ["Other", "", "0.0", "–", "–", "–"],
    ]


def test_frames_and_bytes_have_a_rate_of_their_own() -> None:
    spans = (Span("frames", 0, 500, num_units=8), Span("send", 500, 100, num_units=3_000_000, num_tokens=9))
    shown = cells(waterfall_html(record(Timing(spans, 600, None, "perf_counter"))))
    assert shown[1:3] == [["Frames", "", "500", "8 frames", "16", "CPU"], ["Send", "", "100", "3 MB", "30 MB", "CPU"]]
    one = Timing((Span("frames", 0, 500, num_units=1),), 500, None, "perf_counter")
    assert cells(waterfall_html(record(one)))[1][3] == "1 frame"
    remote = record(Timing(spans, 600, None, "perf_counter"), engine=replace(INFO, server="http://server/v1"))
    assert cells(waterfall_html(remote))[1] == shown[1], "whoever answers, frames are decoded here"


def test_rows_stand_in_the_order_in_which_they_began_and_overhead_last() -> None:
    spans = (
        Span("deliver", 0, 5),
        Span("open", 5, 5),
        Span("queue", 10, 5),
        Span("think", 15, 5),
        Span("look", 20, 5),
        Span("think", 25, 5),
    )
    shown = rows(record(Timing(spans, 30, None, "perf_counter")))
    assert [row.name for row in shown] == ["Open", "Queue", "Think", "Look closer", "Overhead", "Other"]


def test_what_was_uploaded_stands_before_and_is_no_part_of_the_sum() -> None:
    uploaded = record(uploads=(Upload("shapes.png", 2_000_000, 500.0),))
    first, *_ = cells(waterfall_html(uploaded))[1:]
    assert first == ["Upload · shapes.png", "before it was asked", "500", "2 MB", "4 MB", "CPU"]
    assert dict(headline(uploaded))["in all"] == "3.00 s"
    assert "before it was asked" in timing_text(uploaded)


def test_what_no_stage_measured_is_shown() -> None:
    longer = replace(TIMING, total_ms=3100.0)
    assert cells(waterfall_html(record(longer)))[-1][:3] == ["Other", "", "100"]


def test_a_bar_lies_where_its_stage_lay() -> None:
    html = waterfall_html(record())
    table = re.findall(r'<rect class="gb-in-(\w+)" x="([\d.]+)%" y="6" width="([\d.]+)%"', html)
    assert table[4] == ("thinking", "16.67", "66.67")
    above = re.findall(r'<rect class="gb-in-(\w+)" x="([\d.]+)%" y="0" width="([\d.]+)%"', html)
    assert above == table  # all of it as one bar


def test_the_first_token_and_the_first_word_are_marked_across_the_rows() -> None:
    html = waterfall_html(record())
    for kind, at in (("gb-first-token", "17.00"), ("gb-first-word", "83.67")):
        assert html.count(f'<line class="{kind}" x1="{at}%"') == len(rows(record()))
    assert "gb-first-word" not in waterfall_html(record(replace(TIMING, time_to_answer_ms=None)))


def test_colours_tell_how_much_was_what() -> None:
    found = re.findall(r'<li class="gb-in-(\w+)"><span>\w+</span> ([^<]+)</li>', waterfall_html(record()))
    assert found == [
        ("files", "150 ms, 5%"),
        ("seeing", "250 ms, 8%"),
        ("prefill", "100 ms, 3%"),
        ("thinking", "2,000 ms, 67%"),
        ("answering", "500 ms, 17%"),
    ]


def test_what_is_sent_to_a_server_is_not_told_as_seeing() -> None:
    """A question without a picture had been seen for as long as it was sent."""
    served = record(engine=replace(INFO, server="http://server/v1"))
    assert '<li class="gb-in-seeing"><span>sending</span> 250 ms, 8%' in waterfall_html(served)


@pytest.mark.parametrize("length", [0.03, 1.0, 7.0, 470.0, 3000.0, 99_999.0])
def test_a_scale_has_a_few_round_numbers(length: float) -> None:
    found = ticks(length)
    assert 1 <= len(found) <= 5
    assert all(0 < tick < length for tick in found)
    assert {f"{found[0]:e}"[0]} <= {"1", "2", "5"}


def test_a_bar_says_what_it_is() -> None:
    spans = (Span("answer", 10, 30, num_tokens=9, num_rows=3),)
    html = waterfall_html(record(Timing(spans, 40, None, "perf_counter")))
    assert "<title>Answer: 30 ms from 10 ms on, 9 tokens in steps shared by 3</title>" in html
    assert told(Span("think", 10, 3, num_tokens=1)) == "Think: 3.0 ms from 10 ms on, 1 token"


def test_each_medium_has_a_row_where_there_are_several() -> None:
    spans = (Span("vision", 0, 10, medium=0), Span("vision", 10, 30, medium=1), Span("vision", 40, 5, medium=2))
    several = record(Timing(spans, 45, None, "perf_counter"), media=("a.png", "b.mp4"))
    assert [(row.name, row.duration_ms) for row in rows(several)] == [
        ("Vision · a.png", 10),
        ("Vision · b.mp4", 30),
        ("Vision · item 3", 5),
        ("Other", 0),
    ]


def test_steps_in_company_are_stated_as_shared() -> None:
    spans = (Span("answer", 0, 10, num_tokens=5), Span("answer", 10, 30, num_tokens=9, num_rows=3))
    shared = record(Timing(spans, 40, None, "perf_counter"))
    assert [(row.name, row.amount) for row in rows(shared)[:-1]] == [
        ("Answer", "5 tok"),
        ("Answer · shared by 3", "9 tok"),
    ]


def test_the_pieces_of_a_prompt_are_told() -> None:
    spans = (Span("prefill", 0, 1), *(Span("prefill", 10 * at, 10, num_tokens=512) for at in range(3)))
    pieces = record(Timing(spans, 31, None, "perf_counter"))
    assert [(row.name, row.amount) for row in rows(pieces)[:-1]] == [("Prefill · 3 pieces", "1,536 tok")]
    assert waterfall_html(pieces).count('y="6"') == 4


def test_a_stage_entered_twice_has_two_bars_and_one_sum() -> None:
    timing = Timing((Span("think", 0, 10), Span("answer", 10, 5), Span("think", 15, 10)), 25, 1, "perf_counter")
    html = waterfall_html(record(timing))
    assert [row[2] for row in cells(html)[1:-1]] == ["20", "5.0"]
    assert html.count('y="6"') == 3


def test_a_request_that_was_stopped_at_once_can_be_shown() -> None:
    timing = Timing((Span("open", 0, 0),), 0, None, "perf_counter")
    stopped = record(timing, TokenCounts(0, 0, 0, 0), "cancelled")
    assert cells(waterfall_html(stopped, BEST))[1] == ["Open", "", "0.0", "–", "–", "CPU"]
    assert ("ended", "stopped") in figures(stopped)
    assert "Open" in timing_text(stopped, BEST)


def test_it_says_which_clock_and_device() -> None:
    spans = (Span("vision", 0, 1, "cuda event"),)
    measured = record(Timing(spans, 1, None, "cuda event"), engine=EngineInfo(HOSTILE, "H", "bf16", 1, "graphs"))
    html = waterfall_html(measured)
    assert cells(html)[1][-1] == "CUDA"
    assert 'class="gb-in-seeing gb-cuda"' in html
    assert HOSTILE not in html
    assert "&lt;img" in html
    assert "on H, bf16, engine local; graphs" in html


def test_names_of_files_are_text() -> None:
    spans = (Span("open", 0, 1, medium=0), Span("open", 1, 1, medium=1))
    html = waterfall_html(record(Timing(spans, 2, None, "perf_counter"), media=(HOSTILE, "b.png"), question=HOSTILE))
    assert HOSTILE not in html


def test_what_is_given_can_be_downloaded() -> None:
    data = re.findall(r"base64,([^\"]+)", waterfall_html(record(), result=result()))[0]
    assert json.loads(base64.b64decode(data))["answer"] == "A circle."
    assert "base64" not in waterfall_html(record())


def test_a_server_is_timed_from_here() -> None:
    """One that does not tell how long the prompt was had one of 0 tokens."""
    told = record(engine=EngineInfo("m", "vLLM", "", 0, server="http://127.0.0.1:1/v1"))
    assert "timed from here" in waterfall_html(told)
    assert dict(figures(told))["prompt"] == "20 tokens"
    assert "prompt" not in dict(figures(replace(told, tokens=replace(told.tokens, text=0))))


def test_a_gpu_that_is_lent_is_timed_by_the_process_that_holds_it() -> None:
    lent = record(engine=EngineInfo("4B", "a shared GPU (ZeroGPU)", "bfloat16", 4096, engine="lent"))
    assert "Timed by the CPU of the process that holds the GPU" in waterfall_html(lent)
    assert "that holds the GPU" not in waterfall_html(record())


def test_figures_tell_what_was_measured_and_nothing_else() -> None:
    told = dict(figures(record(usage=Usage(2 * 10**9, 10**9, 12.5), price_per_hour=1.8)))
    assert told["between tokens"] == "p50 50, p95 60, at most 75 ms"
    assert dict(headline(record()))["to the answer"] == "2.51 s"
    assert told["memory"] == "2 GB at most, 1 GB at the end"
    assert told["energy"] == "12.5 J of the whole GPU"
    assert told["cost"] == "0.0015 at 1.8 an hour"
    dear = dict(figures(record(price_per_hour=0.05)))
    assert dear["cost"] == "0.000042 at 0.05 an hour"
    assert told["prompt"] == "20 text + 100 visual tokens"
    assert not {"memory", "energy", "cost", "reused"} & dict(figures(record())).keys()


def test_what_was_kept_is_told_with_about_what_it_saved() -> None:
    """120 tokens were prefilled in 100 ms, and 100 visual ones were looked at in 250."""
    tokens = TokenCounts(text=200, visual=140, reasoning=40, answer=10, kept=60, kept_visual=40)
    assert saved_ms(record(tokens=tokens)) == pytest.approx(50 + 100)
    told = dict(figures(record(tokens=tokens)))["reused"]
    assert told.startswith("60 of 340 tokens not prefilled; 40 visual tokens not looked at; about 150 ms saved")
    assert saved_ms(record()) is None


def test_what_was_saved_is_told_by_what_is_long_enough() -> None:
    """A few tokens of a prompt take the time of its beginning: 16 in 50 ms would make 60 of them 187 ms."""
    tokens = TokenCounts(text=200, visual=140, reasoning=40, answer=10, kept=60)
    spans = (Span("prefill", 0.0, 50.0, num_tokens=16), Span("answer", 50.0, 10.0, num_tokens=9))
    short = record(tokens=tokens, timing=replace(TIMING, spans=spans))
    elsewhere = replace(record(), engine=replace(INFO, model="other"))
    assert saved_ms(short) is None
    assert saved_ms(short, [elsewhere]) is None
    assert saved_ms(short, [elsewhere, record()]) == pytest.approx(50)


def test_a_server_that_sends_several_tokens_at_a_time_is_as_fast_as_it_says() -> None:
    counted = record(tokens=TokenCounts(20, 0, 400, 100), engine=replace(INFO, server="http://server/v1"))
    assert decode_rate(counted) == pytest.approx(500 / 2.5)
    assert {row.name: (row.amount, row.rate) for row in rows(counted)}["Think"] == ("400 tok", "200")
    assert decode_rate(record(tokens=TokenCounts(20, 0, 400, 100))) == pytest.approx(50 / 2.5)


def test_the_file_of_a_result_holds_the_times_that_are_shown() -> None:
    shown = record(timing=replace(TIMING, total_ms=3500.0))
    page = waterfall_html(shown, None, result())
    (coded,) = re.findall(r"data:application/json;base64,([\w+/=]+)", page)
    assert json.loads(base64.b64decode(coded))["timing"]["total_ms"] == 3500.0


def test_the_price_is_that_of_a_share_of_the_machine() -> None:
    spans = (
        Span("queue", 0, 1000),
        Span("prefill", 1000, 600),
        Span("answer", 1600, 800, num_rows=4),
        Span("others", 2400, 500),
    )
    spent = cost(record(Timing(spans, 2900, None, "perf_counter"), price_per_hour=3.6))
    assert spent == pytest.approx(3.6 * 0.8 / 3600)
    assert cost(record()) is None


def test_rates_stand_beside_the_best_that_the_device_could_do() -> None:
    decode, prefill = limits(record(), BEST)
    assert (decode.rate, decode.best_rate, decode.share) == pytest.approx((20, 100, 0.2))
    assert (prefill.rate, prefill.best_rate) == pytest.approx((1200, 10_000))
    assert decode.basis == "10 MB a token at 1 GB/s"
    assert prefill.basis == "10 MFLOP a token at 100 GFLOP/s"
    told = "Decode: 20 tok/s, 20% of the 100 tok/s that this device could do (10 MB a token at 1 GB/s)"
    assert told in waterfall_html(record(), BEST)
    assert limits(record(), None) == []


def test_a_shared_step_reads_the_weights_once() -> None:
    """Three rows at 100 steps a second are 100 tokens a second for each of them, and the most that there could be."""
    spans = (Span("answer", 0, 1000, num_tokens=100, num_rows=3),)
    (decode,) = limits(record(Timing(spans, 1000, None, "perf_counter")), BEST)
    assert decode.share == pytest.approx(1.0)


def test_a_step_reads_what_it_holds_of_the_reply_that_goes_on() -> None:
    tokens = TokenCounts(text=20, visual=100, reasoning=40, answer=10, resumed=100)
    (decode, _) = limits(record(tokens=tokens), replace(BEST, token_bytes=10_000))
    assert decode.best_rate == pytest.approx(1e9 / (10_000_000 + (20 + 100 + 100 + 50 / 2) * 10_000))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (12_800_000, "12.8 M"),
        (3.2e12, "3.2 T"),
        (1.65e15, "1.65 P"),
        (999, "999 "),
        (999.7e6, "1 G"),
        (50.3e9, "50.3 G"),
        (1500, "1.5 k"),
    ],
)
def test_amounts(value: float, told: str) -> None:
    assert amount(value) == told


def test_a_terminal_gets_the_same_table() -> None:
    text = timing_text(record(), BEST).splitlines()
    assert text[5].split() == ["Think", "·" * 4 + "█" * 20 + "·" * 4, "2,000", "40", "tok", "20", "CPU"]
    assert text[8].split() == ["Total", "3,000"]
    assert any(line.split()[:5] == ["decode", "20%", "of", "the", "100"] for line in text)


def test_rates() -> None:
    assert decode_rate(result()) == 20
    assert tokens_per_second(0, 10) is None
    assert tokens_per_second(5, 0) is None


@pytest.mark.parametrize(
    ("length_ms", "labels"),
    [
        (880.0, ["0", "0.2", "0.4", "0.88 s"]),
        (11.0, ["0", "0.005", "0.01 s"]),
        (123_456.0, ["0", "50", "123.46 s"]),
    ],
)
def test_no_label_of_the_axis_runs_into_the_next(length_ms: float, labels: list[str]) -> None:
    """It read "0.60.88 s" where the pane was narrow."""
    assert re.findall(r">([^<>]+)</text>", axis(length_ms)) == labels
