"""Image files: the formats that are read, and which side is up. Light, for readers of uploads use it, too."""

import io

from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Pillow knows more: some of them start other programs (Ghostscript for EPS)."""

MAX_PIXELS = 50_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def opened(data: bytes) -> Image.Image:
    """The image in the bytes of a file, not decoded yet; its format is one of `FORMATS`, whatever its name says."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


def upright(image: Image.Image) -> Image.Image:
    """The image as a person sees it: cameras lay it down and note how it was held."""
    return ImageOps.exif_transpose(image)
