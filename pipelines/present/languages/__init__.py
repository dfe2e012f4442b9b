"""The catalogues of the page's languages: what stands for an English text in each.

A key is the English text as it is shown. `{n}`, a name of one letter, stands for a number in it, and a longer name such
as `{names}` for any text, which is translated too unless it is called `name`, `names`, `title` or `model`: those are
somebody's own words. What a catalogue lacks is shown in English. `language.js` puts them to use.
"""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def catalogues() -> dict[str, dict[str, str]]:
    """By the language's tag, such as "zh-CN", what each English text is in it."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
