"""The settings as the page offers them, each with what it costs, and as the program takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.present import sampling
from pipelines.types import Sampling, Settings

THINK, FAST = "Think", "Fast"
PIXELS_OF_A_TOKEN = 32 * 32
EFFORTS: dict[str, int] = {"Brief": 256, "Moderate": 1_024, "Thorough": 4_096, "Unbounded": 0}
"""Tokens of a thought at most; 0 sets no bound of its own."""
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
OPTIONS: Mapping[str, Sequence[str]] = {
    "mode": (THINK, FAST),
    "effort": tuple(EFFORTS),
    "detail": tuple(DETAILS),
    "clip_detail": tuple(CLIP_DETAILS),
    "frames_by": (BY_RATE, BY_NUMBER),
    "preset": sampling.NAMES,
}
"""What may be chosen, by the fields of `Choices` that hold one of several."""

MODE_COST = "Think reasons first: better at counting and at hard questions, and several times slower."
EFFORT_COST = "Tokens of the thought at most; then it is closed and the answer begins. Unbounded: as long as it takes."
LENGTH_COST = "Thought and answer; then it is cut off, and can go on."
FRAMES_BY_COST = "By rate follows the length of the clip; by number takes the same of any clip, evenly spread."
FPS_COST = "By rate only. More: finer in time, and slower."
FRAMES_COST = "By rate at most so many, by number just so many, or all that the clip has."
CLIP_DETAIL_COST = "Visual tokens that the frames of a clip share: fewer are faster, and show each frame smaller."
DETAIL_COST = (
    "Visual tokens of a large picture: more show smaller things, and take longer. Standard is one megapixel, "
    "Full is the official limit."
)
SYSTEM_COST = (
    "Comes before every question of the conversation, and is kept with it. Models from the hub follow it; the demo "
    "model was trained without one, but for its tools, and may answer worse."
)
PRESET_COST = "The values of the model cards, by size and mode. Changing one of the fields below makes it Custom."
TEMPERATURE_COST = "0 always takes the likeliest token; higher is more varied."
TOP_P_COST = "Only the likeliest tokens that together reach this share."
TOP_K_COST = "Only so many of the likeliest tokens. 0: no bound."
MIN_P_COST = "Only tokens at least this share as likely as the likeliest."
PRESENCE_COST = "Taken off what was written already: keeps from going in circles."
REPETITION_COST = "Divides what was written already. 1: off."
SEED_COST = "The same seed gives the same reply again."
PRICE_COST = "What this machine costs, in your currency: each request then tells its price. 0: not told."
LOOK_COST = (
    "The model may call for a part of a picture at full resolution, or for more frames of a clip: each is a step more. "
    "One on a server cannot."
)


@dataclass(frozen=True)
class Choices:
    """What the controls of the page hold, in the order in which they stand there."""

    mode: str = THINK
    effort: str = "Unbounded"
    detail: str = "Standard"
    clip_detail: str = "Full"
    frames_by: str = BY_RATE
    sample_fps: float = Settings.sample_fps
    max_frames: int = 128
    system: str = ""
    look_closer: bool = False
    price_per_hour: float = 0.0
    preset: str = sampling.ADVISED
    temperature: float = Sampling.temperature
    top_p: float = Sampling.top_p
    top_k: int = Sampling.top_k
    min_p: float = Sampling.min_p
    presence_penalty: float = Sampling.presence_penalty
    repetition_penalty: float = Sampling.repetition_penalty
    seed: int = Settings.seed
    max_new_tokens: int = Settings.max_new_tokens

    @property
    def fields(self) -> sampling.Fields:
        """The fields of sampling."""
        return (
            self.temperature,
            self.top_p,
            self.top_k,
            self.min_p,
            self.presence_penalty,
            self.repetition_penalty,
        )

    def settings(self) -> Settings:
        """The settings of a request. What only a program can send, as an unknown detail, is as at the start."""
        max_frames = max(1, int(self.max_frames))
        return Settings(
            thinking=self.mode != FAST,
            max_new_tokens=max(1, int(self.max_new_tokens)),
            max_thinking_tokens=EFFORTS.get(self.effort) or None,
            sampling=sampling.chosen(self.preset, self.fields),
            seed=int(self.seed or 0),
            sample_fps=max(0.1, float(self.sample_fps)),
            num_frames=max_frames if self.frames_by == BY_NUMBER else None,
            max_frames=max_frames,
            max_clip_tokens=CLIP_DETAILS.get(self.clip_detail, CLIP_DETAILS["Full"]),
            max_pixels=DETAILS.get(self.detail, DETAILS["Standard"]),
            price_per_hour=max(0.0, float(self.price_per_hour or 0)),
            look_closer=bool(self.look_closer),
            system=self.system or "",
        )


def effort_labels() -> list[tuple[str, str]]:
    """The choices of effort with the tokens of a thought."""
    return [(f"{name} · {tokens:,} tokens" if tokens else name, name) for name, tokens in EFFORTS.items()]


def detail_labels() -> list[tuple[str, str]]:
    """The choices of detail with the visual tokens of a large picture."""
    return [(f"{name} · {pixels // PIXELS_OF_A_TOKEN:,} tokens", name) for name, pixels in DETAILS.items()]


def clip_detail_labels() -> list[tuple[str, str]]:
    """The choices of detail with the visual tokens of a long clip."""
    return [(f"{name} · {tokens:,} tokens", name) for name, tokens in CLIP_DETAILS.items()]
