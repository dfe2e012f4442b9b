"""The words that two texts have in common, in their order."""

from __future__ import annotations

from collections.abc import Sequence

MAX_WORDS = 20_000
"""Of each text that are looked at: time and memory grow with the square, a bit for each pair of words.

A model in a loop writes more of them, all alike, on which a search for the longest blocks would not end.
"""


def in_common(first: Sequence[str], second: Sequence[str]) -> tuple[set[int], set[int]]:
    """Where in each the words lie that both have in the same order: as many as there can be, and the earliest."""
    left, right = first[MAX_WORDS - 1 :: -1], second[MAX_WORDS - 1 :: -1]
    rows, found = _rows(left, right), (set[int](), set[int]())
    i, k = len(left) - 1, len(right) - 1
    while i >= 0 and k >= 0:
        if left[i] == right[k]:
            found[0].add(len(left) - 1 - i)
            found[1].add(len(right) - 1 - k)
            i, k = i - 1, k - 1
        elif rows[i] >> k & 1:
            k -= 1
        else:
            i -= 1
    return found


def _rows(left: Sequence[str], right: Sequence[str]) -> list[int]:
    """The table of the longest common subsequence, a row for each word of `left` and a bit for each of `right`.

    A bit is 0 where the subsequence up to there is longer by one than up to the word before (Hyyrö, 2004): a whole row
    is a few operations on one number.
    """
    places = dict[str, int]()
    for k, word in enumerate(right):
        places[word] = places.get(word, 0) | 1 << k
    all_bits = (1 << len(right)) - 1
    rows, row = [], all_bits
    for word in left:
        alike = row & places.get(word, 0)
        row = (row + alike | row - alike) & all_bits
        rows.append(row)
    return rows
