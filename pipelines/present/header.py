"""The top of the page: what runs, where, and what it can do."""

from __future__ import annotations

from html import escape

from pipelines.models import DEMO
from pipelines.types import EngineInfo

LIMITS = "Pictures (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC) and clips (MP4, MOV, WebM, MKV, AVI)."
FROM_COMMAND = "For any picture: <code>python app.py --model 4B</code>"
STAYS = "Nothing leaves this server."


def limits_html(info: EngineInfo | None, told: str = "") -> str:
    """What may be sent here, the limits that the host tells, and where it goes from here."""
    goes = ""
    if info is not None:
        goes = f"What you ask and add is sent on to {info.server}." if info.server else STAYS
    return f'<p class="gb-limits">{LIMITS} {escape(told)} {escape(goes)}</p>'


def both_html(info: EngineInfo, told: str, *, may_change: bool = False) -> tuple[str, str]:
    """What the page says of a model that is loaded: above the chat, and below it."""
    return header_html(info, may_change=may_change), limits_html(info, told)


def header_html(info: EngineInfo | None, far: str = "", *, may_change: bool = False) -> str:
    """The title with the line about the model, or how `far` it is on its way; the page may change it, or not."""
    about = f"<span>The model is being loaded.</span>{escape(far)}" if info is None else _about(info, may_change)
    return f'<header class="gb-header"><h1>Glassbox</h1><p>{about}</p></header>'


def _about(info: EngineInfo, may_change: bool) -> str:
    kernels = escape(info.kernels, quote=True)
    runs = f'<b translate="no">{escape(info.model)}</b> on <span title="{kernels}">{escape(info.place)}</span>'
    if info.model != DEMO or info.server:
        return f"{runs} · {info.context_tokens:,} tokens of context" if info.context_tokens else runs
    # a button beside it leads to one where the page may change it
    way = "Any other picture needs a real model." if may_change else FROM_COMMAND
    return f"{runs} · a small model that knows drawn scenes only, like the examples. {way}"
