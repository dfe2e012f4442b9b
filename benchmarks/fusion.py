"""Early fusion beside its peers: `make bench-fusion`.

Each piece of work is done by us and by its peer in turn, on one thread, in a process of its own; a row gives the
medians of CPU time, and the peak of memory that each took above its start, alone in a process. The files are drawn and
encoded first. Ratios are what counts: absolute times are those of a noisy machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
import torch
from PIL import Image

from pipelines.checkpoint import Checkpoint
from pipelines.fusion import ClipLook, expand_prompt, sample_frames
from pipelines.fusion.fuse import encode
from pipelines.fusion.prompt import expand
from pipelines.fusion.resizing import clip_frames, picture_frame
from pipelines.inputs import cut
from pipelines.media import open_media
from pipelines.models import DEMO_FOLDER
from pipelines.types import Clip, Limits, Picture

ONE_MEGAPIXEL = Limits(65_536, 1_048_576)
OFFICIAL = Limits(65_536, 16_777_216)
SMALL_CLIP = Limits(4_096, 32 * 320 * 192)
OFFICIAL_CLIP = Limits(4_096, 25_165_824)
NUM_FRAMES, HOUR_FRAMES = 32, 64
Work = Callable[[], object]


def picture_processor(limits: Limits) -> Callable[[object], object]:
    """transformers' processor without torchvision."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": limits.min_pixels, "longest_edge": limits.max_pixels},
    )
    return lambda image: processor(image, return_tensors="pt")


def opened(path: Path, num_frames: int = NUM_FRAMES, limits: Limits = SMALL_CLIP) -> Picture | Clip:
    """A file as the program opens it, `num_frames` of a clip."""
    return open_media(path, ClipLook(1.0, num_frames, num_frames, num_frames, limits))


def spread(total: int, num_frames: int) -> list[int]:
    """Evenly spread frame numbers."""
    return sample_frames(total, 1.0, 1.0, max_frames=num_frames)


def clip_of(path: Path) -> object:
    """Our way: exact frames by time stamp, each resized as it comes, then patches."""
    clip = opened(path)
    assert isinstance(clip, Clip)
    return cut(clip_frames(clip.rgb, SMALL_CLIP))


def clip_by_decord(path: Path) -> object:
    """decord at full size, then the same patches."""
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    return cut(clip_frames(reader.get_batch(spread(len(reader), NUM_FRAMES)).asnumpy(), SMALL_CLIP))


def frames_by_opencv(path: Path, num_frames: int) -> np.ndarray:
    """OpenCV, going to each frame by its number."""
    reader = cv2.VideoCapture(str(path))
    frames = []
    for index in spread(int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), num_frames):
        reader.set(cv2.CAP_PROP_POS_FRAMES, index)
        frames.append(reader.read()[1][..., ::-1])
    return np.ascontiguousarray(frames)


def prompt_pieces() -> tuple[str, tuple[int, int, int], list[float]]:
    """A prompt about a clip of 768 frames at 64 visual tokens a frame."""
    rendered = "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>What happens?<|im_end|>\n"
    return rendered, (384, 16, 16), [index + 0.5 for index in range(384)]


def works(folder: Path) -> dict[str, dict[str, Work]]:
    """Every piece of work, ours first, then its peers."""
    jpeg, minute, plain, hour = (folder / name for name in ("photo.jpg", "minute.mp4", "plain.mp4", "hour.mp4"))
    rgb = np.random.default_rng(0).integers(0, 256, (896, 1216, 3), np.uint8)
    checkpoint = Checkpoint.open(DEMO_FOLDER)
    rendered, grid, times = prompt_pieces()

    def photo() -> object:
        picture = opened(jpeg)
        assert isinstance(picture, Picture)
        return cut(picture_frame(picture.rgb, ONE_MEGAPIXEL))

    small, large = picture_processor(ONE_MEGAPIXEL), picture_processor(OFFICIAL)
    return {
        "12-megapixel JPEG to patches at one megapixel": {
            "ours": photo,
            "Pillow + transformers": lambda: small(Image.open(jpeg).convert("RGB")),
        },
        "1216 x 896 uint8 to patches": {
            "ours": lambda: cut(picture_frame(rgb, OFFICIAL)),
            "transformers": lambda: large(rgb),
        },
        "32 exact frames of 60 s of 1080p H.264": {
            "ours": lambda: clip_of(minute),
            "decord": lambda: clip_by_decord(minute),
            "OpenCV by index": lambda: cut(clip_frames(frames_by_opencv(minute, NUM_FRAMES), SMALL_CLIP)),
        },
        "the same without B-frames": {
            "ours": lambda: clip_of(plain),
            "decord": lambda: clip_by_decord(plain),
            "OpenCV by index": lambda: cut(clip_frames(frames_by_opencv(plain, NUM_FRAMES), SMALL_CLIP)),
        },
        "64 frames of an hour (ours: keyframes nearby)": {
            "ours": lambda: opened(hour, HOUR_FRAMES, OFFICIAL_CLIP),
            "OpenCV by index": lambda: frames_by_opencv(hour, HOUR_FRAMES),
        },
        "prompt of 768 frames to token ids": {
            "ours": lambda: encode(expand(rendered, [], [grid], [times]), checkpoint),
            "text, then tokenize": lambda: checkpoint.encode(expand_prompt(rendered, [], [grid], [times])),
        },
    }


