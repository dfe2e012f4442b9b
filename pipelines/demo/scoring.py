"""How right an answer is, from 0 to 1, and how right the best answer that never looks would be."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pipelines.demo.exchange import Task
from pipelines.demo.relation_questions import ZONES
from pipelines.demo.things import COLOURS, KINDS

NAME = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(KINDS)})\b")
A_THING = re.compile(rf"\ban? {NAME.pattern}")
A_COLOUR = re.compile(rf"\b({'|'.join(COLOURS)})\b")
A_PLACED_THING = re.compile(rf"{A_THING.pattern} in the ({'|'.join(ZONES)})\b")
CALL = re.compile(r"<function=image_zoom_in_tool>.*<parameter=bbox_2d>\s*\[(\d+), (\d+), (\d+), (\d+)\]", re.DOTALL)
TIME = re.compile(r"(?:(\d\d):)?(\d+\.\d+)")
IN_THE = " is in the "
FRAME_STEP_S = 0.6
"""What counts as one frame's step: clips are sampled about twice a second."""
Place = tuple[str, list[float]]
"""A label, and the coordinates of a box or a point."""
Places = list[Place]
Score = Callable[[str, str], float]
"""(the answer, the true answer) to 0..1."""


def score_of(task: Task) -> Score:
    """How an answer to a question of that task is scored."""
    return SCORES.get(task, exact)


def best_constant(answers: Sequence[str], truths: Sequence[str], score: Score) -> float:
    """The mean score of the one true answer that, given to every question, would score best."""
    return max(sum(score(constant, truth) for truth in truths) / len(truths) for constant in set(answers))


def exact(answer: str, truth: str) -> float:
    """Word for word."""
    return float(answer == truth)


def number(answer: str, truth: str) -> float:
    """The first number of the answer is the true one."""
    return float(re.findall(r"\d+", answer)[:1] == re.findall(r"\d+", truth)[:1])


def timed(answer: str, truth: str) -> float:
    """The same sentences in any order, and every time within a frame's step of the true one.

    00:01.20 and 1.2 are the same time.
    """
    answer, truth = _sorted_sentences(answer), _sorted_sentences(truth)
    if _around_times(answer) != _around_times(truth):
        return 0.0
    pairs = zip(_times(answer), _times(truth), strict=True)
    return float(all(abs(given - true) <= FRAME_STEP_S for given, true in pairs))


def _sorted_sentences(text: str) -> str:
    return " ".join(sorted(re.split(r"(?<=\.) ", text), key=lambda sentence: (TIME.sub("", sentence), sentence)))


def _around_times(text: str) -> list[str]:
    return TIME.split(text)[:: 1 + TIME.groups]


def _times(text: str) -> list[float]:
    return [60 * float(minutes or 0) + float(seconds) for minutes, seconds in TIME.findall(text)]


def first_word(answer: str, truth: str) -> float:
    """The same first word: yes or no."""
    return float(answer.split()[:1] == truth.split()[:1])


def last_word(answer: str, truth: str) -> float:
    """The same last word: a colour, a shape or a direction."""
    return float(answer.split()[-1:] == truth.split()[-1:])


def trait(answer: str, truth: str) -> float:
    """The same last word, a colour or a shape; where several things are named, the same sentence."""
    return in_any_order(answer, truth) if NAME.search(truth) else last_word(answer, truth)


def zone(answer: str, truth: str) -> float:
    """The same part of the picture; word for word where it is that of several things, or of none."""
    return float(answer.partition(IN_THE)[2] == truth.partition(IN_THE)[2]) if IN_THE in truth else exact(answer, truth)


def all_named(answer: str, truth: str) -> float:
    """Every thing is named as often as it is there, and nothing else is."""
    return float(Counter(NAME.findall(answer)) == Counter(NAME.findall(truth)))


def in_any_order(answer: str, truth: str, part: re.Pattern[str] = A_THING) -> float:
    """The same sentence, with the things that it names, or other parts, in any order: `a red 7 and a blue 72`."""
    are_named = Counter(part.findall(answer)) == Counter(part.findall(truth))
    return float(are_named and part.sub("", answer) == part.sub("", truth))


def mean_iou(answer: str, truth: str) -> float:
    """The mean IoU of the true boxes with the answer's of the same label; a miss and a box too many count as 0."""
    return _paired(read_boxes(answer), read_boxes(truth), _overlap_of_same)


