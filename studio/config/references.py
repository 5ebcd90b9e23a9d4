"""Where a model comes from, in one word: `hub:ORG/NAME`, `folder:PATH`, `run:3/student`, `builtin/cnn-tiny` …"""

import re
from dataclasses import dataclass
from typing import Literal

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
MODEL_HELP = "`folder:PATH`, `hub:ORG/NAME`, `run:ID/student`, `run:ID/teacher` or `builtin/NAME`"


@dataclass(frozen=True)
class ModelReference:
    """Where a model comes from.

    >>> ModelReference.parse("teacher/2-layers")
    ModelReference(source='teacher', name='2')
    """

    source: Literal["folder", "hub", "run", "builtin", "teacher"]
    name: str

    @classmethod
    def parse(cls, text: str) -> "ModelReference":
        """Read a reference such as `hub:ORG/NAME`; raises `ValueError` with the forms that exist."""
        if text.startswith("folder:") and len(text) > len("folder:"):
            return cls("folder", text.removeprefix("folder:"))
        if text.startswith("hub:") and _HUB_NAME.fullmatch(text.removeprefix("hub:")):
            return cls("hub", text.removeprefix("hub:"))
        if match := re.fullmatch(r"run:(\d+)/(student|(?:teacher|assistant)(?:-[1-9]\d*)?)", text):
            return cls("run", f"{match[1]}/{match[2]}")
        if match := re.fullmatch(r"teacher/([1-9]\d*)-layers?", text):
            return cls("teacher", match[1])
        if text == "teacher/same":
            return cls("teacher", "same")
        if match := re.fullmatch(r"builtin/([a-z0-9-]+)", text):
            return cls("builtin", match[1])
        raise ValueError(f"{text!r} is not a model; write {MODEL_HELP} (a student also `teacher/K-layers`)")
