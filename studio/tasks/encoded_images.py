"""Images as tensors: decoded once, normalized batch by batch; and the built-in architectures for them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Image
from PIL import Image as pillow
from PIL import ImageStat
from torch import Tensor
from transformers import AutoImageProcessor, ResNetConfig, ViTImageProcessorPil

from studio.config.run import UNLABELLED
from studio.tasks import augment, image_files
from studio.tasks.architectures import MlpConfig
from studio.tasks.positions import OnePositionPerRow

BUILTIN_SIZES = (28, 32, 64, 96, 128, 224)
"""Image sides that built-in models are made for; the next one above the data's median side is taken."""

SMALL = 28
MAX_SIDE = 4096
"""Pixels of the longer side of an image as a model takes it."""

SAMPLE = 500
"""How many training images tell the size, the channels and the brightness of a data set."""

_CNN: dict[str, dict[str, Any]] = {
    "cnn-large": {"embedding_size": 32, "hidden_sizes": [32, 64, 128], "depths": [2, 2, 1]},
    "cnn-small": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]},
    "cnn-tiny": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
}
_MLP: dict[str, dict[str, Any]] = {
    "mlp-1200": {"hidden_sizes": [1200, 1200], "dropout": 0.25},
    "mlp-800": {"hidden_sizes": [800, 800]},
    "mlp-64": {"hidden_sizes": [64]},
    "mlp-48": {"hidden_sizes": [48]},
    "mlp-16": {"hidden_sizes": [16]},
}


@dataclass(frozen=True)
class EncodedImages(OnePositionPerRow):
    """Images as bytes (rows, channels, height, width); scaled and normalized when a batch is asked for."""

    pixels: Tensor
    labels: Tensor
    lengths: Tensor
    scale: Tensor
    shift: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """pixel_values (batch, channels, height, width) in float32."""
        return {"pixel_values": self.pixels[rows].float().mul_(self.scale).add_(self.shift)}

    def to(self, device: torch.device) -> "EncodedImages":
        moved = {name: getattr(self, name).to(device) for name in ("pixels", "labels", "lengths", "scale", "shift")}
        return replace(self, **moved)

    def join(self, other: "EncodedImages") -> "EncodedImages":
        joined = {
            name: torch.cat([getattr(self, name), getattr(other, name)]) for name in ("pixels", "labels", "lengths")
        }
        return replace(self, **joined)


def load_processor(folder: str) -> Any:
    """The processor of a folder, which has made an image ready once. Raises `ValueError` where it makes it larger than
    models take; what that takes is bounded while a folder is opened."""
    found = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False, backend="pil")
    side = max(_pixels(pillow.new("RGB", (SMALL, SMALL)), found).shape)
    if side > MAX_SIDE:
        raise ValueError(f"its images have a side of {side:,} pixels; at most {MAX_SIDE:,} are taken")
    return found


def builtin(name: str, rows: Dataset, head: dict[str, Any]) -> tuple[Any, Any]:
    """A ResNet or a multi-layer perceptron of the named size, for images such as these."""
    side, channels, mean, deviation = _look_at(rows)
    processor = ViTImageProcessorPil(
        size={"height": side, "width": side}, image_mean=mean, image_std=deviation, do_convert_rgb=channels == 3
    )
    if name in _MLP:
        return MlpConfig(num_channels=channels, image_size=side, **_MLP[name], **head), processor
    return ResNetConfig(num_channels=channels, layer_type="basic", **_CNN[name], **head), processor


def encode(rows: Dataset, processor: Any, model_config: Any, labels: Tensor) -> EncodedImages:
    """Decode, crop and resize every image once, with the processor's own steps; normalization comes later."""
    mode = "L" if getattr(model_config, "num_channels", 3) == 1 else "RGB"
    encoded = rows.cast_column("image", Image(decode=False))["image"]
    pixels = np.concatenate([_pixels(_decode(image["bytes"], mode), processor) for image in encoded])
    mean, deviation = (torch.tensor(getattr(processor, name)).view(-1, 1, 1) for name in ("image_mean", "image_std"))
    normal = processor.do_normalize
    scale = torch.tensor(processor.rescale_factor if processor.do_rescale else 1.0)
    return EncodedImages(
        pixels=torch.from_numpy(pixels),
        labels=labels,
        lengths=torch.ones(len(pixels), dtype=torch.long),
        scale=scale / deviation if normal else scale.view(1, 1, 1),
        shift=-mean / deviation if normal else torch.zeros(1, 1, 1),
    )


def changed(plain: EncodedImages, changes: augment.Changes, seed: int) -> EncodedImages:
    """The images of `plain` changed; one that was mixed with another has no label."""
    pixels, mixed = augment.change_images(plain.pixels, changes, seed)
    labels = plain.labels.clone()
    labels[mixed] = UNLABELLED
    return replace(plain, pixels=pixels, labels=labels)


def small(rows: Dataset) -> np.ndarray:
    """Every image as (28, 28, 3) bytes, for the baseline."""
    encoded = rows.cast_column("image", Image(decode=False))["image"]
    images = (_decode(image["bytes"], "RGB").resize((SMALL, SMALL), pillow.Resampling.BILINEAR) for image in encoded)
    return np.stack([np.asarray(image) for image in images])


def _decode(data: bytes, mode: str) -> pillow.Image:
    with image_files.opened(data) as image:
        return image_files.upright(image).convert(mode)


def _pixels(image: pillow.Image, processor: Any) -> np.ndarray:
    """One image as (1, channels, height, width) bytes, resized and cropped as the model expects."""
    array = np.asarray(image)
    array = array[..., None] if array.ndim == 2 else array
    height, width = array.shape[:2]
    if dict(processor.size) == {"height": height, "width": width} and not getattr(processor, "do_center_crop", False):
        return array.transpose(2, 0, 1)[None]
    done = processor(
        array, do_rescale=False, do_normalize=False, input_data_format="channels_last", return_tensors="np"
    )["pixel_values"]
    return np.clip(np.rint(done), 0, 255).astype(np.uint8)


def _look_at(rows: Dataset) -> tuple[int, int, list[float], list[float]]:
    """Side, channels, mean and standard deviation (shares of full brightness) of a sample of the images."""
    step = max(1, len(rows) // SAMPLE)
    encoded = rows.select(range(0, len(rows), step)).cast_column("image", Image(decode=False))["image"]
    sides, gray, statistics = [], True, []
    for cell in encoded:
        with image_files.opened(cell["bytes"]) as image:
            gray = gray and image.mode in ("1", "L", "I;16")
            sides.append(max(image.size))
            statistics.append(ImageStat.Stat(image.convert("RGB")))
    median = sorted(sides)[len(sides) // 2]
    side = next((size for size in BUILTIN_SIZES if size >= median), BUILTIN_SIZES[-1])
    mean = np.mean([stat.mean for stat in statistics], axis=0) / 255
    second = np.mean([np.square(stat.mean) + stat.var for stat in statistics], axis=0) / 255**2
    deviation = np.sqrt(np.maximum(second - mean**2, 1e-4))
    channels = 1 if gray else 3
    return side, channels, mean[:channels].tolist(), deviation[:channels].tolist()
