"""A font of this machine that has all letters of a text, for what is drawn into pixels.

Pillow's own font knows the letters of English alone and draws an empty box for any other. Whether a font has a letter
is told by what it draws: one that it lacks looks as a letter that no font has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from unicodedata import bidirectional

from PIL import ImageFont, features

from pipelines.disk import expanded

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
FOLDERS = {
    "win32": ["C:/Windows/Fonts"],
    "darwin": ["/System/Library/Fonts", "/System/Library/Fonts/Supplemental", "/Library/Fonts", "~/Library/Fonts"],
}.get(sys.platform, ["/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"])
NAMES = (
    *("DejaVuSans", "NotoSans-Regular", "NotoSansCJK-Regular", "NotoSansCJKjp-Regular", "NotoSansArabic-Regular"),
    *("NotoNaskhArabic-Regular", "WenQuanYiMicroHei", "wqy-microhei", "wqy-zenhei", "DroidSansFallbackFull"),
    *("arial", "Arial Unicode", "msgothic", "YuGothM", "msyh", "malgun", "segoeui", "tahoma", "Nirmala"),
    *("PingFang", "Hiragino Sans GB", "ヒラギノ角ゴシック W3", "AppleSDGothicNeo", "GeezaPro", "Arial"),
)
"""Of the usual systems, each where it has letters that those before lack."""
ENDINGS = (".ttf", ".otf", ".ttc")
NO_LETTER = "\U0010ffff"
MEASURED_PX = 16
MAX_LETTERS = 400
"""No caption has more; a longer text is judged by its first."""


def font_for(text: str, size_px: int) -> Font | None:
    """A font that has every letter of the text, Pillow's own before any of the machine; None where there is none."""
    if not is_laid_out(text):
        return None
    letters = frozenset(text[:MAX_LETTERS])
    if _has(None, letters):
        return own_font(size_px)
    found = next((path for path in _installed() if _has(path, letters)), None)
    return None if found is None else ImageFont.truetype(found, size_px)


def own_font(size_px: int) -> Font:
    """The font that is there on every machine."""
    return ImageFont.load_default(size_px)


def is_laid_out(text: str) -> bool:
    """Whether letters can be put in their order: what runs from right to left needs a library that may lack."""
    return bool(features.check("raqm")) or not any(bidirectional(letter) in ("R", "AL") for letter in text)


def fitted(text: str, font: Font, width_px: float) -> str:
    """The text, shortened where it is wider than that."""
    short = text[:MAX_LETTERS]
    if short == text and font.getlength(text) <= width_px:
        return text
    while short and font.getlength(f"{short}…") > width_px:
        short = short[:-1].rstrip()
    return f"{short}…"


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """The fonts of this machine that are looked at, in their order."""
    by_name: dict[str, str] = {}
    for path in _files():
        by_name.setdefault(path.stem.casefold(), str(path))
    return tuple(by_name[name.casefold()] for name in NAMES if name.casefold() in by_name)


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in expanded(folder).rglob("*"):
            if path.suffix.lower() in ENDINGS:
                yield path


@lru_cache(maxsize=512)
def _has(path: str | None, letters: frozenset[str]) -> bool:
    """Whether the font of that file, or Pillow's own, has all of the letters."""
    try:
        font = own_font(MEASURED_PX) if path is None else ImageFont.truetype(path, MEASURED_PX)
    except OSError:  # a file of another kind by that name
        return False
    missing = _drawn(font, NO_LETTER)
    return all(letter.isspace() or _drawn(font, letter) != missing for letter in letters)


def _drawn(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
