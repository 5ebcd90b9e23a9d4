"""The models that a run reads from elsewhere: they must stay as they are until it is done."""

import json
import time
from pathlib import Path
from typing import Any

from studio import files
from studio.config.run import RunConfig
from studio.errors import ModelError
from studio.models import folders
from studio.models.model import Model
from studio.pipeline.prepare import Models

FILE = "origins.json"

READ = frozenset({
    "config.json", folders.INDEX,
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model", "tokenizer.model", "sentencepiece.bpe.model",
    "preprocessor_config.json", "processor_config.json",
})  # fmt: skip
"""Beside weights, what decides a model's answers. A processor may name further files of its own."""

MOST_KNOWN = 1_000
YOUNG_SECONDS = 2.0
"""A file that was written so lately may be written again without another time: its checksum is not kept."""

MOST_NAMED = 5


def require_unchanged(config: RunConfig, models: Models, checkpoints: Path, known: Path, writes: bool) -> None:
    """Raise `ModelError` where a model is not what it was when the checkpoints were made; a run that has none yet
    writes down what it reads, where it is the process that `writes`. `known` is the file of checksums."""
    now, kept = _origins(config, models, known, writes), checkpoints / FILE
    if kept.is_file() and any(checkpoints.glob("*.pt*")):
        for reference, before in json.loads(kept.read_text()).items():
            difference = _difference(before, now[reference]) if reference in now else ""
            if difference:
                raise ModelError(
                    f"{reference} has changed since this run began: {difference}.",
                    "Put the old files back, or start the run again from the beginning.",
                )
    elif now and writes:
        with files.whole_file(kept) as part:
            part.write_text(json.dumps(now))


def changed(config: RunConfig, models: Models, checkpoints: Path, known: Path) -> tuple[str, ...]:
    """The references of models whose files are no longer what they were when the run began."""
    kept = checkpoints / FILE
    if not kept.is_file():
        return ()
    before = json.loads(kept.read_text())
    try:
        now = _origins(config, models, known, writes=False)
    except (OSError, ModelError):  # a folder that is gone, or half written
        return tuple(before)
    return tuple(reference for reference, was in before.items() if _difference(was, now.get(reference, {})))


def _origins(config: RunConfig, models: Models, known: Path, writes: bool) -> dict[str, dict[str, str]]:
    """The checksums of what was opened, by its reference."""
    references = (config.teacher, *config.more_teachers, *config.assistants, config.student)
    opened = zip(references, (*models.teachers, *models.line), strict=True)
    checksums = _Checksums(known)
    found = {
        reference: {file.name: checksums.of(file) for file in _read(model, model.folder)}
        for reference, model in opened
        if model is not None and model.folder is not None
    }
    if writes:
        checksums.keep()
    return found


def _read(model: Model, folder: Path) -> list[Path]:
    """The files of a model's folder that are opened; whatever else lies there is nobody's concern."""
    own = getattr(model.processor, "vocab_files_names", {}) or {}
    named = [folder / name for name in sorted(READ | set(own.values()))]
    compact = bool(getattr(model.network.config, "compact", None))
    return [*folders.weight_files(folder, compact), *(file for file in named if file.is_file())]


def _difference(before: dict[str, str], now: dict[str, str]) -> str:
    """In words, which files are not as they were; "" where all are. A run of an earlier version wrote down files that
    nobody reads, too.

    >>> _difference({"vocab.txt": "1", "config.json": "1", "notes.txt": "1"}, {"vocab.txt": "2", "merges.txt": "1"})
    'config.json is gone, merges.txt is new, vocab.txt is another'
    """
    before = {name: was for name, was in before.items() if name in now or name in READ or name.endswith(".safetensors")}
    words = [
        f"{name} is {'gone' if name not in now else 'new' if name not in before else 'another'}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    return ", ".join(words[:MOST_NAMED]) + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")


class _Checksums:
    """SHA-256 of files; one whose size, times and place on the disk are as they were is not read again."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._known: dict[str, Any] = _loaded(kept)
        self._is_new = False

    def of(self, file: Path) -> str:
        about = file.stat()
        mark = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_dev]
        place = str(file.resolve())
        known = self._known.pop(place, None)
        fits = isinstance(known, dict) and known.get("mark") == mark and isinstance(known.get("sha256"), str)
        found: str = known["sha256"] if fits else files.checksum(file)
        if time.time() - max(about.st_mtime, about.st_ctime) > YOUNG_SECONDS:
            self._known[place] = {"mark": mark, "sha256": found}
            self._is_new |= not fits
        return found

    def keep(self) -> None:
        """Write down what is known, the last asked for first where it is too much."""
        if self._is_new:
            newest = dict(list(self._known.items())[-MOST_KNOWN:])
            with files.whole_file(self._kept) as part:
                part.write_text(json.dumps(newest))


def _loaded(kept: Path) -> dict[str, Any]:
    """What was written; nothing where it is damaged: then all is read again."""
    try:
        value = json.loads(kept.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
