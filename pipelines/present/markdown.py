"""What a model says, as Markdown that cannot reach outside the page, and what a person types, as it is.

An answer is untrusted: a picture may ask the model to write an image link that carries the conversation away. No
renderer agrees with another on where code begins, nor with itself on what stands in an address. So nothing here depends
on it: outside of fences there is no `<` but that of `<code>`, no `![`, no definition of an address, and no bracket that
stays open. What is taken from the text by this is written as entities, which a renderer shows and does not read. Every
fence is written anew, behind a blank line and of a length that no code in it closes.
"""

from __future__ import annotations

import re
from html import escape

from pipelines.present.blocks import Block, blocks

LANGUAGE = re.compile(r"[A-Za-z0-9+#-]{1,20}")
DRAWN = {"mermaid"}
"""Languages that a renderer would run instead of showing them."""
FENCE = "`" * 12

JOINER = "\u2060"
FORMULA_OPENS, FORMULA_CLOSES = f"$${JOINER}", f"{JOINER}$$"
"""What the chat takes for a formula: dollars with an invisible character that no text keeps. Gradio cuts formulas out
before it reads Markdown, through code and addresses: so it cuts only what was found to be one here."""
FORMULA = r"\$\$(?P<formula>[\s\S]+?)\$\$"

INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?<!`)(?P<ticks>`{1,2})(?!`)(?P<code>[^`\n]+)(?P=ticks)(?!`)"
    rf"|{FORMULA}|`+|~{{3,}}|!\[|<|(?<=\]):"
)
_PLAIN_CODE = re.compile(r"[^<!\[\]|\\]+")
_UNCLOSED = re.compile(r"\[(?=[^\[\]\n]*$)", re.MULTILINE)


def safe_markdown(text: str) -> str:
    """`text` without anything that a renderer would fetch, run or take for HTML. Total: any text gives a text."""
    text = re.sub(r"\r\n?", "\n", text).replace(JOINER, "")
    return "\n".join(_prose(block) if block.info is None else _fence(block) for block in blocks(text))


def escaped(text: str) -> str:
    """One line of plain text that no renderer takes for Markdown or HTML, inside of a table too."""
    return _entities(" ".join(text.split()))


def as_typed(text: str) -> str:
    """Plain text that is shown letter for letter and line for line, neither as Markdown nor as a formula."""
    return f'<pre class="gb-typed">\n{escape(text)}</pre>'


def _fence(block: Block) -> str:
    """Code in which no run of backticks can close the fence around it."""
    name = LANGUAGE.match((block.info or "").strip())
    language = "" if name is None or name[0].lower() in DRAWN else name[0]
    code = [re.sub(r"`{12,}", "`" * 11, line) for line in block.lines]
    return "\n".join(["", FENCE + language, *code, *[FENCE] * block.is_closed])


def _prose(block: Block) -> str:
    """Where a bracket stays open, a renderer may look for its end in a fence below and take what it finds for prose."""
    return _UNCLOSED.sub("&#91;", INLINE.sub(_inline, "\n".join(block.lines)))


def _inline(match: re.Match[str]) -> str:
    if match["escaped"]:
        return _entities(match["escaped"])
    if code := match["code"]:
        return match[0] if _PLAIN_CODE.fullmatch(code) else f"<code>{_entities(code.strip() or code)}</code>"
    if formula := match["formula"]:
        return FORMULA_OPENS + re.sub(r'[<>"!\[\]`]', lambda mark: _entities(mark[0]), formula) + FORMULA_CLOSES
    return _entities(match[0])


def _entities(text: str) -> str:
    """`text` with its punctuation as entities, which are text to every renderer."""
    return re.sub(r"[!-/:-@\[-`{-~]", lambda mark: "&lt;" if mark[0] == "<" else f"&#{ord(mark[0])};", text)
