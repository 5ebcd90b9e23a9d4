"""Image files: the formats that are read, and which side is up. Light, for readers of uploads use it, too."""

import io
import warnings

from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Pillow knows more: some of them start other programs (Ghostscript for EPS)."""

MAX_PIXELS = 50_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
MAX_SHAPE = 200
"""So many times longer than the other may a side be: models that want the shorter one at some size make the other one
as many times longer, which of a line of pixels would take more than memory holds."""
SCAN, MOST_SCANS = b"\xff\xda", 200
"""How a pass over a whole JPEG begins; cameras and programs make ten or so, and each one may take a few bytes."""

NO_IMAGE = (
    f"not an image that can be read, one of more than {MAX_PIXELS / 1e6:.0f} million pixels, or one that is more than "
    f"{MAX_SHAPE} times as long as wide"
)
"""Why such a row is not taken."""


def opened(data: bytes) -> Image.Image:
    """The image in the bytes of a file, not decoded yet; its format is one of `FORMATS`, whatever its name says."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


def is_image(data: bytes) -> bool:
    """Whether the bytes are an image that can be decoded, of a size and shape that are read; they are checked first."""
    try:
        with warnings.catch_warnings(action="ignore"), opened(data) as image:
            if not 0 < image.width * image.height <= MAX_PIXELS or max(image.size) > MAX_SHAPE * min(image.size):
                return False
            if image.format == "JPEG" and data.count(SCAN) > MOST_SCANS:
                return False
            image.draft("RGB", (64, 64))  # a JPEG is decoded small: enough to know that it can be
            image.load()
            return True
    except Exception:  # noqa: BLE001  whatever a decoder says of damaged bytes, they are no image
        return False


def upright(image: Image.Image) -> Image.Image:
    """The image as a person sees it: cameras lay it down and note how it was held."""
    return ImageOps.exif_transpose(image)
