"""An answer as HTML: the data in it as a table, and as the model wrote it folded away, as the chat shows it.

Everything that a model wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from pipelines.present.linked import MAX_ROWS, Block, blocks_of, span_of, stands_alone
from pipelines.types import Grounding, Region


def tabled_html(
    answer: str,
    grounding: Grounding,
    prose: Callable[[int, int], str],
    named: Callable[[int, Region], tuple[str, str]] | None,
) -> str:
    """`answer`, in which `grounding` was found.

    `prose` gives what stands from one character to another as HTML, empty where that is blank. `named` gives the number
    and the label of a place, from 1, as HTML; None leaves the table out of places that are listed elsewhere.
    """
    pieces, at = [], 0
    for block in blocks_of(answer, grounding):
        if not stands_alone(answer, block):
            continue
        table = _table(block, named) if named is not None or block.events else ""
        raw = prose(block.start, block.end)
        pieces += [
            prose(at, block.start),
            table,
            f"<details><summary>As the model wrote it</summary>{raw}</details>",
        ]
        at = block.end
    return "".join([*pieces, prose(at, len(answer))])


def _table(block: Block, named: Callable[[int, Region], tuple[str, str]] | None) -> str:
    regions = block.regions if named is not None else ()
    rows = []
    for number, region in regions[:MAX_ROWS]:
        mark, label = named(number, region) if named is not None else ("", escape(region.name))
        when = "" if region.time_s is None else f" at {region.time_s:g} s"
        rows.append((mark, label, region.place + when))
    rows += [("", escape(event.label) or "event", span_of(event)) for event in block.events[:MAX_ROWS]]
    num_more = len(regions) + len(block.events) - len(rows)
    rows += [("", f"and {num_more:,} more", "")] if num_more else []
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "<tr><th>Mark</th><th>What</th><th>Where</th></tr>"
    return f'<table><thead>{head}</thead><tbody translate="no">{body}</tbody></table>'
