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

MODE_COST = "Think reasons first: better at counting and at hard questions, and several times slower."
LENGTH_COST = "Thought and answer; then it is cut off."
FPS_COST = "More: finer in time, and slower."
FRAMES_COST = "However long the clip is. All frames together take 12,288 visual tokens of Qwen3.5 at most."
DETAIL_COST = (
    "Visual tokens of a large picture: more show smaller things, and take longer. Standard is one megapixel, "
    "Full is the official limit."
)


@dataclass(frozen=True)
class Choices:
    """What the controls of the page hold."""

    mode: str = THINK
    max_new_tokens: int = Settings.max_new_tokens
    sample_fps: float = Settings.sample_fps
    max_frames: int = 128
    detail: str = "Standard"

    def settings(self) -> Settings:
        """The same for a request. An unknown detail, which only a program can send, is the standard one."""
        return Settings(
            thinking=self.mode != FAST,
            max_new_tokens=max(1, int(self.max_new_tokens)),
            sample_fps=max(0.1, float(self.sample_fps)),
            max_frames=max(1, int(self.max_frames)),
            max_pixels=DETAILS.get(self.detail, DETAILS["Standard"]),
        )


def detail_labels() -> list[tuple[str, str]]:
    """The choices of detail with the visual tokens of a large picture."""
    return [(f"{name} · {pixels // PIXELS_OF_A_TOKEN:,} tokens", name) for name, pixels in DETAILS.items()]
