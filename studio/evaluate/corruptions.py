"""Inputs made worse by degrees: what people mistype and leave out, what cameras and files do to pictures.

Of pictures the common corruptions of Hendrycks & Dietterich (2019), of texts typing errors (Belinkov & Bisk, 2018).
Labels stay as they are: whoever reads the text, or sees the picture, would still say the same at the first degrees.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from studio.tasks import image_files

if TYPE_CHECKING:
    from datasets import Dataset

    from studio.tasks import Task

Draws = np.random.Generator
TYPING_ERRORS = 4


@dataclass(frozen=True)
class Corruption:
    """One way to make inputs worse: its `levels`, the unchanged one among them, and in which unit they are told:
    "share" of letters, words or the picture's side, "factor", or "quality" of JPEG."""

    title: str
    levels: tuple[float, ...]
    unchanged: float
    unit: str


TEXT: Mapping[str, Corruption] = {
    "typos": Corruption("Typing errors", (0, 0.02, 0.05, 0.1, 0.2), 0, "share"),
    "capitals": Corruption("Words in capitals", (0, 0.25, 0.5, 1), 0, "share"),
    "dropped_words": Corruption("Words left out", (0, 0.1, 0.2, 0.4), 0, "share"),
}
IMAGE: Mapping[str, Corruption] = {
    "blur": Corruption("Blur", (0, 0.01, 0.02, 0.04, 0.08), 0, "share"),
    "noise": Corruption("Noise", (0, 0.05, 0.1, 0.2, 0.4), 0, "share"),
    "brightness": Corruption("Brightness", (0.25, 0.5, 0.75, 1, 1.5, 2), 1, "factor"),
    "jpeg": Corruption("JPEG", (100, 75, 50, 25, 10, 5), 100, "quality"),
}
ALL: Mapping[str, Corruption] = {**TEXT, **IMAGE}


def of_task(task: "Task") -> Mapping[str, Corruption]:
    """Those that inputs of this task can have without another answer being the right one: words that have tags are not
    left out, and a text that is itself what is learned is left alone."""
    if task.modality == "image":
        return IMAGE
    if task.kind == "token":
        return {}
    by_words = "words" in task.inputs.features()
    return {name: corruption for name, corruption in TEXT.items() if not (by_words and name == "dropped_words")}


def corrupted(rows: "Dataset", name: str, level: float, seed: int = 0) -> "Dataset":
    """The rows, all texts or pictures of them made worse to this level, under the same seed in the same way."""
    if level == ALL[name].unchanged:
        return rows
    change = _CHANGES[name]

    def of_row(row: dict[str, Any], number: int) -> dict[str, Any]:
        draws = np.random.default_rng([seed, number])
        if "image" in row:
            return {"image": {"bytes": _picture(row["image"]["bytes"], change, level, draws), "path": None}}
        if "words" in row:
            return {"words": [change(word, level, draws) for word in row["words"]]}
        return {name: change(row[name], level, draws) for name in ("text", "text_pair") if name in row}

    from datasets import Image as ImageColumn

    if "image" in rows.column_names:
        rows = rows.cast_column("image", ImageColumn(decode=False))
    changed = [of_row(row, number) for number, row in enumerate(rows)]
    columns = {name: [row[name] for row in changed] for name in changed[0]} if changed else {}
    plain = rows.to_dict() | columns
    return type(rows).from_dict(plain, features=rows.features)


def typos(text: str, share: float, draws: Draws) -> str:
    """About this share of the letters: two in the wrong order, one left out, one twice, or another letter of the text.

    >>> typos("plain words stay", 0.0, np.random.default_rng(0))
    'plain words stay'
    """
    chance, kinds, others = (
        draws.random(len(text)),
        draws.integers(TYPING_ERRORS, size=len(text)),
        draws.random(len(text)),
    )
    letters = [letter for letter in text if letter.isalpha()]
    written, place = list[str](), 0
    while place < len(text):
        letter = text[place]
        if not letter.isalpha() or chance[place] >= share:
            written.append(letter)
        elif kinds[place] == 0 and place + 1 < len(text):
            written += [text[place + 1], letter]
            place += 1
        elif kinds[place] == 1:
            written += [letter, letter]
        elif kinds[place] == 2:
            written.append(letters[int(others[place] * len(letters))])
        place += 1
    return "".join(written) or text


def capitals(text: str, share: float, draws: Draws) -> str:
    """About this share of the words in capitals.

    >>> capitals("so loud", 1.0, np.random.default_rng(0))
    'SO LOUD'
    """
    words = text.split(" ")
    chance = draws.random(len(words))
    return " ".join(word.upper() if chance[place] < share else word for place, word in enumerate(words))


def dropped_words(text: str, share: float, draws: Draws) -> str:
    """About this share of the words left out; one stays."""
    words = text.split(" ")
    chance = draws.random(len(words))
    kept = [word for place, word in enumerate(words) if chance[place] >= share]
    return " ".join(kept) or words[int(np.argmax(chance))]


def blur(image: Image.Image, share: float, draws: Draws) -> Image.Image:
    """A Gaussian blur whose radius is this share of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def noise(image: Image.Image, share: float, draws: Draws) -> Image.Image:
    """Gaussian noise on every channel; its standard deviation is this share of full brightness."""
    pixels = np.asarray(image, dtype=np.float64)
    noisy = pixels + 255 * share * draws.standard_normal(pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def brightness(image: Image.Image, factor: float, draws: Draws) -> Image.Image:
    """Every pixel that many times as bright."""
    return ImageEnhance.Brightness(image).enhance(factor)


def jpeg(image: Image.Image, quality: float, draws: Draws) -> Image.Image:
    """As it comes out of a JPEG file of this quality."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(quality))
    with Image.open(file, formats=("JPEG",)) as read:
        return read.convert(image.mode)


_CHANGES: Mapping[str, Callable[..., Any]] = {
    change.__name__: change for change in (typos, capitals, dropped_words, blur, noise, brightness, jpeg)
}


def _picture(data: bytes, change: Callable[..., Image.Image], level: float, draws: Draws) -> bytes:
    """The file with its picture changed, as PNG, which loses nothing more."""
    with image_files.opened(data) as opened:
        upright = image_files.upright(opened)
        image = upright if upright.mode in ("L", "RGB") else upright.convert("RGB")
        file = io.BytesIO()
        change(image, level, draws).save(file, "PNG")
    return file.getvalue()
