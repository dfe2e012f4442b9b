"""Tables for a spreadsheet (CSV): in UTF-8 by its own word, with texts of models and strangers that are not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

UTF_8_MARK = "\ufeff"
"""Excel takes a file that does not begin with it for one in the code page of its machine."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The text of a file: a line of names, then the rows. Text that a spreadsheet could run begins with "'"."""
    text = io.StringIO()
    text.write(UTF_8_MARK)
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_as_cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return text.getvalue()


def _as_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
