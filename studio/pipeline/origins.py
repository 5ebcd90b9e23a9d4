"""The models that a run reads from elsewhere: they must stay as they are until it is done."""

import json
from pathlib import Path

from studio import files
from studio.config.run import RunConfig
from studio.errors import ModelError
from studio.pipeline.prepare import Models

FILE = "origins.json"

READ = (".safetensors", ".json", ".txt", ".model")
"""Endings of what is read of a model's folder."""

MOST_NAMED = 5


def require_unchanged(config: RunConfig, models: Models, checkpoints: Path, writes: bool) -> None:
    """Raise `ModelError` where a model is not what it was when the checkpoints were made; a run that has none yet
    writes down what it reads, where it is the process that `writes`."""
    now, kept = _origins(config, models), checkpoints / FILE
    if kept.is_file() and any(checkpoints.glob("*.pt*")):
        for reference, known in json.loads(kept.read_text()).items():
            if reference in now and now[reference] != known:
                raise ModelError(
                    f"{reference} has changed since this run began: {_difference(known, now[reference])}.",
                    "Put the old files back, or start the run again from the beginning.",
                )
    elif now and writes:
        with files.whole_file(kept) as part:
            part.write_text(json.dumps(now))


def _origins(config: RunConfig, models: Models) -> dict[str, dict[str, str]]:
    """The checksums of what was opened, by its reference."""
    references = (config.teacher, *config.more_teachers, *config.assistants, config.student)
    folders = {
        reference: model.folder
        for reference, model in zip(references, (*models.teachers, *models.line), strict=True)
        if model is not None and model.folder is not None
    }
    return {
        reference: {name: known for name, known in files.checksums(folder, READ).items() if "/" not in name}
        for reference, folder in folders.items()
    }


def _difference(known: dict[str, str], now: dict[str, str]) -> str:
    """In words, which files are not as they were.

    >>> _difference({"a": "1", "b": "1"}, {"a": "2", "c": "1"})
    'a is another, b is gone, c is new'
    """
    words = [
        f"{name} is {'gone' if name not in now else 'new' if name not in known else 'another'}"
        for name in sorted(known.keys() | now.keys())
        if known.get(name) != now.get(name)
    ]
    return ", ".join(words[:MOST_NAMED]) + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")
