"""Where a model comes from, in one word: `hub:ORG/NAME`, `folder:PATH`, `run:3/student`, `builtin/cnn-tiny` …"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
MODEL_HELP = "`folder:PATH`, `hub:ORG/NAME`, `run:ID/student`, `run:ID/teacher` or `builtin/NAME`"


@dataclass(frozen=True)
class ModelReference:
    """Where a model comes from. `str` writes it as `parse` reads it.

    >>> ModelReference.parse("teacher/2-layers"), str(ModelReference.cut(1))
    (ModelReference(source='teacher', name='2'), 'teacher/1-layer')
    >>> reference = ModelReference.of_run(3, "student")
    >>> str(reference), reference.run, reference.role
    ('run:3/student', 3, 'student')
    """

    source: Literal["folder", "hub", "run", "builtin", "teacher"]
    name: str

    @classmethod
    def of_run(cls, run: int, role: str) -> "ModelReference":
        """A saved model of an earlier run."""
        return cls("run", f"{run}/{role}")

    @classmethod
    def cut(cls, layers: int) -> "ModelReference":
        """So many of the teacher's layers."""
        return cls("teacher", str(layers))

    @property
    def run(self) -> int | None:
        """The number of the run whose model it is; None where it comes from elsewhere."""
        return int(self.name.partition("/")[0]) if self.source == "run" else None

    @property
    def role(self) -> str:
        """Which model of that run it is."""
        return self.name.partition("/")[2] if self.source == "run" else ""

    @property
    def layers(self) -> int | None:
        """How many of the teacher's layers are kept; None where it is not cut from the teacher."""
        return int(self.name) if self.source == "teacher" and not self.is_same else None

    @property
    def is_same(self) -> bool:
        """Whether it starts as the teacher itself started."""
        return self.source == "teacher" and self.name == "same"

    @property
    def path(self) -> Path:
        """The folder that it names; a `~` before the name of nobody who is known here is a letter."""
        try:
            return Path(self.name).expanduser()
        except RuntimeError:
            return Path(self.name)

    @classmethod
    def find(cls, text: str | None) -> "ModelReference | None":
        """The same as `parse`; None where the text is no reference, as while it is being written."""
        try:
            return None if text is None else cls.parse(text)
        except ValueError:
            return None

    def __str__(self) -> str:
        if self.source == "builtin" or self.is_same:
            return f"{self.source}/{self.name}"
        if self.layers is not None:
            return f"teacher/{self.layers}-layer{'' if self.layers == 1 else 's'}"
        return f"{self.source}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ModelReference":
        """Read a reference such as `hub:ORG/NAME`; raises `ValueError` with the forms that exist."""
        if text.startswith("folder:") and len(text) > len("folder:") and text.isprintable():
            return cls("folder", text.removeprefix("folder:"))
        if text.startswith("hub:") and _HUB_NAME.fullmatch(text.removeprefix("hub:")):
            return cls("hub", text.removeprefix("hub:"))
        if match := re.fullmatch(r"run:(\d{1,18})/(student|(?:teacher|assistant)(?:-[1-9]\d*)?)", text):
            return cls.of_run(int(match[1]), match[2])
        if match := re.fullmatch(r"teacher/([1-9]\d{0,3})-layers?", text):
            return cls.cut(int(match[1]))
        if text == "teacher/same":
            return cls("teacher", "same")
        if match := re.fullmatch(r"builtin/([a-z0-9-]+)", text):
            return cls("builtin", match[1])
        if text.startswith(("http://", "https://")):
            raise ValueError(
                f"{text!r} is the address of a model: let it answer prompts first (page Data, or `data answer`), then "
                "take its answers as the data set, with alpha 0"
            )
        raise ValueError(f"{text!r} is not a model; write {MODEL_HELP} (a student also `teacher/K-layers`)")