def draw_files(folder: Path) -> None:
    """The photo, two minutes of 1080p at 24 frames a second with a keyframe each 250, an hour at 10 frames a second.

    The first minute is as x264 writes it by default, the other clips in its fastest way, which has no B-frames.
    """
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    noise.resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / "photo.jpg", quality=90)
    draw_clip(folder / "minute.mp4", noise, (1920, 1080), 24, 60 * 24, "medium")
    draw_clip(folder / "plain.mp4", noise, (1920, 1080), 24, 60 * 24, "ultrafast")
    draw_clip(folder / "hour.mp4", noise, (320, 180), 10, 3600 * 10, "ultrafast")


def draw_clip(path: Path, texture: Image.Image, size: tuple[int, int], fps: int, num_frames: int, preset: str) -> None:
    """A texture that wanders."""
    wide = np.asarray(texture.resize((size[0] + 256, size[1]), Image.Resampling.BICUBIC))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": preset, "g": "250"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(num_frames):
            left = number % 256
            frame = np.ascontiguousarray(wide[:, left : left + size[0]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def cpu_ms(contenders: dict[str, Work], repeats: int) -> dict[str, float]:
    """Median CPU milliseconds of each contender, all of them in turn `repeats` times after one for warmth."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, work in contenders.items():
            started = time.process_time()
            work()
            if turn:
                taken[name].append((time.process_time() - started) * 1000)
    return {name: median(times) for name, times in taken.items()}


def cpu_ms_apart(folder: Path, title: str, repeats: int) -> dict[str, float]:
    """`cpu_ms` of one piece of work in a process of its own: what ran before would leave its mark on the memory."""
    command = [sys.executable, "-m", "benchmarks.fusion", "--times", title, "--repeats", str(repeats)]
    run = subprocess.run([*command, "--folder", str(folder)], capture_output=True, text=True, check=True)
    times: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return times


def peak_mb(folder: Path, title: str, name: str) -> float:
    """Megabytes that a contender takes at its peak above what the process held before, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fusion", "--peak", title, name, "--folder", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def print_peak(work: Work) -> None:
    """Do the work once and print its peak in megabytes; Linux alone tells it."""
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew, or importing would hide it
    before = resident_kb("VmRSS")
    work()
    print((resident_kb("VmHWM") - before) / 1024)


def resident_kb(field: str) -> int:
    """Resident memory of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field + ":")))


def table(folder: Path, repeats: int) -> None:
    """Print a row for each piece of work and peer."""
    print(f"{platform.machine()}, one thread, torch {torch.__version__}, medians of {repeats}\n")
    print("| work | peer | ours, CPU ms | peer, CPU ms | ratio | ours, MB | peer, MB |\n|---|---|---|---|---|---|---|")
    for title, contenders in works(folder).items():
        times = cpu_ms_apart(folder, title, repeats)
        peaks = {name: peak_mb(folder, title, name) for name in contenders}
        for peer in list(contenders)[1:]:
            figures = f"{times['ours']:.1f} | {times[peer]:.1f} | {times[peer] / times['ours']:.1f} x"
            print(f"| {title} | {peer} | {figures} | {peaks['ours']:.0f} | {peaks[peer]:.0f} |", flush=True)


def main() -> None:
    """Read the options, draw the files where they are missing, measure."""
    parser = argparse.ArgumentParser(description="Measure early fusion beside its peers.")
    parser.add_argument("--folder", type=Path, help="where the drawn files are kept (default: a temporary folder)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peak", nargs=2, metavar=("WORK", "CONTENDER"), help=argparse.SUPPRESS)
    parser.add_argument("--times", metavar="WORK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.peak:
        title, name = options.peak
        print_peak(works(options.folder)[title][name])
        return
    if options.times:
        print(json.dumps(cpu_ms(works(options.folder)[options.times], options.repeats)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "hour.mp4").exists():
            draw_files(folder)
        table(folder, options.repeats)


if __name__ == "__main__":
    main()
