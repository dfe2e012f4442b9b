"""The top of the page: what runs, where, and what it can do."""

from __future__ import annotations

from html import escape

from pipelines.models import DEMO
from pipelines.types import EngineInfo

LIMITS = (
    "Pictures (JPEG, PNG, WebP, GIF, BMP, AVIF, HEIC) and clips (MP4, MOV, WebM, MKV, AVI) up to 512 MB. "
    "Nothing leaves this server."
)


def header_html(info: EngineInfo | None) -> str:
    """The title with the line about the model, or that it is on its way."""
    about = "The model is being loaded." if info is None else _about(info)
    return f'<header class="gb-header"><h1>Glassbox</h1><p>{about}</p></header>'


def _about(info: EngineInfo) -> str:
    kernels = escape(info.kernels, quote=True)
    runs = f'<b>{escape(info.model)}</b> on <span title="{kernels}">{escape(info.device)}, {escape(info.dtype)}</span>'
    if info.model != DEMO:
        return f"{runs} · {info.context_tokens:,} tokens of context"
    return (
        f"{runs} · a small model that knows drawn scenes only, like the examples. "
        "For any picture: <code>python app.py --model 4B</code>"
    )
