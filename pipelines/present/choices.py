"""The settings as the page offers them, each with what it costs, and as the program takes them."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.types import Settings

THINK, FAST = "Think", "Fast"
PIXELS_OF_A_TOKEN = 32 * 32
DETAILS: dict[str, int] = {
    "Low": 256 * 256,
    "Standard": 1024 * 1024,
    "High": 2048 * 2048,
    "Full": 4096 * 4096,
}
"""Pixels of a picture."""
CLIP_DETAILS: dict[str, int] = {"Low": 1_536, "Standard": 4_096, "Full": 12_288}
"""Visual tokens of a clip."""
BY_RATE, BY_NUMBER = "By rate", "By number"

MODE_COST = "Think reasons first: better at counting and at hard questions, and several times slower."
LENGTH_COST = "Thought and answer; then it is cut off."
THOUGHT_COST = "Then the thought is closed and the answer begins. 0: as long as it takes."
FRAMES_BY_COST = "By rate follows the length of the clip; by number takes the same of any clip, evenly spread."
FPS_COST = "By rate only. More: finer in time, and slower."
FRAMES_COST = "By rate at most so many, by number just so many, or all that the clip has."
CLIP_DETAIL_COST = "Visual tokens that the frames of a clip share: fewer are faster, and show each frame smaller."
DETAIL_COST = (
    "Visual tokens of a large picture: more show smaller things, and take longer. Standard is one megapixel, "
    "Full is the official limit."
)

PRICE_COST = "What this machine costs, in your currency: each request then tells its price. 0: not told."
LOOK_COST = (
    "The model may call for a part of a picture at full resolution, or for more frames of a clip: each is a step more."
)


@dataclass(frozen=True)
class Choices:
    """What the controls of the page hold."""

    mode: str = THINK
    max_new_tokens: int = Settings.max_new_tokens
    max_thinking_tokens: int = 0
    frames_by: str = BY_RATE
    sample_fps: float = Settings.sample_fps
    max_frames: int = 128
    clip_detail: str = "Full"
    detail: str = "Standard"
    price_per_hour: float = 0.0
    look_closer: bool = False

    def settings(self) -> Settings:
        """The same for a request. An unknown detail, which only a program can send, is the one of the start."""
        max_frames = max(1, int(self.max_frames))
        return Settings(
            thinking=self.mode != FAST,
            max_new_tokens=max(1, int(self.max_new_tokens)),
            max_thinking_tokens=int(self.max_thinking_tokens) if self.max_thinking_tokens >= 1 else None,
            sample_fps=max(0.1, float(self.sample_fps)),
            num_frames=max_frames if self.frames_by == BY_NUMBER else None,
            max_frames=max_frames,
            max_clip_tokens=CLIP_DETAILS.get(self.clip_detail, CLIP_DETAILS["Full"]),
            max_pixels=DETAILS.get(self.detail, DETAILS["Standard"]),
            price_per_hour=max(0.0, float(self.price_per_hour or 0)),
            look_closer=bool(self.look_closer),
        )


def detail_labels() -> list[tuple[str, str]]:
    """The choices of detail with the visual tokens of a large picture."""
    return [(f"{name} · {pixels // PIXELS_OF_A_TOKEN:,} tokens", name) for name, pixels in DETAILS.items()]


def clip_detail_labels() -> list[tuple[str, str]]:
    """The choices of detail with the visual tokens of a long clip."""
    return [(f"{name} · {tokens:,} tokens", name) for name, tokens in CLIP_DETAILS.items()]