def mean_iou_unlabelled(answer: str, truth: str) -> float:
    """The same without a look at the labels: where one thing is asked for, its label is in the question."""
    return _paired(read_boxes(answer), read_boxes(truth), lambda given, there: iou(given[1], there[1]))


def _overlap_of_same(given: Place, there: Place) -> float:
    return iou(given[1], there[1]) if given[0] == there[0] else 0.0


def _paired(given: Places | None, there: Places | None, closeness: Callable[[Place, Place], float]) -> float:
    """The mean closeness of pairs, the closest of all paired first; what is left alone on either side counts as 0.

    An answer of another form is wrong, also where nothing is there.
    """
    if given is None or there is None:
        return 0.0
    pairs = [(closeness(one, other), i, j) for i, one in enumerate(given) for j, other in enumerate(there)]
    total, count = 0.0, max(len(given), len(there))
    while pairs:
        best, i, j = max(pairs)
        total += best
        pairs = [pair for pair in pairs if pair[1] != i and pair[2] != j]
    return total / count if count else 1.0


def labels(answer: str, truth: str) -> float:
    """The right set of labels, each as often as it is there."""
    given, there = read_boxes(answer), read_boxes(truth)
    if given is None or there is None:
        return 0.0
    return float(Counter(name for name, _ in given) == Counter(name for name, _ in there))


def inside(answer: str, truth: str) -> float:
    """The share of the true boxes that hold a point of the answer; points too many count as misses."""
    return _paired(read_points(answer), read_boxes(truth), _is_held)


def _is_held(given: Place, there: Place) -> float:
    (x, y), (x1, y1, x2, y2) = given[1], there[1]
    return float(x1 <= x <= x2 and y1 <= y <= y2)


def near_point(answer: str, truth: str) -> float:
    """The share of the true points that the answer meets within 50 thousandths of a side."""
    return _paired(read_points(answer), read_points(truth), _is_near)


def _is_near(given: Place, there: Place) -> float:
    return float(max(abs(a - b) for a, b in zip(given[1], there[1], strict=True)) <= 50)


def same(answer: str, truth: str) -> float:
    """Word for word, or by the overlap of the boxes where the answer is boxes."""
    return mean_iou_unlabelled(answer, truth) if truth.startswith("[") else exact(answer, truth)


def iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (areas - shared) if areas > shared else 0.0


def read_region(answer: str) -> tuple[int, int, int, int] | None:
    """The region of a call of the zoom tool; None where the answer calls for none that can be looked at."""
    found = CALL.search(answer)
    if not found:
        return None
    x1, y1, x2, y2 = (int(side) for side in found.groups())
    return (x1, y1, x2, y2) if x1 < x2 <= 1000 and y1 < y2 <= 1000 else None


def read_boxes(answer: str) -> Places | None:
    """The labels and boxes of a JSON answer; None where it is not of the form that was asked for."""
    return _read(answer, "bbox_2d", 4)


def read_points(answer: str) -> Places | None:
    """The labels and points of a JSON answer; None where it is not of the form that was asked for."""
    return _read(answer, "point_2d", 2)


def _read(answer: str, key: str, count: int) -> Places | None:
    try:
        items = json.loads(answer)
        places = [(str(item["label"]), [float(number) for number in item[key]]) for item in items]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    is_whole = all(len(numbers) == count and all(map(math.isfinite, numbers)) for _, numbers in places)
    return places if isinstance(items, list) and is_whole else None


SCORES: Mapping[Task, Score] = {
    "count": number, "count_shape": number, "count_colour": number, "count_named": number, "exists": first_word,
    "colour": trait, "shape": trait, "moves": last_word, "side": first_word, "where": zone,
    "appears": timed, "vanishes": timed, "visible": timed, "happens": timed, "box_at": mean_iou_unlabelled,
    "box": mean_iou_unlabelled, "boxes": mean_iou, "all_boxes": mean_iou, "point": inside, "list": all_named,
    "describe": partial(in_any_order, part=A_PLACED_THING), "number": in_any_order, "letter": in_any_order,
    "follow_up": same, "in_full": same,
    "what_at": in_any_order, "beside": in_any_order, "region": in_any_order, "marked": in_any_order,
    "moment": in_any_order, "span": timed, "colours": partial(in_any_order, part=A_COLOUR),
}  # fmt: skip
