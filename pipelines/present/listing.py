"""The list of kept conversations, as HTML. A script beside the list tells which button of which one was pressed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

from pipelines.archive import Listed

Act = Literal["open", "rename", "export", "link", "delete"]
BUTTONS: dict[Act, str] = {"rename": "Rename", "export": "Export", "link": "Copy link", "delete": "Delete"}
NOTHING_KEPT = "No conversation is kept yet: ask something."
NOTHING_FOUND = "No conversation holds these words."


@dataclass(frozen=True)
class Pressed:
    """What a person wants with a conversation; `title` is the new one where it is to be renamed."""

    act: Act
    id: str
    title: str = ""

    @classmethod
    def of(cls, value: object) -> Pressed | None:
        """What the list's script told; None for what it never tells."""
        if not isinstance(value, Mapping) or value.get("act") not in get_args(Act):
            return None
        return cls(value["act"], str(value.get("id", "")), str(value.get("title", "")))


def listing_html(
    listed: Sequence[Listed], here: str = "", search: str = "", notice: str = "", num_more: int = 0
) -> str:
    """A row for each conversation, `here` the open one; a `notice` stands above them, and below, how many more are."""
    told = f'<p class="gb-error" role="status">{escape(notice)}</p>' if notice else ""
    if not listed:
        return f'{told}<p class="gb-note">{NOTHING_FOUND if search else NOTHING_KEPT}</p>'
    more = f'<p class="gb-note">{num_more:,} more: search for them.</p>' if num_more > 0 else ""
    return f'{told}<ul class="gb-kept">{"".join(_row(item, item.id == here) for item in listed)}</ul>{more}'


def _row(item: Listed, is_here: bool) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.updated_s))
    current = ' aria-current="true"' if is_here else ""
    buttons = "".join(
        f'<button type="button" data-act="{act}" aria-label="{label}: {escape(item.title)}">{label}</button>'
        for act, label in BUTTONS.items()
    )
    return (
        f'<li data-id="{escape(item.id)}"{current}><button type="button" class="gb-title" data-act="open">'
        f'<span translate="no">{escape(item.title)}</span><small>{when}</small></button>'
        f'<div class="gb-acts">{buttons}</div></li>'
    )


@dataclass(frozen=True)
class Remembered:
    """What a browser's tab remembers over a reload: the open conversation, and the draft with its files' paths.

    The conversation may be one that a link led to. `system` is the system prompt of the next question.
    """

    id: str = ""
    question: str = ""
    files: tuple[str, ...] = ()
    is_linked: bool = False
    system: str | None = None

    @classmethod
    def of_json(cls, text: str) -> Remembered:
        """What the page's script told; nothing for what it never tells."""
        try:
            value = json.loads(text)
            files = value.get("files", [])
            id, question, is_linked = value.get("id", ""), value.get("text", ""), value.get("is_linked") is True
            system = value.get("system")
            prompt = system if isinstance(system, str) else None
            return cls(str(id), str(question), tuple(str(file) for file in files), is_linked, prompt)
        except (ValueError, AttributeError, TypeError):
            return cls()
