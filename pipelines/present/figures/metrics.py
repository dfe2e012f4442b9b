"""What requests take, for Prometheus: `/metrics` on a port of its own, off unless one is asked for.

Numbers alone: no question, no name of a file and nobody's conversation is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from pipelines.host import ports
from pipelines.present.figures.facts import OUTCOMES
from pipelines.present.figures.rates import STAGES
from pipelines.types import Observe, Outcome, Progress, Record, Upload, UserError

BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
ERRORS: tuple[Outcome, ...] = ("out of memory", "failed")
MAX_UPLOADS = 1000
"""Uploads that are remembered, so that each is counted once."""
MAX_METERED = 1000
"""Times that are remembered; a request is hardly longer than so many that ran apart before it."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of, first = self.registry, BUCKETS_S
        self._requests = Counter("glassbox_requests", "Requests by how they ended", ["outcome"], registry=of)
        self._errors = Counter("glassbox_errors", "Requests that the server failed", ["kind"], registry=of)
        self._stages = Histogram("glassbox_stage_seconds", "Time of a stage", ["stage"], registry=of, buckets=first)
        self._whole = Histogram("glassbox_request_seconds", "Time of a request", registry=of, buckets=first)
        self._first = Histogram("glassbox_first_token_seconds", "To the first token", registry=of, buckets=first)
        self._tokens = Counter("glassbox_tokens", "Tokens by kind", ["kind"], registry=of)
        self._uploads = Histogram("glassbox_upload_seconds", "Time of an upload", registry=of, buckets=first)
        self._uploaded = Counter("glassbox_uploaded_bytes", "Bytes that were asked about", registry=of)
        self._memory = Gauge("glassbox_memory_bytes", "Memory of the model's device", ["at"], registry=of)
        self._joules = Counter("glassbox_joules", "Energy of the GPU while requests ran", registry=of)
        self._busy = Gauge("glassbox_busy_requests", "Requests on their way, those that wait included", registry=of)
        self._waiting = Gauge("glassbox_waiting_requests", "Requests that wait for their turn", registry=of)
        self._noting = Lock()
        self._known: deque[Upload] = deque(maxlen=MAX_UPLOADS)
        self._metered: list[tuple[float, float]] = []
        """When requests ran whose energy is counted: from and to, apart and in their order."""
        for outcome in OUTCOMES:  # a counter that is not there yet cannot be told from one at 0
            self._requests.labels(outcome)
        for kind in ERRORS:
            self._errors.labels(kind)

    def observing(self, observe: Observe) -> Observe:
        """The observer of a request that begins, with what it hears counted; a `Record` ends it."""
        self._busy.inc()
        is_waiting = False

        def tell(told: Progress | Record) -> None:
            nonlocal is_waiting
            with self._noting:
                waits = isinstance(told, Progress) and told.stage == "queue"
                self._waiting.inc(waits - is_waiting)
                is_waiting = waits
                if isinstance(told, Record):
                    self._busy.dec()
                    self._note(told)
            observe(told)

        return tell

    def _note(self, record: Record) -> None:
        timing, tokens, usage = record.timing, record.tokens, record.usage
        self._requests.labels(record.outcome).inc()
        if record.outcome in ERRORS:
            self._errors.labels(record.outcome).inc()
        spent = timing.stage_ms
        for stage in STAGES:
            if stage in spent:
                self._stages.labels(stage).observe(spent[stage] / 1000)
        self._whole.observe(timing.total_ms / 1000)
        if timing.time_to_first_token_ms is not None:
            self._first.observe(timing.time_to_first_token_ms / 1000)
        for kind in ("text", "visual", "reasoning", "answer", "kept", "kept_visual"):
            self._tokens.labels(kind).inc(getattr(tokens, kind))
        new = [upload for upload in record.uploads if upload not in self._known]  # a question may be asked again
        self._known.extend(new)
        for upload in new:
            self._uploads.observe(upload.duration_ms / 1000)
            self._uploaded.inc(upload.num_bytes)
        if usage is not None:
            self._memory.labels("peak").set(usage.peak_bytes)
            self._memory.labels("present").set(usage.present_bytes)
            self._joules.inc(max(usage.joules or 0.0, 0.0) * self._share_alone(record))

    def _share_alone(self, record: Record) -> float:
        """The part of a request's time that none counted before was running in: each is told all of the GPU."""
        lasted_s = record.timing.total_ms / 1000
        start_s, end_s = record.asked_at, record.asked_at + lasted_s
        met = [(begun_s, ended_s) for begun_s, ended_s in self._metered if begun_s < end_s and ended_s > start_s]
        shared_s = sum(min(ended_s, end_s) - max(begun_s, start_s) for begun_s, ended_s in met)
        whole = (min([start_s, *(one[0] for one in met)]), max([end_s, *(one[1] for one in met)]))
        self._metered = sorted([*(one for one in self._metered if one not in met), whole])[-MAX_METERED:]
        return max(0.0, 1 - shared_s / lasted_s) if lasted_s else 0.0

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Begin to serve `/metrics`; calling what is given ends it. Raises UserError where that cannot be."""
        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except (OSError, OverflowError) as error:
            raise UserError(ports.told(error, host, port, "--metrics-port")) from error

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end
