"""A conversation as a server takes it: OpenAI's chat messages, with pictures and the frames of clips within them.

A clip goes as one video item where the server is known to take these, so that the model gets it in its official form;
else as its frames, each behind a line with its time, as `<1.5 seconds>`. What travels are the pixels that the model is
to see: small ones without loss, larger ones as JPEG without reduced colours.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import torch
from PIL import Image

from pipelines.inputs import Frames
from pipelines.types import Json, Message

ClipForm = Literal["frames", "jpegs", "mp4"]
"""Timed pictures; one item of JPEGs with their times beside it (vLLM); one small MP4 of the frames (SGLang)."""

MAX_LOSSLESS_PIXELS = 256 * 256
JPEG_QUALITY = 95
TICKS_PER_S = 1000
"""vLLM takes the times of frames as whole numbers over a rate: here, milliseconds."""


@dataclass(frozen=True)
class Sent:
    """What is sent: the messages, and what a server must be told of the clips in them."""

    messages: tuple[Json, ...]
    options: dict[str, Json] = field(default_factory=dict)


def write(messages: Sequence[Message], media: Sequence[Frames], form: ClipForm) -> Sent:
    """The conversation with its media, which stand in the order of its placeholders.

    vLLM takes one set of times a request: of several clips, none goes as JPEGs.
    """
    clips = [item for item in media if item.is_clip]
    if form == "jpegs" and len(clips) != 1:
        form = "frames"
    left = iter(media)
    written = tuple(_message(message, left, form) for message in messages)
    return Sent(written, _timed(clips[0]) if form == "jpegs" else {})


def _message(message: Message, media: Iterator[Frames], form: ClipForm) -> Json:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    items: list[Json] = []
    for part in content:
        if part["type"] == "text":
            items.append({"type": "text", "text": part["text"]})
        else:
            items += _medium(next(media), form)
    is_plain = all(part["type"] == "text" for part in content)
    text = "".join(part["text"] for part in content if part["type"] == "text")
    return {"role": message["role"], "content": text if is_plain else items}


def _medium(frames: Frames, form: ClipForm) -> list[Json]:
    if not frames.is_clip:
        return [_picture(frames.pixels[0])]
    shown = frames.pixels[: len(frames.times_s)]
    if form == "frames":
        return [item for time_s, frame in zip(frames.times_s, shown, strict=True) for item in _at(time_s, frame)]
    url = _jpegs(shown) if form == "jpegs" else _mp4(shown, frames.times_s)
    return [{"type": "video_url", "video_url": {"url": url}}]


def _at(time_s: float, frame: torch.Tensor) -> list[Json]:
    return [{"type": "text", "text": f"<{time_s:.1f} seconds>"}, _picture(frame)]


def _picture(frame: torch.Tensor) -> Json:
    return {"type": "image_url", "image_url": {"url": _data_url(frame)}}


def _data_url(frame: torch.Tensor) -> str:
    """One frame, uint8 [3, H, W], as a data URL."""
    if frame.shape[1] * frame.shape[2] > MAX_LOSSLESS_PIXELS:
        return f"data:image/jpeg;base64,{_base64_jpeg(frame)}"
    data = io.BytesIO()
    Image.fromarray(_rows(frame)).save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _jpegs(frames: torch.Tensor) -> str:
    """Frames, uint8 [T, 3, H, W], in the form that vLLM takes apart at its commas."""
    return "data:video/jpeg;base64," + ",".join(_base64_jpeg(frame) for frame in frames)


def _timed(clip: Frames) -> dict[str, Json]:
    """What tells vLLM when each frame is shown, and that it is to take them all."""
    ticks = [round(time_s * TICKS_PER_S) for time_s in clip.times_s]
    timed: Json = {
        "fps": TICKS_PER_S,
        "frames_indices": ticks,
        "total_num_frames": ticks[-1] + 1,
        "duration": ticks[-1] / TICKS_PER_S,
        "num_frames": -1,
    }
    return {"media_io_kwargs": {"video": timed}, "mm_processor_kwargs": {"do_sample_frames": False}}


def _mp4(frames: torch.Tensor, times_s: Sequence[float]) -> str:
    """Frames, uint8 [T, 3, H, W], as a video at the rate at which they were taken, which such a server samples by."""
    span_s = times_s[-1] - times_s[0]
    rate = round((len(times_s) - 1) / span_s * TICKS_PER_S) if span_s > 0 else 2 * TICKS_PER_S
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(max(rate, 1), TICKS_PER_S))
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "12", "preset": "veryfast"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_rows(frame), format="rgb24")))
        container.mux(stream.encode())
    return f"data:video/mp4;base64,{base64.b64encode(data.getvalue()).decode()}"


def _base64_jpeg(frame: torch.Tensor) -> str:
    data = io.BytesIO()
    Image.fromarray(_rows(frame)).save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return base64.b64encode(data.getvalue()).decode()


def _rows(frame: torch.Tensor) -> np.ndarray:
    """One frame, uint8 [3, H, W], with its colours last."""
    return np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
