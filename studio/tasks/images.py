"""Image classification: one label, or several, for a whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import DataError
from studio.tasks.classes import Classes, MultiLabel
from studio.tasks.task import ONNX_FILES, Column, Features, Modality, Task

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded

BUILTINS = ("cnn-large", "cnn-small", "cnn-tiny", "mlp-1200", "mlp-800", "mlp-64", "mlp-48", "mlp-16")


class ImageInputs:
    """An image."""

    modality: Modality = "image"
    columns = (Column("input", "Image", "What the models look at."),)
    builtins = BUILTINS
    units = ("channels", "heads", "neurons", "layers")
    quantized_form = "int8_static"
    changes: Mapping[str, str] = {
        "flip": "Mirror left and right",
        "crop": "Shift by a few pixels",
        "jitter": "Change brightness, contrast and colours",
        "mixup": "Blend two images",
        "cutmix": "Paste a part of one image into another",
    }

    def guess(self, kind: str, table: pd.DataFrame) -> dict[str, str] | None:
        return {"input": "image", "label": "label", "split": "split"} if kind == "images" else None

    def unusable(self, table: pd.DataFrame) -> Mapping[str, Sequence[bool]]:
        return {}

    def related(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    def features(self) -> dict[str, Any]:
        from datasets import Image

        return {"image": Image()}

    def arrow(self, part: pd.DataFrame) -> dict[str, list[Any]]:
        return {"image": [{"bytes": data, "path": None} for data in part["input"]]}

    def from_python(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        wrong = next((value for value in values if not isinstance(value, bytes)), None)
        if wrong is not None:
            raise DataError(f"An input must be the bytes of an image file, got {wrong!r:.80}.", "Read the file first.")
        return {"image": [{"bytes": data, "path": None} for data in values]}

    def load_processor(self, folder: str) -> Any:
        from studio.tasks import encoded_images

        return encoded_images.load_processor(folder)

    def builtin(self, name: str, rows: Any, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        from studio.tasks import encoded_images

        return encoded_images.builtin(name, rows, head)

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> Encoded:
        from studio.tasks import encoded_images

        return encoded_images.encode(rows, processor, model_config, labels)

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        from studio.tasks import encoded_images

        return encoded_images.changed(plain, changes, seed)

    def plain(self, rows: Any) -> tuple[Any, Any]:
        from studio.tasks import encoded_images

        return encoded_images.small(rows), range(len(rows) + 1)

    def plain_features(self) -> Features:
        from studio.tasks import baseline

        return baseline.PixelFeatures()

    def usage(self, form: str, auto_model: str, limit: int) -> list[str]:
        if form in ONNX_FILES:
            file, folder = ONNX_FILES[form]
            return [
                "import json",
                "import onnxruntime",
                "from PIL import Image, ImageOps",
                "from transformers import AutoImageProcessor",
                "",
                f'config = json.load(open("{folder}/config.json"))',
                f'session = onnxruntime.InferenceSession("{file}")',
                f'processor = AutoImageProcessor.from_pretrained("{folder}", backend="pil")',
                'image = ImageOps.exif_transpose(Image.open("image.png"))  # as the camera noted that it was held',
                'image = image.convert("L" if config.get("num_channels", 3) == 1 else "RGB")',
                'pixels = processor(image, return_tensors="np")["pixel_values"]',
                'logits = session.run(["logits"], {"pixel_values": pixels})[0]',
            ]
        return [
            "from PIL import Image, ImageOps",
            f"from transformers import AutoImageProcessor, {auto_model}",
            "",
            f'model = {auto_model}.from_pretrained(".", use_safetensors=True)',
            'processor = AutoImageProcessor.from_pretrained(".", backend="pil")',
            'image = ImageOps.exif_transpose(Image.open("image.png"))  # as the camera noted that it was held',
            'image = image.convert("L" if getattr(model.config, "num_channels", 3) == 1 else "RGB")',
            'logits = model(**processor(image, return_tensors="pt")).logits',
        ]


TASK = Task(
    name="image-classification",
    title="Image classification",
    when="One label for each image, such as what it shows; or several.",
    auto_model_name="AutoModelForImageClassification",
    pipeline_tag="image-classification",
    inputs=ImageInputs(),
    targets=Classes(),
    multi_label_targets=MultiLabel(),
)
