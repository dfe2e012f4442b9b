"""Two replies to one question beside each other: what each says that the other does not, and both on one picture.

Everything that a model wrote is escaped, and shown as it was written.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape
from itertools import chain

from pipelines.compare.pairs import MAX_REGIONS, Pair, Part, regions_of
from pipelines.present.comparison import NAMES, Comparison, Side
from pipelines.present.counted import counted
from pipelines.present.evidence import shown_media, title
from pipelines.present.figures.facts import NOTHING, headline
from pipelines.present.figures.pair import pair_table
from pipelines.present.figures.rates import called_otherwise
from pipelines.present.frames import marked_figures
from pipelines.present.linked import NOTHING_NAMED, is_empty_list
from pipelines.present.overlay import SIDES, Mark, data_uri, figure, numbered
from pipelines.present.shelf import Shelf
from pipelines.present.status import UNANSWERED
from pipelines.present.tabled import tabled_html
from pipelines.present.timeline import seconds, timeline, tracks
from pipelines.types import Clip, Event, Media, Record, Region, Result

EMPTY = (
    '<div class="gb-compared gb-empty"><p>Two models answer the same question about the same files, one after the '
    "other: what differs is marked, and both are drawn on one picture.</p></div>"
)
MAX_DRAWN = 60
"""Marks of each that are drawn."""


def compared_html(comparison: Comparison) -> str:
    """Both replies as they are now."""
    if not comparison.sides:
        return EMPTY
    pair = comparison.pair
    both = pair if pair and _both(pair) else None
    parts, partners = (both.parts, both.partners) if both else ((None, None), (None, None))
    sides = "".join(map(_side_html, NAMES, comparison.sides, parts, partners))
    verdict = f'<p class="gb-verdict">{escape(_verdict(both))}</p>' if both else ""
    records = [side.record for side in comparison.sides if side.record is not None]
    table = ""
    if pair is not None and len(records) == 2:
        inner = pair_table(records[0], records[1], (NAMES[0], NAMES[1]))
        table = (
            f'<details class="gb-costs"><summary>What each took</summary><div class="gb-past">{inner}</div></details>'
        )
    asked = f'<p class="gb-asked" translate="no">{escape(comparison.draft.question)}</p>'
    votable = " gb-votable" if comparison.can_be_judged else ""
    return (
        f'<div class="gb-compared{votable}">{asked}<div class="gb-sides">{sides}</div>{verdict}'
        f"{comparison.drawn}{table}</div>"
    )


def drawn_html(comparison: Comparison, shelf: Shelf | None) -> str:
    """What both named, on one picture in two styles, for whatever of the media either named something of."""
    pair = comparison.pair
    results = [side.reply for side in comparison.sides if isinstance(side.reply, Result)]
    if pair is None or not results:
        return ""
    media = next((result.media for result in results if result.media), ())
    replies = zip(NAMES, (pair.first, pair.second), strict=True)
    marks = [mark for name, reply in replies for mark in numbered(regions_of(reply)[:MAX_DRAWN], name)]
    events = [reply.grounding.events if isinstance(reply, Result) else () for reply in (pair.first, pair.second)]
    named = {mark.region.media_index for mark in marks} | {event.media_index for event in chain(*events)}
    figures = "".join(
        _medium_html(index, media, marks, events, shelf) for index in shown_media(len(media), 0, named, 0)
    )
    return f"{figures}{_places_html(marks, pair)}"


def _medium_html(
    index: int, media: Sequence[Media], marks: Sequence[Mark], events: Sequence[Sequence[Event]], shelf: Shelf | None
) -> str:
    item = media[index]
    here = [mark for mark in marks if mark.region.media_index == index]
    heading = f'<h3>{title(index, media)} <span translate="no">{escape(item.name)}</span></h3>'
    if not isinstance(item, Clip):
        source = shelf.put(item.rgb) if shelf else data_uri(item.rgb)
        return heading + figure(
            source, (item.width, item.height), here, item.name, classes="gb-figure gb-whole-picture"
        )
    scales = [heading]
    for name, of_side in zip(NAMES, events, strict=True):
        spans = [event for event in of_side if event.media_index == index]
        followed = [mark for mark in here if mark.side == name]
        if spans or tracks(followed):
            lane = timeline(spans, followed, item.duration_s)
            scales.append(f'<p class="gb-lane"><b class="gb-{name}">{name}</b></p>{lane}')
    return "".join(scales) + marked_figures(item, here)


def _places_html(marks: Sequence[Mark], pair: Pair) -> str:
    """A chip for each place, which says where the other answer has it too."""
    if not marks:
        return ""
    chips, partners = [], pair.partners
    for mark in marks:
        other = NAMES[1 - NAMES.index(mark.side)]
        like = partners[NAMES.index(mark.side)].get(mark.number - 1)
        told = _told(mark.side, other, like)
        colour, ink = SIDES[mark.side]
        when = "" if mark.region.time_s is None else f" <time>{seconds(mark.region.time_s)}</time>"
        chips.append(
            f'<li class="gb-chip{" gb-alone" * (like is None)}"><b style="background:{colour};color:{ink}">{mark.name}'
            f'</b> <span translate="no">{escape(mark.label)}</span>{when} <em>{told}</em></li>'
        )
    return f'<ol class="gb-chips" aria-label="Places that the answers name">{"".join(chips)}</ol>'


def _told(side: str, other: str, like: int | None) -> str:
    """Whether the other names a place too, and as which of its marks if that is drawn."""
    if like is None:
        return f"only {side}"
    return f"as {other}{like + 1}" if like < MAX_DRAWN else f"in {other} too"


def _side_html(name: str, side: Side, parts: Sequence[Part] | None, partners: Container[int] | None) -> str:
    info = side.info
    where = f" <span>· {escape(info.place)}</span>" if info else ""
    model = escape(info.model if info else side.place)
    head = f'<h2 translate="no"><b class="gb-{name}">{name}</b> {model}{where}</h2>'
    return f'<section class="gb-side" aria-label="{name}">{head}{_said(name, side, parts, partners)}</section>'


def _said(name: str, side: Side, parts: Sequence[Part] | None, partners: Container[int] | None) -> str:
    if isinstance(side.reply, str):
        return f'<p class="gb-refused">{escape(side.reply)}</p>'
    result = side.reply
    reasoning = result.reasoning if result else side.reasoning
    is_open = " open" if result is None and not side.answer.strip() else ""
    thought = ""
    if reasoning.strip():
        tokens = f" · {counted(result.tokens.reasoning, 'token')}" if result else ""
        words = f'<p translate="no">{escape(reasoning.strip())}</p>'
        thought = f"<details{is_open}><summary>Thought{tokens}</summary>{words}</details>"
    answer = _answer(name, result, parts, partners) if result else _paragraph(escape(side.answer.strip()))
    below = f'<p class="gb-note">{_took(side.record)}</p>' if side.record else ""
    if result is not None and (other := called_otherwise(result)):
        below += f'<p class="gb-note">{escape(other)}</p>'
    if result is not None and (result.finish_reason == "cancelled" or not result.answer.strip()):
        below = f'<p class="gb-note">{UNANSWERED[result.finish_reason]}</p>{below}'
    if result is not None and not result.answer.strip():
        return thought + below
    doing = escape(side.doing or "Waiting")
    waiting = f'<p class="gb-note"><span>{doing}</span> …</p>' if result is None and not answer else ""
    return f"{thought}{waiting}{answer}{below}"


def _answer(name: str, result: Result, parts: Sequence[Part] | None, partners: Container[int] | None) -> str:
    """A whole answer with its data as a table, in which a place that only it names is marked."""
    written = parts if parts is not None else (Part(result.answer, is_own=False),)

    def named(number: int, region: Region) -> tuple[str, str]:
        is_own = partners is not None and number <= MAX_REGIONS and number - 1 not in partners
        label = escape(region.name)
        return f"{name}{number}", f"<mark>{label}</mark>" if is_own else label

    nothing = f'<p class="gb-note">{NOTHING_NAMED}</p>' if is_empty_list(result.answer) else ""
    shown = tabled_html(
        result.answer,
        result.grounding,
        lambda start, end: _paragraph(_marked(_cut(written, start, end))),
        named,
    )
    return shown + nothing


def _paragraph(text: str) -> str:
    return f'<p class="gb-said" translate="no">{text}</p>' if text else ""


def _cut(parts: Sequence[Part], start: int, end: int) -> list[Part]:
    """What of the parts lies from one character of the answer to another."""
    cut, at = [], 0
    for part in parts:
        text = part.text[max(0, start - at) : max(0, end - at)]
        at += len(part.text)
        cut += [Part(text, part.is_own)] if text else []
    return cut


def _took(record: Record) -> str:
    """The figures that are read first, each name apart from its value."""
    told = ((name, value) for name, value in headline(record) if value != NOTHING)
    return " · ".join(f"<span>{escape(name)}</span> {escape(value)}" for name, value in told)


def _marked(parts: Sequence[Part]) -> str:
    """The answer with what the other has not marked, and the space around a mark left outside of it."""
    written = []
    for part in parts:
        bare = part.text.strip()
        if not part.is_own or not bare:
            written.append(escape(part.text))
            continue
        before, _, after = part.text.partition(bare)
        written.append(f"{before}<mark>{escape(bare)}</mark>{after}")
    return "".join(written).strip()


def _verdict(pair: Pair) -> str:
    first, second = (regions_of(reply) for reply in (pair.first, pair.second))
    told = ["Both answers are the same." if pair.is_same else "What only one of them says is marked."]
    if first or second:
        shared = len(pair.partners[0])
        told.append(f"Of the places, A names {len(first)}, B {len(second)}, and {shared} are the same.")
    if first and second and pair.overlap is not None:
        told.append(f"Their boxes lie on each other by {pair.overlap:.0%}.")
    return " ".join(told)


def _both(pair: Pair) -> bool:
    return isinstance(pair.first, Result) and isinstance(pair.second, Result)
