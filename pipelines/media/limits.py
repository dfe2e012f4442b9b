"""What a file may cost at most.

Strangers upload files, and a few kilobytes can ask for gigabytes. Each limit is checked before the cost is paid, and
none is met by what a phone, a camera or a screen recorder writes.
"""

from __future__ import annotations

from pipelines.allotted import num_processors

MAX_FILE_BYTES = 2 * 1024**3
"""Reading every packet of a clip takes seconds at this size, and no upload is larger."""

MAX_PICTURE_PIXELS = 50_000_000
"""A picture takes up to 14 bytes a pixel while it is converted: 700 MB. The largest usual sensors give this many."""

MAX_TEXT_BYTES = 16 * 1024**2
"""Of one compressed text in a PNG: programs that draw pictures write how into them, megabytes of it."""

MAX_DECODED_PIXELS = 16 * 1024**2
"""Of one frame as stored. A decoder keeps 16 frames and more for its threads; action cameras write 5312 x 2988."""

MAX_CLIP_FRAMES = 500_000
"""In a file: more than four hours at 30 frames a second. The time of each is held in memory."""

DECODER_THREADS = min(4, num_processors())
"""Each thread holds frames of its own, so a machine with many cores would need many times the memory."""

MAX_EXACT_FRAMES = 3_000
"""Where more frames would be decoded to reach those that are wanted, keyframes near them are taken instead."""

MIN_SKIPPED_FRAMES = 30
"""Fewer frames than this are decoded and dropped; a jump to the next keyframe costs about as much."""

MAX_WORKERS = max(2, min(4, num_processors()))
"""Files that are read at the same time, each by a process of its own; two at least, as one is kept from long work."""

WORKER_BYTES = 900 * 1024**2
"""Of memory that a worker may write to: the dearest picture takes 700 MB of it, everything else far less."""

WORKER_CPU_S = 120
"""Of a processor for one file. An hour of video takes a few; 768 frames of 4K that lie far apart take 100."""

FRAMES_AN_ALLOWANCE = 768
"""A clip that has given so many frames may use `WORKER_CPU_S` for the next ones: whoever asks bounds their number."""

SILENCE_S = 8.0
"""A worker tells at each packet and frame that it is at work; this long without a word, and it is ended."""

PICTURE_CPU_S = 15
"""Of a processor for a picture: several times what the largest AVIF and HEIC take."""

PICTURE_SILENCE_S = 60.0
"""A picture is decoded without a word, on a busy machine for long: its processor time holds it to less."""

WORKER_OPEN_FILES = 64

MAX_WORKER_FILES = 200
"""That one worker reads, before a fresh one takes its place: what libraries leak is then gone."""
