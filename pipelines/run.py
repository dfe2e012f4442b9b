"""The one way through: media, fusion, engine, reply, grounding, result.

Interfaces (the page, the command line) consume `answer`; a program that wants no stream takes its last value.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

from pipelines.answering import Answering
from pipelines.engine import Engine
from pipelines.fusion import estimate
from pipelines.media import Cancelled, probe
from pipelines.types import Deltas, Observe, Probe, Progress, Record, Request, Settings, Sight, Vision


def answer(
    request: Request,
    engine: Engine,
    stop: Flag | None = None,
    observe: Observe | None = None,
    hurry: Flag | None = None,
) -> Deltas:
    """Yield the reply as it is written, and last the whole `Result`, also when `stop` is set on the way.

    A set `hurry` ends the reasoning, and the answer begins. `observe` is told as a stage begins and how far it is, and
    once, however the request ended, what it took. Raises UserError for whatever a user can put right.
    """
    work = Answering(request, engine, stop or Flag(), observe or _ignore, hurry or Flag())
    with work.recorded():
        work.check()
        with suppress(Cancelled):
            work.open()  # media
            yield from work.generate(work.fuse())  # fusion, engine, reply
            while work.has_called:
                yield work.look()  # what the model asked to see more closely
                yield from work.generate(work.fuse())
        result = work.result()  # grounding
    yield result


def foresee(path: Path, settings: Settings, vision: Vision) -> tuple[Probe, Sight]:
    """What a file is, and how the model will see it when it is asked about. Raises UserError as `answer` would."""
    probed = probe(path)
    return probed, estimate(probed, settings, vision)


def _ignore(told: Progress | Record) -> None:
    """Observe nothing."""
