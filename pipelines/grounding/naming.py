"""Which medium an answer means: "Picture 2", "Video 1", "the second image", "图2", an `img_idx`, or one not named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.grounding.times import is_within
from pipelines.types import MediaKind

_PICTURES = r"\b(?:picture|image|img|photo|bild|foto|imagen)|图片|图像|照片|(?<!地)图|画像|写真"
_CLIPS = r"\b(?:video|clip|vidéo|vídeo)|视频|動画"
_ORDINALS = (
    r"first|erste[nrs]?|premi(?:er|ère)|primera?|第?一|第?1",
    r"second|zweite[nrs]?|deuxième|seconde|segund[ao]|第?二|第?2",
    r"third|dritte[nrs]?|troisième|tercera?|第?三|第?3",
    r"fourth|vierte[nrs]?|quatrième|cuart[ao]|第?四|第?4",
)
_NO_LENGTH = r"(?<![\w.-])(?<![0-9]\s)"
"""Before an ordinal: the "second" of a "5 second video" or a "five-second clip" is a length."""
_COUNTER = r"(?:\s{1,3}|[张幅个段](?:\s?)|[枚本つ番]目の)"
_NAME = re.compile(
    rf"(?:(?P<picture>{_PICTURES})|(?P<clip>{_CLIPS}))[\s_#]{{0,3}}(?P<number>[0-9]{{1,5}})(?![0-9])"
    rf"|{_NO_LENGTH}(?:{'|'.join(f'(?P<n{place}>{words})' for place, words in enumerate(_ORDINALS))}){_COUNTER}"
    rf"(?:(?P<nth_picture>{_PICTURES})|(?P<nth_clip>{_CLIPS}))",
    re.IGNORECASE,
)
_SOME_CLIP = re.compile(rf"(?:{_CLIPS})", re.IGNORECASE)
_HEADING = re.compile(r"\s*(?:#|\*\*)|[^.。]*[:：][\s*]*\Z")
_ITEM = re.compile(r"\s*(?:[-*•|]|[0-9]{1,3}[.)]\s|[\[<(]*[0-9]{1,4}:)")
_ORDINAL_KEYS = frozenset({"picture", "image", "video", "clip"})
"""Keys whose number counts from 1; a bare number under `image` is too often something else."""
_MAX_INDEX = 10_000
_REACH = 200


@dataclass(frozen=True)
class Naming:
    """The kinds of the media of a conversation, in order, and the first one that the question is about.

    Pictures and clips are counted separately and from 1, as in Qwen's template ("Picture 1", "Video 1"); an index
    counts pictures from 0. Without `kinds` nothing is known of the media, and a number stands for itself. `ends_s` is
    how long each of them is, in seconds, 0 if that is not known.
    """

    kinds: tuple[MediaKind, ...] = ()
    current: int = 0
    ends_s: tuple[float, ...] = ()

    @property
    def has_time(self) -> bool:
        """Whether a time can be one of a medium: not where all that is known of them are pictures."""
        return not self.kinds or "clip" in self.kinds

    def of_name(self, text: str) -> int | None:
        """The medium that `text` names."""
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

    def of_lines(self, lines: Iterable[str]) -> Iterator[tuple[str, int | None]]:
        """Each line of prose with the medium that the heading over it names: up to another one, or a paragraph."""
        named: int | None = None
        for line in lines:
            if _HEADING.match(line[:_REACH]):
                named = self.before(line[:_REACH])
            elif line.strip() and not _ITEM.match(line):
                named = None
            yield line, named

    def of_sentence(self, sentence: str, heading: int | None) -> int | None:
        """The medium that a sentence tells of: the one it names, or that of its heading where it speaks of no clip."""
        found = self.before(sentence)
        if found is not None and self.is_clip(found):
            return found
        return None if self.tells_of_clips(sentence) else heading if found is None else found

    def tells_of_clips(self, prose: str) -> bool:
        """Whether the last line of `prose` speaks of a clip."""
        lines = prose[-_REACH:].rstrip().splitlines()
        return bool(lines and _SOME_CLIP.search(lines[-1]))

    def is_clip(self, medium: int) -> bool:
        """Whether there are times in a medium, as far as is known."""
        return not self.kinds or self.kinds[medium] == "clip"

    def holds(self, medium: int, time_s: float) -> bool:
        """Whether a medium may have this time."""
        end_s = self.ends_s[medium] if medium < len(self.ends_s) else 0.0
        return self.is_clip(medium) and (end_s <= 0 or is_within(time_s, end_s))

    def unnamed(self, time_s: float | None) -> int:
        """The medium of a place that names none: the current one, or for a time the next clip that lasts so long."""
        if time_s is None:
            return self.current
        return next((clip for clip in self._clips() if self.holds(clip, time_s)), self.current)

    def clip(self, named: int | None, end_s: float, *, is_by_name: bool) -> int:
        """The medium of a span that ends then, where the answer `named` one.

        What is no clip has no times: an index is then one of something else, but what is called by its name is meant.
        """
        is_meant = named is not None and (is_by_name or self.is_clip(named))
        return named if named is not None and is_meant else self.unnamed(end_s)

    def _clips(self) -> Iterator[int]:
        order = [*range(self.current, len(self.kinds)), *range(min(self.current, len(self.kinds)))]
        return (index for index in order if self.kinds[index] == "clip")

    def _of_match(self, found: re.Match[str]) -> int | None:
        kind: MediaKind = "clip" if found["clip"] or found["nth_clip"] else "picture"
        if found["number"]:
            return self._nth(kind, int(found["number"]) - 1)
        place = next(place for place in range(len(_ORDINALS)) if found[f"n{place}"])
        is_clear = not self.current and place < self.kinds.count(kind)
        return self._nth(kind, place) if is_clear else None  # the first of all, or of those that came last

    def _nth(self, kind: MediaKind, place: int) -> int | None:
        """The medium at that place, from 0, of its kind; of all media where there are not so many of the kind."""
        if not self.kinds:
            return place if 0 <= place < _MAX_INDEX else None
        of_kind = [index for index, one in enumerate(self.kinds) if one == kind]
        if 0 <= place < len(of_kind):
            return of_kind[place]
        return place if 0 <= place < len(self.kinds) else None
