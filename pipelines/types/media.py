"""Pictures and clips: their pixels, what their headers say, and what bounds how a model sees them.

Pixels appear in `Picture.rgb` and `Clip.rgb` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ClipReader = Literal["pyav", "decord"]
MediaKind = Literal["picture", "clip"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded still. `rgb` is uint8 [height, width, 3], upright, in sRGB.

    `content` tells equal files from others, whatever they are called; empty where it is not known. `is_animated` tells
    that it is the first frame of several.
    """

    name: str
    rgb: NDArray[np.uint8]
    content: str = ""
    is_animated: bool = False
    kind: ClassVar[MediaKind] = "picture"
    duration_s: ClassVar[float] = 0.0

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])


@dataclass(frozen=True, eq=False)
class Clip:
    """The sampled frames of a clip.

    `rgb` is uint8 [frames, height, width, 3], upright, in sRGB. `times_s` holds the presentation time of each sampled
    frame, and `indices` its number in the file. `duration_s` is that of the file. `file_size` is the width and height
    of the file's frames where `rgb` was brought to the size at which the model sees them, and None where it has still
    the size of the file. `content` tells equal files from others; empty where it is not known. A player of the file
    has sound alone for `lead_s` seconds before the first frame, from which all times count.
    """

    name: str
    rgb: NDArray[np.uint8]
    times_s: tuple[float, ...]
    indices: tuple[int, ...]
    duration_s: float
    file_size: tuple[int, int] | None = None
    content: str = ""
    lead_s: float = 0.0
    kind: ClassVar[MediaKind] = "clip"

    def __post_init__(self) -> None:
        if not len(self.rgb) == len(self.times_s) == len(self.indices):
            raise ValueError("a clip needs one time and one index for each frame")

    @property
    def height(self) -> int:
        return self.file_size[1] if self.file_size else int(self.rgb.shape[1])

    @property
    def width(self) -> int:
        return self.file_size[0] if self.file_size else int(self.rgb.shape[2])


Media = Picture | Clip


@dataclass(frozen=True)
class ProbedPicture:
    """What the header of a picture says: its size in px, upright, and whether it is the first frame of several."""

    name: str
    width: int
    height: int
    is_animated: bool = False
    kind: ClassVar[MediaKind] = "picture"
    duration_s: ClassVar[float] = 0.0


@dataclass(frozen=True)
class ProbedClip:
    """What the packets of a clip say: its size in px, upright, and when each of its frames is shown, ascending."""

    name: str
    width: int
    height: int
    times_s: Sequence[float]
    duration_s: float
    kind: ClassVar[MediaKind] = "clip"


Probe = ProbedPicture | ProbedClip


@dataclass(frozen=True)
class Sight:
    """How the model sees a medium: `num_frames` frames (1 of a picture), their size in px, and what they cost.

    `num_visual_tokens` is None where a server counts them, and does not tell.
    """

    width: int
    height: int
    num_frames: int
    num_visual_tokens: int | None


@dataclass(frozen=True)
class Limits:
    """The least and the most pixels after resizing: of a picture, or of a clip over frames x height x width."""

    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ValueError(f"limits need 0 < min_pixels <= max_pixels, not {self.min_pixels} and {self.max_pixels}")

    def at_most(self, max_pixels: int) -> Limits:
        """These limits, brought down to `max_pixels` as far as the least allows."""
        return Limits(self.min_pixels, max(self.min_pixels, min(self.max_pixels, max_pixels)))


@dataclass(frozen=True, eq=False)
class Vision:
    """What bounds how a model sees: the pixels of a picture and of a clip, and how many frames of a clip.

    One that `gives_ids`, as a model's `Checkpoint` does, also makes token ids of what is asked, and counts them before.
    """

    gives_ids: ClassVar[bool] = False
    picture_limits: Limits
    clip_limits: Limits
    min_frames: int
    max_frames: int

    def limited(self, max_pixels: int) -> Self:
        """A copy that bounds pictures by `max_pixels`, where that is lower."""
        return replace(self, picture_limits=self.picture_limits.at_most(max_pixels))
