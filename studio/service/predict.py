"""Ask a model of a run: about values, or about every row of a file."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pandas as pd

from studio import tasks
from studio.data import joining
from studio.errors import ConfigError, DataError, ExportError, ModelError
from studio.events import TrainedRole
from studio.home import Home
from studio.language import escaping
from studio.service.new_files import written
from studio.store.rows import DatasetRow
from studio.store.store import Store
from studio.tasks import language
from studio.tasks.image_files import is_image

if TYPE_CHECKING:
    from studio.data.uploads import Upload
    from studio.pipeline.predict import Predictor

Tell = Callable[[int, int], None]
"""Told how many rows of how many are done."""

Ask = Callable[[Sequence[Any]], Iterator[list[dict[str, Any]]]]
"""Gives the answers to inputs in their order, some at a time."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
DIGITS = 6
"""Of a score in a table."""


@dataclass(frozen=True)
class Scored:
    """A file of answers: `rows` of it, `empty` of them without an input, and of `cut` of them the limit of tokens ended
    the answer; `columns` are those that were added."""

    file: Path
    rows: int
    empty: int
    columns: tuple[str, ...]
    cut: int = 0


def open_model(store: Store, home: Home, run_id: int, role: TrainedRole) -> "Predictor":
    """The model (the teachers) of a run, ready to answer. Raises `ModelError` where the run has none."""
    run = store.run(run_id)
    if role == "control" and not run.config.control:
        raise ModelError(
            f"Run {run_id} was made without a control.", "Set control to true in a run that shall have one."
        )
    from studio.pipeline import predict  # it opens torch

    dataset = store.dataset_by_id(run.dataset_id)
    return predict.open_role(run.config, run_id, role, home, dataset.labels, dataset.multi_label)


def writing_at_most(model: "Predictor", most_tokens: int | None) -> "Predictor":
    """The model, which writes so many tokens at most. Raises `ConfigError` where it is none that writes."""
    if most_tokens is None:
        return model
    _require_to_write(model.problem.task, most_tokens)
    return replace(model, most_tokens=most_tokens)


def _require_to_write(task: tasks.Task, most_tokens: int) -> None:
    if task.kind != "token":
        raise ConfigError(
            f"Models for {task.title.lower()} do not write, and have no limit of tokens.", "Leave it out."
        )
    if most_tokens < 1:
        raise ConfigError(f"A model cannot write {most_tokens:,} tokens.", "Ask for one or more.")


def inputs(values: Sequence[Any], task: str) -> list[Any]:
    """Python values as a task reads them: images also from a path or from Pillow. Raises `DataError` for what is no
    input."""
    if isinstance(values, str | bytes | Mapping):
        raise DataError(f"predict takes a list of inputs, got {type(values).__name__}.", "Put it into a list: [input].")
    if tasks.get(task).modality == "image":
        if all(isinstance(value, bytes) and is_image(value) for value in values):
            return list(values)
        from studio.service.sources import image_bytes  # it opens `datasets`

        files = [Path(value) if isinstance(value, str) else value for value in values]
        return [image_bytes(value, f"Input {number}") for number, value in enumerate(files)]
    tasks.get(task).inputs.from_python(values)  # wrong ones are told before a model is opened
    return list(values)


def predict_file(
    store: Store,
    home: Home,
    run_id: int,
    source: Path,
    to: Path,
    *,
    role: TrainedRole = "student",
    column: str | None = None,
    pair: str | None = None,
    header: bool | None = None,
    most_tokens: int | None = None,
    tell: Tell = lambda done, total: None,
    ask: Ask | None = None,
) -> Scored:
    """Write every row of a file with a model's answer behind it: a table, JSON lines, by the ending of `to`.

    The input is in `column` (the second text of a pair in `pair`), else where the run's own data had it. Rows without
    an input get no answer. A language model writes at most `most_tokens`, and `cut` says where they ended an answer.
    `ask` answers inputs, some at a time; without it the model is opened here.
    Raises `ExportError` where `to` is there already or has another ending, `DataError` where the file has no such
    column.
    """
    if to.suffix.lower() not in (*DELIMITERS, *LINES):
        raise ExportError(f"{to.name} must end in .csv, .tsv or .jsonl.", "Choose another name.")
    if to.exists():
        raise ExportError(f"{to} is there already.", "Choose another name: nothing is overwritten.")
    from studio.service import sources

    dataset = store.dataset_by_id(store.run(run_id).dataset_id)
    if most_tokens is not None:
        _require_to_write(tasks.get(dataset.task), most_tokens)
    without_names = header is None and dataset.columns.get("input", "").isdecimal()
    upload = sources.read(source, header=False if without_names else header)
    values = _values(upload.table, _input_columns(upload, source, dataset, column, pair), dataset.task)
    if tasks.get(dataset.task).kind == "token":
        values = _as_asked(home, dataset, values)
    known = [value for value in values if value is not None]
    if not known:
        raise DataError(f"No row of {source.name} has an input.", "Name the column of the inputs.")
    if ask is None:
        ask = writing_at_most(open_model(store, home, run_id, role), most_tokens).stream
    cut = Counter[bool]()
    answers = _counted((answer for some in ask(known) for answer in some), cut)
    table = upload.table.drop(columns="image") if upload.kind == "images" else upload.table
    table = table[[name for name in table if upload.kind != "images" or table[name].any()]]
    rows = _with_answers(table, values, answers)
    columns = _write(to, rows, list(map(str, table.columns)), dataset, lambda done: tell(done, len(values)))
    return Scored(to, len(values), len(values) - len(known), columns, cut[True])


