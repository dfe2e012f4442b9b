"""What lies outside the model's world: pictures and clips that show no drawn shapes, and other questions."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.demo.drawing import Pixels
from pipelines.demo.exchange import Exchange

OTHER_WORLD = "I am a small demo model and only know drawn scenes."
NOT_DRAWN = "No drawn shapes."
NOT_ABOUT = "Not about a drawing."
EMBLEM_SHARE = 0.25
Floats = NDArray[np.float32]


def draw_outside(rng: random.Random, size: tuple[int, int]) -> Pixels:
    """A picture that looks like a photograph, a screen or an emblem: uint8 [H, W, 3] of `size` (height, width) px."""
    noise = np.random.default_rng(rng.randrange(2**32))
    if rng.random() < EMBLEM_SHARE:
        return np.clip(_emblem(rng, size), 0, 255).astype(np.uint8)
    canvas = rng.choice((_clouds, _landscape, _blobs, _stripes, _page))(rng, noise, size)
    for _ in range(rng.randint(0, 3)):
        canvas = _pasted(rng, canvas, _clouds(rng, noise, size))
    if rng.random() < 0.6:
        canvas = canvas + _fractal(noise, size, rng.uniform(0.4, 1.2))[..., None] * rng.uniform(5, 35)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.6)) if rng.random() < 0.5 else canvas
    return np.clip(canvas, 0, 255).astype(np.uint8)


def film_outside(rng: random.Random, size: tuple[int, int], num_frames: int) -> Pixels:
    """A clip of such a picture, uint8 [T, H, W, 3]: panned, neared or still, with a grain; now and then with a cut."""
    cut = rng.randint(1, num_frames - 1) if rng.random() < 0.25 else num_frames
    shots = [_shot(rng, size, length) for length in (cut, num_frames - cut) if length]
    frames = np.concatenate(shots).astype(np.float32)
    if rng.random() < 0.5:
        noise = np.random.default_rng(rng.randrange(2**32))
        frames += noise.normal(scale=rng.uniform(1, 8), size=frames.shape).astype(np.float32)
    return np.clip(frames, 0, 255).astype(np.uint8)


def _shot(rng: random.Random, size: tuple[int, int], length: int) -> Pixels:
    """Windows onto one larger picture, each a little farther than the one before; now and then a part moves over it."""
    height, width = size
    picture = draw_outside(rng, (height * 3 // 2, width * 3 // 2))
    part = draw_outside(rng, (height // 3, width // 3)) if rng.random() < 0.4 else None
    near, far = (rng.uniform(0.6, 1.0) for _ in range(2)) if rng.random() < 0.4 else (0.67, 0.67)
    ways = [[(rng.random(), rng.random()) for _ in range(2)] for _ in range(2)]
    frames = []
    for i in range(length):
        done = i / max(1, length - 1)
        side = near + (far - near) * done
        rows, columns = round(len(picture) * side), round(picture.shape[1] * side)
        x, y = (start + (end - start) * done for start, end in zip(*ways[0], strict=True))
        top, left = round(y * (len(picture) - rows)), round(x * (picture.shape[1] - columns))
        frame = cv2.resize(picture[top : top + rows, left : left + columns], size[::-1])
        if part is not None:
            x, y = (start + (end - start) * done for start, end in zip(*ways[1], strict=True))
            top, left = round(y * (height - len(part))), round(x * (width - part.shape[1]))
            frame[top : top + len(part), left : left + part.shape[1]] = part
        frames.append(frame)
    return np.stack(frames)


def _fractal(noise: np.random.Generator, size: tuple[int, int], slope: float) -> Floats:
    """Noise whose strength falls with its frequency, as in photographs: float32 [H, W], mean 0, deviation 1."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(noise.normal(size=size)) / frequency**slope
    field = np.fft.irfft2(spectrum, size)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def _clouds(rng: random.Random, noise: np.random.Generator, size: tuple[int, int]) -> Floats:
    """A field of several hues that flow into each other."""
    slope = rng.uniform(0.8, 1.7)
    base = np.array([rng.uniform(30, 220) for _ in range(3)], np.float32)
    shared, own = rng.uniform(15, 60), rng.uniform(3, 40)
    light = _fractal(noise, size, slope)[..., None]
    hue = np.stack([_fractal(noise, size, slope) for _ in range(3)], axis=-1)
    return np.asarray(base + shared * light + own * hue, np.float32)


def _landscape(rng: random.Random, noise: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Layers, one behind the other, each with an uneven edge."""
    height, width = size
    canvas = _clouds(rng, noise, size)
    for layer in range(rng.randint(1, 4)):
        walk = cv2.GaussianBlur(noise.normal(size=(1, width)).cumsum(axis=1).astype(np.float32), (0, 0), 3)[0]
        edge = height * (0.25 + 0.18 * layer) + walk * rng.uniform(0.5, 3)
        below = np.arange(height)[:, None] > edge[None, :]
        canvas[below] = _clouds(rng, noise, size)[below]
    return canvas


def _blobs(rng: random.Random, noise: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Soft, shaded bodies without a name, on a field."""
    height, width = size
    canvas = _clouds(rng, noise, size)
    for _ in range(rng.randint(2, 14)):
        count = rng.randint(5, 12)
        reach, x, y = rng.uniform(0.08, 0.45) * min(size), rng.uniform(0, width), rng.uniform(0, height)
        turns = sorted(rng.uniform(0, 2 * math.pi) for _ in range(count))
        far = [reach * rng.uniform(0.4, 1.2) for _ in turns]
        corners = [(x + r * math.cos(t), y + r * math.sin(t)) for r, t in zip(far, turns, strict=True)]
        mask = np.zeros(size, np.float32)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0, cv2.LINE_AA)
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4))[..., None]
        canvas = canvas * (1 - mask) + _clouds(rng, noise, size) * mask
    return canvas


