"""What a person asks about the last answer: where the model looked at a word, and whether a mark is right."""

from __future__ import annotations

from functools import partial
from threading import Event as Flag

import numpy as np
from numpy.typing import NDArray

from pipelines.media import open_once
from pipelines.present.answered import Answered
from pipelines.present.heat import NOT_TOLD, heat_html
from pipelines.present.moments import AtTimes
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Clip, Region, Request, UserError

DOUBTFUL = 0.5
Checked = dict[str, str | bool]


def where_it_looked(session: Session, places: object, model: Model) -> str:
    """The heat map of a word, by its tokens as the page names them: "first last". One pass serves all words."""
    last = session.answered
    try:
        first, stop = map(int, str(places).split())
    except ValueError:
        return NOT_TOLD
    if last is None or last.result is None:
        return NOT_TOLD
    try:
        if last.gaze is None:
            last.gaze = model.gaze(last.request, last.result, session.left)
        if _is_gone(session, last):
            return ""
        return heat_html(last.gaze, range(first, stop), last, partial(_frame_at, last.request))
    except UserError:
        return NOT_TOLD


def _is_gone(session: Session, last: Answered) -> bool:
    """Whether an answer is not shown any more, or its conversation is left."""
    return session.is_closed or session.answered is not last


def _frame_at(request: Request, number: int, time_s: float) -> NDArray[np.uint8]:
    item = open_once(request.files[number], AtTimes((time_s,)))
    return item.rgb[0] if isinstance(item, Clip) else item.rgb


def checked(session: Session, number: object, model: Model) -> Checked:
    """What a mark of the answer came to: its number, a word for its chip, and whether it is doubtful.

    Nothing, once another answer is shown: the mark of that number is another one's then.
    """
    last = session.answered
    regions = last.grounding.regions if last else ()
    try:
        at = int(str(number)) - 1
    except ValueError:
        return {}
    if last is None or not 0 <= at < len(regions):
        return {}
    verdict = _verdict(last.request, regions[at], model, session.left)
    return {} if _is_gone(session, last) else {"number": str(at + 1), **verdict}


def _verdict(request: Request, region: Region, model: Model, stop: Flag) -> Checked:
    try:
        chance = model.check_claim(request, region, stop)
    except UserError as error:
        return {"told": str(error), "is_doubtful": True}
    if chance is None:
        return {"told": "cannot be checked", "is_doubtful": False}
    return {"told": f"checked {chance:.2f}", "is_doubtful": chance < DOUBTFUL}
