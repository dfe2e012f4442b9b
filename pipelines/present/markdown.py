"""What a model says, as Markdown that cannot reach outside the page, and what a person types, as it is.

An answer is untrusted: a picture may ask the model to write an image link that carries the conversation away. The
text is brought to a normal form in which a renderer finds no raw HTML, no image and no diagram, whatever it makes of
the rest: every fence and every code span is written anew, and outside of them the characters that could start
anything of the kind are escaped. Only code keeps its characters as they are.
"""

from __future__ import annotations

import re
from html import escape

FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)")
LANGUAGE = re.compile(r"[A-Za-z0-9+#-]{1,20}")
DRAWN = {"mermaid"}
"""Languages that a renderer would run instead of showing them."""

INLINE = re.compile(r"\\.|(?<!`)(?P<ticks>`{1,2})(?!`)(?P<code>[^`]+)(?P=ticks)(?!`)|`+|~{3,}|!\[|<")


def safe_markdown(text: str) -> str:
    """`text` without anything that a renderer would fetch, run or take for HTML. Total: any text gives a text."""
    lines: list[str] = []
    closing: str | None = None
    for line in text.split("\n"):
        fence = FENCE.fullmatch(line)
        if closing is not None:
            is_end = fence is not None and not fence["info"].strip() and fence["ticks"].startswith(closing)
            lines.append("`" * 12 if is_end else _break_long_runs(line))
            closing = None if is_end else closing
        elif fence:
            closing = fence["ticks"]
            lines += ["", "`" * 12 + _language(fence["info"])]
        else:
            lines.append(INLINE.sub(_inline, line))
    return "\n".join(lines)


def escaped(text: str) -> str:
    """One line of plain text that no renderer takes for Markdown or HTML, inside of a table too."""
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return re.sub(r"[!-/:-@\[-`{-~]", lambda mark: entities.get(mark[0], "\\" + mark[0]), " ".join(text.split()))


def as_typed(text: str) -> str:
    """Plain text that is shown letter for letter and line for line, neither as Markdown nor as a formula."""
    return f'<pre class="gb-typed">\n{escape(text)}</pre>'


def _language(info: str) -> str:
    name = LANGUAGE.match(info.strip())
    return "" if name is None or name[0].lower() in DRAWN else name[0]


def _break_long_runs(code: str) -> str:
    """Code in which no run of backticks can close the twelve of the fence around it."""
    return re.sub(r"`{12,}", "`" * 11, code)


def _inline(match: re.Match[str]) -> str:
    found = match[0]
    if match["code"] is not None and "|" not in found:  # a table cuts its cells before it looks for code
        return found
    if match["code"] is not None:
        return re.sub(r"[`<!\[]", lambda mark: "&lt;" if mark[0] == "<" else "\\" + mark[0], found)
    if found == "<" or found == r"\<":
        return "&lt;"
    if found.startswith("\\"):
        return found
    return found[0] + "\\[" if found == "![" else "".join("\\" + character for character in found)