def _input_columns(
    upload: "Upload", source: Path, dataset: DatasetRow, column: str | None, pair: str | None
) -> list[str]:
    """The columns that the run's data had its inputs in; where a file has one column alone, that one."""
    there = [str(name) for name in upload.table.columns]
    asked = {"input": column, "pair": pair}
    named = [asked[role] or dataset.columns[role] for role in asked if asked[role] or role in dataset.columns]
    if upload.kind == "images":
        named = ["image"]
    elif len(there) == len(named) == 1 and column is None:
        return there
    if pair is None and len(named) == 2 and tasks.get(dataset.task).kind == "token":
        named = [named[0], *(name for name in named[1:] if joining.parts(name, there))]  # what the model is to write
    missing = next((name for name in named if not joining.parts(name, there)), None)
    if missing is not None:
        message = f"{source.name} has no column {missing!r}; it has {', '.join(map(repr, there))}."
        raise DataError(message, "Name the one to read: --input COLUMN, and --pair COLUMN for a second text.")
    return named


def _as_asked(home: Home, dataset: DatasetRow, values: Sequence[Any]) -> list[Any]:
    """Of a language model: texts asked as the rows that it learned were: as prompts, in a chat, or to go on."""
    from studio.service import library

    like = library.head(home, dataset, 1).iloc[0].to_dict()
    return [language.asked_as(value[1], like) if value is not None and value[2] == language.FORMS[0] else value
            for value in values]  # fmt: skip


def _values(table: pd.DataFrame, columns: Sequence[str], task: str) -> list[Any]:
    """The inputs as the task reads cells: texts, pairs of them, words, images' bytes; None where there is none."""
    cells = pd.DataFrame(
        {role: joining.cells(table, column) for role, column in zip(("input", "pair"), columns, strict=False)}
    )
    blank = [not cell if isinstance(cell, bytes) else not str(cell).strip() for cell in cells["input"]]
    if tasks.get(task).modality == "image":
        values = cells["input"].tolist()
    else:
        read = list(tasks.get(task).inputs.arrow(cells if "pair" in cells else cells.assign(pair="")).values())
        values = read[0] if len(read) == 1 else list(zip(*read, strict=True))
    return [None if is_blank else value for value, is_blank in zip(values, blank, strict=True)]


def _counted(answers: Iterator[dict[str, Any]], cut: Counter[bool]) -> Iterator[dict[str, Any]]:
    """The same; `cut` counts those that were cut off."""
    for answer in answers:
        cut[bool(answer.get("cut"))] += 1
        yield answer


Answered = tuple[dict[str, Any], dict[str, Any] | None]


def _with_answers(table: pd.DataFrame, values: Sequence[Any], answers: Iterator[dict[str, Any]]) -> Iterator[Answered]:
    """Each row with its answer; None where it has no input."""
    names = list(map(str, table.columns))
    for cells, value in zip(table.itertuples(index=False, name=None), values, strict=True):
        yield dict(zip(names, cells, strict=True)), None if value is None else next(answers)


def _write(
    to: Path, rows: Iterator[Answered], names: list[str], dataset: DatasetRow, tell: Callable[[int], None]
) -> tuple[str, ...]:
    """Write the rows; a file that is not finished does not stay. Returns the names of the added columns."""
    added: dict[str, str] = {}
    waiting: list[dict[str, Any]] = []
    put: Callable[[dict[str, Any]], None] | None = None
    with written(to) as part, part.open("w", encoding="utf-8", newline="") as file:
        for number, (row, answer) in enumerate(rows, start=1):
            if answer is not None and put is None:
                added = _added_names(answer, names)
                put = _writer(file, to, [*names, *added.values()], dataset.columns.get("separator") or " ")
            waiting.append(row | {added[key]: value for key, value in (answer or {}).items()})
            if put is not None:
                for whole in waiting:
                    put(whole)
                waiting.clear()
            tell(number)
    return tuple(added.values())


def _added_names(answer: dict[str, Any], taken: Sequence[str]) -> dict[str, str]:
    """What the columns of an answer are called: all get `predicted_` before them where the file has one of them.

    >>> _added_names({"label": "good", "score": 0.9}, ["text", "label"])
    {'label': 'predicted_label', 'score': 'predicted_score'}
    """
    before = ""
    while any(before + key in taken for key in answer):
        before += "predicted_"
    return {key: before + key for key in answer}


def _writer(file: TextIO, to: Path, columns: list[str], separator: str) -> Callable[[dict[str, Any]], None]:
    """Writes one row in the form that the file's ending names."""
    if to.suffix.lower() in LINES:
        return lambda row: print(json.dumps(row, ensure_ascii=False), file=file)
    table = csv.writer(file, delimiter=DELIMITERS[to.suffix.lower()], lineterminator="\n")
    table.writerow([escaping.in_table(name) for name in columns])
    return lambda row: table.writerow([escaping.in_table(_cell(row.get(name, ""), separator)) for name in columns])


def _cell(value: Any, separator: str) -> Any:
    """A value as it stands in a table: several labels with the data's own separator between them."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if not isinstance(value, list):
        return value
    names = [part["label"] if isinstance(part, dict) and set(part) == {"label", "score"} else part for part in value]
    if all(isinstance(name, str) for name in names):
        return separator.join(names)
    return json.dumps(value, ensure_ascii=False)
