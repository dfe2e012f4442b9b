"""A call as the model wrote it: `<function=NAME>` with its parameters, as Qwen3.5 writes it, or JSON, as Qwen3-VL did.

Reading is total: whatever the text, there is a call, and what is wrong with it shows in its name or its arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_FUNCTION = re.compile(r"<function=([^>\n]{1,80})>")
_PARAMETER = re.compile(r"([^>\n]{1,80})>(.*)", re.DOTALL)
_JSON = json.JSONDecoder()
MAX_ARGUMENTS = 16


@dataclass(frozen=True)
class Call:
    """The name of a tool, empty where none can be read, and its arguments as they were written."""

    name: str
    arguments: Mapping[str, str]


def read_call(text: str) -> Call:
    """The first call in a text between `<tool_call>` and `</tool_call>`."""
    function = _FUNCTION.search(text)
    if function is None:
        return _from_json(text)
    body = text[function.end() :].partition("</function>")[0]
    return Call(function[1].strip(), _arguments(body))


def _arguments(body: str) -> dict[str, str]:
    """The parameters, each up to its end or to the next; without either the last was cut off, and is none."""
    pieces = body.split("<parameter=", MAX_ARGUMENTS + 1)[1:]
    if pieces and "</parameter>" not in pieces[-1]:
        del pieces[-1]
    found = [_PARAMETER.match(piece) for piece in pieces[:MAX_ARGUMENTS]]
    return {one[1]: one[2].partition("</parameter>")[0].removeprefix("\n").removesuffix("\n") for one in found if one}


def _from_json(text: str) -> Call:
    try:
        found, _ = _JSON.raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return Call("", {})
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return Call("", {})
    given = found.get("arguments")
    arguments = list(given.items())[:MAX_ARGUMENTS] if isinstance(given, dict) else []
    return Call(
        found["name"], {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in arguments}
    )