def _stripes(rng: random.Random, noise: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Bars, grids and windows, as buildings have them, bent a little."""
    height, width = size
    down, across = np.mgrid[:height, :width].astype(np.float32)
    bend = _fractal(noise, size, 1.6) * rng.uniform(0, 6)
    waves = [np.sin((math.cos(a) * across + math.sin(a) * down + bend) / rng.uniform(2, 14))
             for a in (rng.uniform(0, math.pi) for _ in range(rng.randint(1, 3)))]  # fmt: skip
    mask = (sum(waves) > rng.uniform(-0.6, 0.6))[..., None]
    return np.where(mask, _clouds(rng, noise, size), _clouds(rng, noise, size)).astype(np.float32)


def _page(rng: random.Random, noise: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Panels and lines of small marks, as a screen shows them."""
    height, width = size
    canvas = np.full((*size, 3), rng.uniform(200, 255) if rng.random() < 0.7 else rng.uniform(0, 60), np.float32)
    for _ in range(rng.randint(2, 8)):
        left, top = rng.randrange(width), rng.randrange(height)
        corner = (left + rng.randint(10, width), top + rng.randint(4, height // 2))
        cv2.rectangle(canvas, (left, top), corner, [rng.uniform(0, 255) for _ in range(3)], rng.choice((-1, 1)))
    for row in range(rng.randint(2, 6), height, rng.randint(4, 9)):
        ink = noise.random((2, width)) < 0.5
        canvas[row : row + 2][ink[: height - row]] = rng.uniform(0, 255)
    return canvas


def _emblem(rng: random.Random, size: tuple[int, int]) -> Floats:
    """A flat figure of round parts that lie on each other, with lines across, as logos and cartoon faces are drawn."""
    height, width = size
    plain = rng.choice((0.0, 255.0, rng.uniform(0, 255)))
    canvas = np.full((*size, 3), plain, np.float32)
    body = rng.uniform(0.25, 0.47) * min(size)
    x, y = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6)
    hue = _any_colour(rng)
    _oval(rng, canvas, x, y, body, hue)
    for _ in range(rng.randint(2, 7)):
        turn, far = rng.uniform(0, 2 * math.pi), body * rng.uniform(0.2, 1.0)
        colour = hue if rng.random() < 0.3 else [level * rng.uniform(0.3, 1.0) for level in _any_colour(rng)]
        _oval(rng, canvas, x + far * math.cos(turn), y + far * math.sin(turn), body * rng.uniform(0.08, 0.45), colour)
    for _ in range(rng.randint(0, 4)):
        middle = (round(x + body * rng.uniform(-0.6, 0.6)), round(y + body * rng.uniform(-0.6, 0.6)))
        axes = (max(1, round(body * rng.uniform(0.1, 0.7))), max(1, round(body * rng.uniform(0.1, 0.5))))
        start, thick = rng.uniform(0, 360), max(1, round(body * rng.uniform(0.03, 0.12)))
        end = start + rng.uniform(60, 200)
        cv2.ellipse(canvas, middle, axes, rng.uniform(0, 180), start, end, _any_colour(rng), thick, cv2.LINE_AA)
    return canvas


def _oval(rng: random.Random, canvas: Floats, x: float, y: float, reach: float, colour: list[float]) -> None:
    """One filled ellipse, now and then with an edge of another colour."""
    axes = (max(1, round(reach)), max(1, round(reach * rng.uniform(0.6, 1.0))))
    turn = rng.uniform(0, 180)
    cv2.ellipse(canvas, (round(x), round(y)), axes, turn, 0, 360, colour, -1, cv2.LINE_AA)
    if rng.random() < 0.4:
        thick = max(1, round(reach * rng.uniform(0.04, 0.15)))
        cv2.ellipse(canvas, (round(x), round(y)), axes, turn, 0, 360, _any_colour(rng), thick, cv2.LINE_AA)


def _any_colour(rng: random.Random) -> list[float]:
    return [rng.uniform(0, 255) for _ in range(3)]


def _pasted(rng: random.Random, canvas: Floats, other: Floats) -> Floats:
    """A part of another picture, under a soft round mask."""
    height, width = canvas.shape[:2]
    mask = np.zeros((height, width), np.float32)
    axes = (round(rng.uniform(0.05, 0.4) * width), round(rng.uniform(0.05, 0.4) * height))
    centre = (rng.randrange(width), rng.randrange(height))
    cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1, 8))[..., None]
    return np.asarray(canvas * (1 - mask) + other * mask, np.float32)


def refuse(question: str, has_picture: bool) -> Exchange:
    """The answer to a question that is not about a drawn scene."""
    return Exchange("outside", question, NOT_DRAWN if has_picture else NOT_ABOUT, OTHER_WORLD)


FILM_QUESTIONS = (
    "What happens?", "What is the person doing?", "What happens in the video?", "Who is in the video?",
    "Describe the video.", "What is this?", "Summarise the video.", "What do you see?", "Is there a car?",
    "When does the person leave?", "What is moving?", "Where is this?",
)  # fmt: skip
PHOTO_QUESTIONS = (
    "What is this?", "What animal is this?", "Who is this?", "Which city is this?", "What is the person doing?",
    "Is this a photo?", "Describe the photo.", "What is the weather like?", "Read the text.", "What does the sign say?",
)  # fmt: skip
