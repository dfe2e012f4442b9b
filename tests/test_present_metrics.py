"""What Prometheus gets."""

from __future__ import annotations

import threading
import urllib.request
from dataclasses import replace

import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.models import DEMO_FOLDER
from pipelines.present.figures.metrics import Metrics
from pipelines.serving.model import Model
from pipelines.types import Observe, Outcome, Progress, Record, Request, Settings, TokenCounts, Upload, Usage, UserError
from tests.ports import free_port
from tests.present_values import record


def ignore(told: Progress | Record) -> None:
    """Listen to nothing."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"glassbox_{name}", labels)


def test_a_request_is_counted_with_its_stages_tokens_and_memory(metrics: Metrics) -> None:
    metrics.observing(ignore)(record(usage=Usage(3000, 2000, 5.0), uploads=(Upload("a.png", 700, 250.0),)))
    assert value(metrics, "requests_total", outcome="stop") == 1
    assert value(metrics, "stage_seconds_sum", stage="think") == 2.0
    assert value(metrics, "stage_seconds_bucket", stage="vision", le="0.3") == 1
    assert value(metrics, "stage_seconds_bucket", stage="vision", le="0.1") == 0
    assert value(metrics, "stage_seconds_count", stage="frames") is None
    assert value(metrics, "request_seconds_sum") == 3.0
    assert value(metrics, "first_token_seconds_sum") == 0.51
    assert [value(metrics, "tokens_total", kind=kind) for kind in ("visual", "reasoning")] == [100, 40]
    assert [value(metrics, "memory_bytes", at=at) for at in ("peak", "present")] == [3000, 2000]
    assert value(metrics, "joules_total") == 5.0
    assert [value(metrics, name) for name in ("upload_seconds_sum", "uploaded_bytes_total")] == [0.25, 700]


def test_what_several_requests_shared_is_counted_once(metrics: Metrics) -> None:
    """A GPU's energy, of which each that ran meanwhile is told all, and an upload that was asked about again."""
    upload = Upload("a.png", 700, 250.0)
    for asked_at in (100.0, 100.0, 101.5, 110.0):  # each takes 3 s
        told = replace(record(usage=Usage(3000, 2000, 6.0), uploads=(upload,)), asked_at=asked_at)
        metrics.observing(ignore)(told)
    assert value(metrics, "joules_total") == pytest.approx(6 + 0 + 3 + 6)
    assert [value(metrics, name) for name in ("upload_seconds_sum", "uploaded_bytes_total")] == [0.25, 700]


def test_a_short_request_within_a_long_one_takes_nothing_of_it(metrics: Metrics) -> None:
    """What the long one drew before the short one's end was counted by nobody."""
    for asked_at, lasted_s, joules in ((158.0, 1.0, 100.0), (100.0, 60.0, 6000.0)):  # as they end
        told = record(usage=Usage(3000, 2000, joules))
        told = replace(told, asked_at=asked_at, timing=replace(told.timing, total_ms=lasted_s * 1000))
        metrics.observing(ignore)(told)
    assert value(metrics, "joules_total") == pytest.approx(6000)


@pytest.mark.parametrize(("outcome", "num_errors"), [("failed", 1), ("out of memory", 1), ("refused", None)])
def test_what_the_server_fails_is_an_error_and_what_it_refuses_is_not(
    metrics: Metrics, outcome: Outcome, num_errors: int | None
) -> None:
    metrics.observing(ignore)(record(outcome=outcome, tokens=TokenCounts(0, 0, 0, 0)))
    assert value(metrics, "requests_total", outcome=outcome) == 1
    assert value(metrics, "errors_total", kind=outcome) == num_errors


def test_every_way_to_end_is_there_from_the_start(metrics: Metrics) -> None:
    """The names of two types stood there once: what a union of literals holds is literals."""
    (family,) = (family for family in metrics.registry.collect() if family.name == "glassbox_requests")
    found = {sample.labels["outcome"] for sample in family.samples}
    assert found == {"stop", "length", "cancelled", "refused", "out of memory", "failed"}


def test_who_waits_and_who_runs(metrics: Metrics) -> None:
    def state() -> tuple[float | None, float | None]:
        return value(metrics, "busy_requests"), value(metrics, "waiting_requests")

    heard: list[Progress | Record] = []
    first, second = metrics.observing(heard.append), metrics.observing(ignore)
    first(Progress("queue", 2))
    first(Progress("queue", 1))
    second(Progress("prefill"))
    assert state() == (2, 1)
    first(Progress("prefill"))
    assert state() == (2, 0)
    second(record())
    second_again: Observe = metrics.observing(ignore)
    second_again(Progress("queue", 1))
    second_again(record(outcome="cancelled"))
    assert state() == (1, 0)
    assert heard == [Progress("queue", 2), Progress("queue", 1), Progress("prefill")]


def test_the_page_counts_what_it_answers_and_refuses() -> None:
    model = Model(engine=ScriptedEngine("I do not know.", Checkpoint.open(DEMO_FOLDER)))
    model.metrics = Metrics()
    stop, hurry = threading.Event(), threading.Event()
    list(model.answer(Request("Who?", settings=Settings(thinking=False)), stop, ignore, hurry))
    with pytest.raises(UserError):
        list(model.answer(Request(" "), stop, ignore, hurry))
    assert value(model.metrics, "requests_total", outcome="stop") == 1
    assert value(model.metrics, "requests_total", outcome="refused") == 1
    assert value(model.metrics, "busy_requests") == 0


def test_it_is_served_on_a_port_of_its_own_without_words_of_anybody(metrics: Metrics) -> None:
    metrics.observing(ignore)(record(question="What is my secret?", media=("private.png",)))
    port = free_port()
    end = metrics.serve("127.0.0.1", port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
            text = reply.read().decode()
        with pytest.raises(UserError, match=f"Port {port} of 127.0.0.1 is taken"):
            Metrics().serve("127.0.0.1", port)
    finally:
        end()
    assert 'glassbox_requests_total{outcome="stop"} 1.0' in text
    assert "secret" not in text
    assert "private" not in text


def test_a_port_that_cannot_be_is_one_sentence(metrics: Metrics) -> None:
    with pytest.raises(UserError, match="choose another with --metrics-port"):
        metrics.serve("127.0.0.1", 70_000)
