"""The one way through: media, fusion, engine, reply, grounding, result.

The page and the command line consume the stream of `answer`; a program that wants no stream takes its last value.
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
    """Yield the reply as it is written, then the whole `Result`, even if `stop` is set along the way.

    Setting `hurry` ends the reasoning and begins the answer. `observe` hears when a stage begins and how far it has
    come, and once, however the request ends, what it took. Raises UserError for whatever a user can put right.
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
    """What a file is, and how the model will see it. Raises UserError as `answer` would."""
    probed = probe(path)
    return probed, estimate(probed, settings, vision)


def _ignore(told: Progress | Record) -> None:
    """Observe nothing."""
