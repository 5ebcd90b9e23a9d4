"""A model of this machine as a teacher that answers prompts: opened in a process of its own, asked some at a time."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.executors.conversation import Conversation
from studio.home import Home
from studio.pipeline.answers import AllSpoken, Prompts
from studio.pipeline.job import Answer
from studio.service.endpoint import Said

PROGRAM = (sys.executable, "-m", "studio.pipeline.speak")
SECONDS, IDLE_SECONDS = 3_600.0, 60.0
"""How long some prompts may take, the model's opening among it; and how long a process waits for more."""

HERE = "this machine"
_NO_PARTS = "\0"


@dataclass(frozen=True)
class ModelHere:
    """The teacher of a config that names nothing but it; `stamp` tells one model from another in the same place.
    `instruction`: texts are to be written on, and a model with a chat template is told so before each of them."""

    config: RunConfig
    stamp: str
    most_tokens: int = 256
    temperature: float = 1.0
    system: str = ""
    instruction: str = ""

    host = HERE

    @property
    def model(self) -> str:
        """What it is called."""
        return self.config.teacher

    @property
    def decides(self) -> dict[str, object]:
        """What decides its answers."""
        found = {"model": self.model, "stamp": self.stamp, "precision": self.config.teacher_precision,
                 "most_tokens": self.most_tokens, "temperature": self.temperature, "system": self.system}  # fmt: skip
        return found | ({"instruction": self.instruction} if self.instruction else {})

    @contextlib.contextmanager
    def opened(self, home: Home) -> "Iterator[Asking]":
        """Ready to be asked; the process ends with the block."""
        talk = Conversation(PROGRAM, home.root / "speak.log", _NO_PARTS, SECONDS, IDLE_SECONDS)
        try:
            yield Asking(self, home, talk)
        finally:
            talk.close()


@dataclass(frozen=True)
class Asking:
    """A model that is open."""

    teacher: ModelHere
    home: Home
    talk: Conversation

    def ask(self, prompts: Sequence[str | Sequence[Mapping[str, str]]], seed: int) -> list[Said]:
        """Its answers. Raises `ModelError` where it cannot be opened, `DataError` where it cannot read a prompt."""
        system = [{"role": "system", "content": self.teacher.system}] if self.teacher.system else []
        given = [
            prompt if isinstance(prompt, str) and not system else [*system, *_messages(prompt)] for prompt in prompts
        ]
        asked = Prompts(
            config=self.teacher.config, home=self.home, prompts=given, most_tokens=self.teacher.most_tokens,
            temperature=self.teacher.temperature, seed=seed, instruction=self.teacher.instruction,
        )  # fmt: skip
        line = self.talk.ask(asked.model_dump_json(), lambda part: None)
        found = Answer[AllSpoken].model_validate_json(line).result_or_raise()
        return [
            Said(spoken.text, spoken.read, spoken.written, spoken.log_probability, spoken.is_cut)
            for spoken in found.said
        ]


def stamp(home: Home, reference: str) -> str:
    """By what the weights behind a reference are told from those that lay there before; "" for one of the hub."""
    wanted = ModelReference.parse(reference)
    folder = wanted.path if wanted.source == "folder" else None
    if wanted.run is not None:
        folder = home.model(wanted.run, wanted.role)
    return (
        ""
        if folder is None
        else "; ".join(f"{file.name} {_told(file)}" for file in sorted(folder.glob("*.safetensors")))
    )


def _told(file: Path) -> str:
    about = file.stat()
    return f"{about.st_size} {about.st_mtime_ns}"


def _messages(prompt: str | Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt]
