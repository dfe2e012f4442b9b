"""Which medium an answer means: "Picture 2", "Video 1", an `img_idx`, or none by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.types import MediaKind

_NAME = re.compile(r"\b(picture|image|img|photo|video|clip)[\s_#]{0,3}([0-9]{1,5})(?![0-9])", re.IGNORECASE)
_ORDINAL_KEYS = frozenset({"picture", "image", "video", "clip"})
"""Keys whose number counts from 1; a bare number under `image` is too often something else."""
_MAX_INDEX = 10_000
_REACH = 200


@dataclass(frozen=True)
class Naming:
    """The kinds of the media of a conversation, in order, and the first of those that the question is about.

    Pictures and clips are counted apart and from 1, as Qwen's template does ("Picture 1", "Video 1"); an index counts
    pictures from 0. Without `kinds` nothing is known of the media, and a number stands for itself.
    """

    kinds: tuple[MediaKind, ...] = ()
    current: int = 0

    @property
    def has_time(self) -> bool:
        """Whether a time can be one of a medium: not where all that is known of them are pictures."""
        return not self.kinds or "clip" in self.kinds

    def of_name(self, text: str) -> int | None:
        """The medium that `text` is the name of."""
        found = _NAME.fullmatch(text.strip())
        return self._of_match(found) if found else None

    def of_key(self, key: str, value: str) -> int | None:
        """The medium that a value under a key such as `img_idx` or `picture` means."""
        text = value.strip()
        if key in _ORDINAL_KEYS and (found := _NAME.fullmatch(text)):
            return self._of_match(found)
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None
        if number is None or key == "image":
            found = _NAME.fullmatch(text)
            return self._of_match(found) if found else None
        kind: MediaKind = "clip" if key.startswith(("video", "clip")) else "picture"
        return self._nth(kind, number - (key in _ORDINAL_KEYS))

    def before(self, prose: str) -> int | None:
        """The medium that the last line of `prose` names last, as a heading over what follows it."""
        lines = prose[-_REACH:].rstrip().splitlines()
        names = list(_NAME.finditer(lines[-1])) if lines else []
        return self._of_match(names[-1]) if names else None

    def unnamed(self, time_s: float | None) -> int:
        """The medium of a place that names none: the current one, or with a time the clip that is next to it."""
        if time_s is None:
            return self.current
        return next(self._clips(), self.current)

    def clip(self, named: int | None, time_s: float) -> int:
        """The medium of a span at that time, where the answer `named` one: what is no clip has no times."""
        is_clip = named is not None and (not self.kinds or self.kinds[named] == "clip")
        return named if named is not None and is_clip else self.unnamed(time_s)

    def _clips(self) -> Iterator[int]:
        order = [*range(self.current, len(self.kinds)), *range(min(self.current, len(self.kinds)))]
        return (index for index in order if self.kinds[index] == "clip")

    def _of_match(self, found: re.Match[str]) -> int | None:
        kind: MediaKind = "clip" if found[1].lower() in ("video", "clip") else "picture"
        return self._nth(kind, int(found[2]) - 1)

    def _nth(self, kind: MediaKind, place: int) -> int | None:
        """The medium at that place, from 0, of its kind; of all media where there are not so many of the kind."""
        if not self.kinds:
            return place if 0 <= place < _MAX_INDEX else None
        of_kind = [index for index, one in enumerate(self.kinds) if one == kind]
        if 0 <= place < len(of_kind):
            return of_kind[place]
        return place if 0 <= place < len(self.kinds) else None
