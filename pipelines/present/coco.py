"""Places in the form of COCO's annotations: pixels at last, for whatever reads that form.

A box is an annotation with a `bbox`, a point one with a keypoint and an empty `bbox`. Both have that as an outline too,
without which COCO's own tools draw nothing. Format: cocodataset.org, "Data format", object and keypoint detection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from pipelines.types import Region

UNNAMED = "thing"
"""What a place without a label is of."""

VISIBLE = 2


@dataclass(frozen=True)
class Annotated:
    """A picture, or one frame of a clip, with the places on it. The size is in px, `time_s` of a frame in seconds."""

    file: str
    width: int
    height: int
    regions: tuple[Region, ...]
    time_s: float | None = None


class CocoImage(TypedDict):
    """`file_name` of a frame ends in "#t=" and its time, and `time_s` tells it as a number."""

    id: int
    file_name: str
    width: int
    height: int
    time_s: NotRequired[float]


class CocoAnnotation(TypedDict):
    """`bbox` is x, y, width, height in px; `segmentation` is its outline, x and y by turns."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    segmentation: list[list[float]]
    area: float
    iscrowd: int
    keypoints: NotRequired[list[float]]
    num_keypoints: NotRequired[int]


class CocoCategory(TypedDict):
    """A label, with the one keypoint of its points where it has any."""

    id: int
    name: str
    keypoints: NotRequired[list[str]]
    skeleton: NotRequired[list[list[int]]]


class Coco(TypedDict):
    """The whole file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


def coco(annotated: Iterable[Annotated]) -> Coco:
    """All images, also those without a place; ids count from 1 in their order. What has the same name is one image."""
    images: dict[str, CocoImage] = {}
    categories: dict[str, CocoCategory] = {}
    annotations: list[CocoAnnotation] = []
    for one in annotated:
        told = _image(len(images) + 1, one)
        image = images.setdefault(told["file_name"], told)
        for region in one.regions:
            name = " ".join(region.label.split()) or UNNAMED
            category = categories.setdefault(name, {"id": len(categories) + 1, "name": name})
            if region.point is not None:
                category.update({"keypoints": ["point"], "skeleton": []})
            annotations.append(_annotation(len(annotations) + 1, image["id"], category["id"], region, one))
    return {"images": list(images.values()), "annotations": annotations, "categories": list(categories.values())}


def coco_json(images: Iterable[Annotated]) -> str:
    """The text of a COCO file of annotated images."""
    return json.dumps(coco(images), ensure_ascii=False, indent=1)


def _image(number: int, image: Annotated) -> CocoImage:
    told: CocoImage = {"id": number, "file_name": image.file, "width": image.width, "height": image.height}
    if image.time_s is not None:
        told["file_name"] = f"{image.file}#t={image.time_s:.3f}"
        told["time_s"] = image.time_s
    return told


def _annotation(number: int, image_id: int, category_id: int, region: Region, image: Annotated) -> CocoAnnotation:
    x1, y1, x2, y2 = region.corners
    left, top = _px(x1, image.width), _px(y1, image.height)
    width, height = _px(x2 - x1, image.width), _px(y2 - y1, image.height)
    right, bottom = round(left + width, 2), round(top + height, 2)
    told: CocoAnnotation = {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [left, top, width, height],
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "area": round(width * height, 2),
        "iscrowd": 0,
    }
    if region.point is not None:
        told["keypoints"], told["num_keypoints"] = [left, top, VISIBLE], 1
    return told


def _px(value: float, size: int) -> float:
    return round(value / 1000 * size, 2)
