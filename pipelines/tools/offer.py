"""The tools as the model is told of them, in the form of Qwen's templates.

What `image_zoom_in_tool` says of itself is that of Qwen's cookbook; the shipped model was trained on just these words.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.types import Clip, Media, Tool

ZOOM = "image_zoom_in_tool"
FRAMES = "clip_frames_tool"
ZOOM_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": ZOOM,
        "description": (
            "Zoom in on a specific region of an image by cropping it based on a bounding box (bbox) and an optional "
            "object label."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "bbox_2d": {
                    "type": "array",
                    "items": {"type": "number"},
                    "minItems": 4,
                    "maxItems": 4,
                    "description": "The bounding box of the region to zoom in, as [x1, y1, x2, y2], from 0 to 1000.",
                },
                "label": {
                    "type": "string",
                    "description": "The name or label of the object in the specified bounding box.",
                },
                "img_idx": {"type": "number", "description": "The index of the image to zoom in on, from 0."},
            },
            "required": ["bbox_2d", "label", "img_idx"],
        },
    },
}
FRAMES_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": FRAMES,
        "description": "Look at more frames of a span of the last video, evenly spread over it.",
        "parameters": {
            "type": "object",
            "properties": {
                "start_s": {"type": "number", "description": "Where the span begins, in seconds."},
                "end_s": {"type": "number", "description": "Where the span ends, in seconds."},
                "num_frames": {"type": "number", "description": "How many frames to look at, from 1 to 32."},
            },
            "required": ["start_s", "end_s", "num_frames"],
        },
    },
}


def offered(media: Sequence[Media]) -> tuple[Tool, ...]:
    """The tools that have a use for these media."""
    kinds = {isinstance(item, Clip) for item in media}
    return (*([ZOOM_TOOL] if False in kinds else []), *([FRAMES_TOOL] if True in kinds else []))
