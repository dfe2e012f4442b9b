"""The top of the page: what runs, where, and what it can do."""

from __future__ import annotations

from html import escape

from pipelines.models import DEMO
from pipelines.types import EngineInfo

LIMITS = "Pictures (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC) and clips (MP4, MOV, WebM, MKV, AVI)."
STAYS = "Nothing leaves this server."


def limits_html(info: EngineInfo | None, told: str = "") -> str:
    """What may be sent here, the limits that the host tells, and where it goes from here."""
    goes = ""
    if info is not None:
        goes = f"What you ask and add is sent on to {info.server}." if info.server else STAYS
    return f'<p class="gb-limits">{LIMITS} {escape(told)} {escape(goes)}</p>'


def both_html(info: EngineInfo, told: str) -> tuple[str, str]:
    """What the page says of a model that is loaded: above the chat, and below it."""
    return header_html(info), limits_html(info, told)


def header_html(info: EngineInfo | None) -> str:
    """The title with the line about the model, or that it is on its way."""
    about = "The model is being loaded." if info is None else _about(info)
    return f'<header class="gb-header"><h1>Glassbox</h1><p>{about}</p></header>'


def _about(info: EngineInfo) -> str:
    kernels = escape(info.kernels, quote=True)
    runs = f'<b>{escape(info.model)}</b> on <span title="{kernels}">{escape(info.place)}</span>'
    if info.model != DEMO or info.server:
        return f"{runs} · {info.context_tokens:,} tokens of context" if info.context_tokens else runs
    return (
        f"{runs} · a small model that knows drawn scenes only, like the examples. "
        "For any picture: <code>python app.py --model 4B</code>"
    )
