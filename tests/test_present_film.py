from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.conversation import Draft, Reply, Round
from pipelines.media import footage, probe
from pipelines.present.claims import Claimed, claims
from pipelines.present.film import MAX_SIDE_PX, NO_CLIP_MARKED, marked_clips
from pipelines.types import ProbedClip, UserError
from tests.media_makers import number_in, write_clip

TRACK = '[{"time": 1, "bbox_2d": [100, 100, 900, 900], "label": "a"}]'


def claimed_of(answer: str, *files: Path) -> Claimed:
    return claims([Round(Draft("Where?", files), Reply(answer))])[-1]


def frames_of(path: Path) -> list[tuple[float, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]:
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), frame.to_ndarray(format="rgb24").astype(np.uint8))
            for frame in container.decode(video=0)
        ]


def orange_share(rgb: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """How much has about the colour of the first mark: thin lines lose some of it in the film."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return float(((red > 170) & (green > 100) & (green < 200) & (blue < 110)).mean())


@pytest.mark.parametrize("turn", [None, (90, False, False)], ids=["upright", "turned"])
def test_a_clip_opens_again_with_its_marks_at_their_time(tmp_path: Path, turn: tuple[int, bool, bool] | None) -> None:
    clip = write_clip(tmp_path / "a clip.mp4", frames=30, rate=10, turn=turn, size=(256, 192))
    told: list[float] = []
    (path,) = marked_clips(claimed_of(f"{TRACK}\n\nFrom 2 s to 2.5 s it turns", clip), tmp_path, told.append)
    frames = frames_of(path)
    assert path.name == "a-clip-1-marked.mp4"
    assert frames[0][1].shape == ((256, 192, 3) if turn else (192, 256, 3))
    assert [round(time_s, 2) for time_s, _ in frames] == [round(number / 10, 2) for number in range(30)]
    marked = [number for number, (_, rgb) in enumerate(frames) if orange_share(rgb) > 0.005]
    assert marked == list(range(5, 16))
    captioned = [number for number, (_, rgb) in enumerate(frames) if 10 < rgb[-3].mean() < 25]
    assert captioned == list(range(20, 26))
    assert told == pytest.approx([count / 30 for count in range(1, 31)])


def test_frames_come_one_at_a_time_in_their_order(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=20, rate=10)
    with footage(clip, lambda times_s, _duration_s: range(0, len(times_s), 2)) as moving:
        assert [number_in(frame.rgb) for frame in moving.frames] == list(range(0, 20, 2))
    with footage(clip, lambda times_s, _duration_s: range(len(times_s))) as moving:
        assert number_in(next(moving.frames).rgb) == 0  # and the rest is left
    with footage(clip, lambda _times_s, _duration_s: [5]) as moving:
        assert [number_in(frame.rgb) for frame in moving.frames] == [5]


def test_frames_that_stay_for_long_have_the_marks_of_all_of_their_time(tmp_path: Path) -> None:
    """Of slides, two seconds each, a mark between the moments at which two come up was on neither."""
    clip = write_clip(tmp_path / "slides.mp4", frames=5, times_ms=range(0, 10_000, 2000), size=(256, 192))
    answer = '[{"time": 5, "bbox_2d": [100, 100, 900, 900], "label": "a"}]\n\nFrom 6.5 s to 7 s it turns'
    (path,) = marked_clips(claimed_of(answer, clip), tmp_path, lambda _: None)
    frames = frames_of(path)
    assert [number for number, (_, rgb) in enumerate(frames) if orange_share(rgb) > 0.005] == [2]
    assert [number for number, (_, rgb) in enumerate(frames) if 10 < rgb[-3].mean() < 25] == [3]


def test_the_last_frame_stays_as_long_as_in_the_clip(tmp_path: Path) -> None:
    """It was gone after a thirtieth of a second: what was told of the last of some slides could not be read."""
    first, *others = (Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue"))
    clip = tmp_path / "slides.gif"
    first.save(clip, save_all=True, append_images=others, duration=[1000, 1000, 3000])
    (path,) = marked_clips(claimed_of("From 2 s to 5 s it is blue", clip), tmp_path, lambda _: None)
    probed = probe(path)
    assert isinstance(probed, ProbedClip)
    assert probed.duration_s == pytest.approx(5.0)
    assert [time_s for time_s, _ in frames_of(path)] == pytest.approx([0.0, 1.0, 2.0])


def test_a_film_tells_its_colours_and_has_those_of_the_clip(tmp_path: Path) -> None:
    """Untold, a browser takes those of 720 lines and more by another standard: green was a sixth darker."""
    colour = (230, 159, 0)
    Image.new("RGB", (64, 64), colour).save(
        tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")]
    )
    (path,) = marked_clips(claimed_of("From 0 s to 0.1 s it is orange", tmp_path / "a.gif"), tmp_path, lambda _: None)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
    with footage(path, lambda _times, _duration: [0]) as moving:
        assert next(moving.frames).rgb[8, 32] == pytest.approx(colour, abs=4)


def test_a_large_clip_of_odd_sides_is_reduced(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.webm", "libvpx", size=(1601, 201), frames=3)
    (path,) = marked_clips(claimed_of(TRACK, clip), tmp_path, lambda _: None)
    height, width = frames_of(path)[0][1].shape[:2]
    assert (width, height % 2) == (MAX_SIDE_PX, 0)


def test_a_clip_without_marks_is_told_and_so_is_a_marked_picture(tmp_path: Path, picture: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    with pytest.raises(UserError, match=NO_CLIP_MARKED):
        marked_clips(claimed_of("It turns.", clip), tmp_path, lambda _: None)
    with pytest.raises(UserError, match=NO_CLIP_MARKED):
        marked_clips(claimed_of('[{"bbox_2d": [1, 2, 3, 4]}]', picture), tmp_path, lambda _: None)
    with pytest.raises(UserError, match="is a picture"), footage(picture, lambda _times, _duration: [0]):
        pass


def test_a_frame_that_stays_longer_than_an_mp4_can_tell_is_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "nights.mp4", frames=2, times_ms=(0, 30_000_000))
    (path,) = marked_clips(claimed_of('[{"time": 0, "bbox_2d": [100, 100, 900, 900]}]', clip), tmp_path, lambda _: None)
    assert len(frames_of(path)) == 2
