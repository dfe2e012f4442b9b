"""A still from a file: upright, in sRGB, 8 bits, without transparency.

The first frame of an animation is the picture. Transparent parts are shown over white, as a page shows them. An
embedded colour profile is applied; one that does not fit the pixels is passed over, as browsers do.
"""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from pipelines.media.errors import decoding, too_large
from pipelines.media.jpeg import decode_jpeg
from pipelines.media.limits import MAX_PICTURE_PIXELS, MAX_TEXT_BYTES
from pipelines.media.upright import UPRIGHT, turned
from pipelines.types import Picture

# Pillow tries every format it knows unless told otherwise, PostScript and Photoshop files among them.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF")
ANIMATED = ("WEBP", "PNG", "AVIF")
"""What Pillow calls an animation in other formats are pictures beside the picture, as a phone's JPEG has."""
ORIENTATION = 0x0112
XMP = ("XML:com.adobe.xmp", "xmp")
"""Where Pillow looks for an orientation of a PNG too."""
AXES = {
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def open_picture(path: Path) -> Picture:
    """Decode a picture: uint8 [height, width, 3], contiguous, upright, in sRGB.

    Raises UserError when the file is of another kind, cut off, damaged, or larger than `MAX_PICTURE_PIXELS`; the size
    is read from the header, before anything is decoded.
    """
    with decoding(path.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(path) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise too_large(path.name, MAX_PICTURE_PIXELS)
            return Picture(path.name, _upright_rgb(image, path), is_animated=holds_more(image))


def holds_more(image: Image.Image) -> bool:
    """Whether an opened picture is the first frame of several; a GIF of several is a clip."""
    return image.format in ANIMATED and bool(getattr(image, "is_animated", False))


def is_animation(path: Path) -> bool:
    """Whether a GIF holds more than one frame; False too where that cannot be read."""
    try:
        with Image.open(path, formats=("GIF",)) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:
        return False


def allow_long_texts() -> None:
    """Pass over texts in a PNG up to `MAX_TEXT_BYTES`: Pillow takes more than 1 MB for an attack.

    For all of the process, which should have a limit of its memory.
    """
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT_BYTES


def opened(path: Path) -> Image.Image:
    """The picture with its header read and nothing decoded. Raises UserError for a decompression bomb."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    try:
        return Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise too_large(path.name, MAX_PICTURE_PIXELS) from error


def _upright_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    profile, orientation = image.info.get("icc_profile"), _orientation(image)
    rgb = None if profile else decode_jpeg(image, path)
    if rgb is None:
        image.load()
        rgb = np.asarray(_to_srgb(_flat(image), profile))
    return np.require(turned(rgb, AXES.get(orientation, UPRIGHT)), requirements=("C", "W"))


def _flat(image: Image.Image) -> Image.Image:
    """Return the pixels as RGB, L or CMYK, 8 bits, with what is transparent over white."""
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit grey at 255; the high byte is what it keeps of 16-bit colour.
        values = np.asarray(image).clip(0, 0xFFFF)
        grey = (values >> 8).astype(np.uint8)
        if image.has_transparency_data:
            grey[values == image.info["transparency"]] = 255
        return Image.fromarray(grey)
    if image.has_transparency_data:
        layered = _as(image, "LA" if image.mode in ("L", "LA") else "RGBA")
        flat = Image.new("L" if layered.mode == "LA" else "RGB", image.size, "white")
        flat.paste(layered, mask=layered)
        return flat
    return image if image.mode in _SPACES.values() else image.convert("RGB")


def _as(image: Image.Image, mode: str) -> Image.Image:
    # Converting to the mode that a picture has copies it, and large pictures are large.
    return image if image.mode == mode else image.convert(mode)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Apply the embedded profile, when it is one for pixels of this kind."""
    if profile:
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if _SPACES.get(source.profile.xcolor_space) == image.mode:
                converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
    return _as(image, "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        if image.format == "PNG":
            behind = [name for name in XMP if name not in image.info]
            image.load()  # EXIF may stand behind the pixels; no header would tell of the other
            for name in behind:
                image.info.pop(name, None)
        return int(Image.Image.getexif(image).get(ORIENTATION, 1))
    except Exception:
        # Broken metadata around whole pixels is no reason to refuse the picture.
        return 1
