"""The same product without a browser: `distillation-studio`, or `python -m studio` in a checkout."""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from studio import events, files, harmless, tasks
from studio.config.reading import parse_yaml
from studio.errors import ConfigError, ExportError, StudioError, WorkerError, of_system
from studio.events import TrainedRole
from studio.executors import registry
from studio.home import Home
from studio.machine.identity import is_gone, new_owner
from studio.pipeline.timetable import Whole, title
from studio.service import housekeeping, ownership, people
from studio.service.acts import Acts
from studio.service.progress import whole
from studio.service.questions import convert
from studio.service.runs import carry
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store

if TYPE_CHECKING:
    from studio.data.refused import Refused
    from studio.data.uploads import Upload
    from studio.service.library import Files

app = typer.Typer(
    help="Shrink a model: distil a large teacher into a small student.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

_shown = Console(stderr=True)
_log = logging.getLogger(__name__)
LARGEST_ID = 2**63 - 1  # what SQLite can count to
MOST_LABELS, MOST_LETTERS = 50, 200
TOLD_BYTES = 50_000_000
"""A fetch is told of after each of these."""

DataName = Annotated[str, typer.Argument(metavar="DATA", help="The name of the data set, or its number.")]
RunId = Annotated[int, typer.Argument(metavar="RUN", min=1, max=LARGEST_ID, help="The number of the run.")]
DataPath = Annotated[
    str,
    typer.Argument(
        help="CSV, TSV, JSON, Parquet, Arrow, Excel, also packed (gz, bz2, xz, zst, zip), a ZIP of images, a folder "
        "with a file a split, the https address of a file, or hub:ORG/NAME for a data set of the Hugging Face Hub."
    ),
]
TaskName = Annotated[str | None, typer.Option(help=f"{', '.join(tasks.TASKS)}. Guessed when left out.")]
InputColumn = Annotated[
    str | None,
    typer.Option("--input", help="Column with the text; several as one with a plus: 'title + body'. Guessed."),
]
PairColumn = Annotated[str | None, typer.Option(help="Column with the second text, where two are read together.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column with the label. Guessed.")]
SplitColumn = Annotated[
    str | None,
    typer.Option(help="Column that says train, validation or test. Taken when it is called split; none: no column."),
]
TestFile = Annotated[str | None, typer.Option(help="A second file, to be the test set.")]
ValidationFile = Annotated[str | None, typer.Option(help="A file that is the validation set.")]
UnlabelledFile = Annotated[
    str | None, typer.Option(help="A file of inputs without labels, which the teacher alone will label.")
]
Separator = Annotated[
    str | None, typer.Option(help="What stands between the labels of one cell, such as |, if a row has several.")
]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Guessed when left out.")]
Encoding = Annotated[
    str | None, typer.Option(help="Such as utf-8, gb18030 or cp1252: bytes that do not fit are replaced. Guessed.")
]
Delimiter = Annotated[str | None, typer.Option(help="What stands between columns: one character, or tab. Guessed.")]
DropLeaked = Annotated[
    bool,
    typer.Option("--drop-leaked/--keep-leaked", help="Remove training rows that given test rows repeat, or not."),
]
RefusedFile = Annotated[
    Path | None, typer.Option("--refused", help="Write the rows that are left out into this CSV: line, reason, row.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on standard output, and nothing else.")]


def main() -> None:
    """Exit status 0 only on success; an error is one message on standard error, the rest of it stands in `cli.log`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    try:
        app()
    except (StudioError, OSError) as error:
        meant = of_system(error) if isinstance(error, OSError) else None
        _shown.print(f"[bold red]Error:[/] {_plain(str(meant or error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  whatever it is, a user gets a sentence and the place of the details
        told = f"Something unexpected happened: {type(error).__name__}: {error}. {_kept_details()}"
        _shown.print(f"[bold red]Error:[/] {_plain(told)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _kept_details() -> str:
    """Write the error being handled into the log of the home; a sentence that says where, or that it could not be."""
    home = Home.from_environment()
    file = home.root / "cli.log"
    try:
        home.make()
        _log.addHandler(logging.FileHandler(file, encoding="utf-8"))
    except OSError:
        return f"The details could not be written to {file}."
    _log.propagate = False
    _log.exception("python -m studio %s", " ".join(sys.argv[1:]))
    return f"The details are in {file}."


@app.command()
def demo(kind: Annotated[Literal["text", "images"], typer.Argument()] = "text", as_json: AsJson = False) -> None:
    """Run a demo on data that comes with the studio: no network, no account, no GPU."""
    from studio.service import samples

    home, store = _open()
    with _busy("Preparing the demo data"):
        run = samples.start(_acts(home, store), kind, owner=new_owner())
    _carry(store, home, run, as_json)


@data_app.command("check")
def data_check(
    path: DataPath,
    task: TaskName = None,
    input_column: InputColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    split: SplitColumn = None,
    test: TestFile = None,
    validation: ValidationFile = None,
    separator: Separator = None,
    unlabelled: UnlabelledFile = None,
    header: Header = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    refused: RefusedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read and check a data set without saving it: what was taken, and what was found."""
    from studio.service import library

    others = {"test": test, "validation": validation, "unlabelled": unlabelled}
    columns = {"input": input_column, "pair": pair, "label": label, "split": split, "separator": separator}
    with _busy(f"Reading {Path(path).name}"):
        files = _files(path, others, header, encoding, delimiter)
        found = library.check(files, task=task, columns=_wanted(columns))
    if refused:
        _write_refused(found.rows.refused, refused)
    if as_json:
        return _print_json(found.facts)
    report = found.report
    for note in found.notes:
        typer.echo(_shown_safely(note))
    if files.rows.kind != "images":
        typer.echo(_shown_safely(_columns_taken(found.columns.as_dict(), found.guessed, found.unused)))
    counts = ", ".join(f"{count:,} {name}" for name, count in report.splits.items())
    typer.echo(_shown_safely(f"{report.read:,} rows read, {report.rows:,} kept: {counts}. Task: {found.rows.task}."))
    for warning in report.warnings:
        typer.echo(_shown_safely(warning))
    if not report.warnings:
        typer.echo("Nothing was found that speaks against training on it.")


@data_app.command("add")
def data_add(
    path: DataPath,
    name: Annotated[
        str | None, typer.Option(help="The name under which it is saved; the file's when left out.")
    ] = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    split: SplitColumn = None,
    test: TestFile = None,
    validation: ValidationFile = None,
    separator: Separator = None,
    unlabelled: UnlabelledFile = None,
    header: Header = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    test_share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the rows for testing, where none are given.")
    ] = 0.2,
    validation_share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the rows for validation, where none are given.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    drop_leaked: DropLeaked = True,
    refused: RefusedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read, check, split and save a data set; say which columns it took."""
    from studio.service import library

    home, store = _open()
    others = {"test": test, "validation": validation, "unlabelled": unlabelled}
    columns = {"input": input_column, "pair": pair, "label": label, "split": split, "separator": separator}
    with _busy(f"Reading {Path(path).name}"):
        files = _files(path, others, header, encoding, delimiter)
    with _busy("Saving"):
        added = _acts(home, store).add(
            files,
            name=name,
            like=library.name_like(path),
            task=task,
            columns=_wanted(columns),
            split=library.Split(validation_share, test_share, drop_leaked, seed),
        )
    saved = added.row
    if refused:
        _write_refused(added.refused, refused)
    if as_json:
        told = {"guessed": added.guessed, "unused": added.unused, "removed": added.removed, "notes": added.notes}
        return _print_json(_dataset_facts(saved) | told)
    if files.rows.kind != "images":
        _say(_columns_taken(saved.columns, added.guessed, added.unused))
    for note in [*added.notes, *saved.report["warnings"]]:
        _say(note)
    where = "Saved as" if added.is_new else "The same content is there already:"
    typer.echo(_shown_safely(f"{where} data set {saved.id}, {saved.name!r}: {_sizes(saved)}."))


def _files(
    path: str, others: Mapping[str, str | None], header: bool | None, encoding: str | None, delimiter: str | None
) -> "Files":
    """The file and those beside it, read."""
    from studio.service import library, sources

    def read(file: str) -> "Upload":
        return sources.bring(file, header, encoding=encoding, delimiter=delimiter, tell=_coming())

    return library.Files(read(path), **{role: read(file) for role, file in others.items() if file is not None})


def _write_refused(refused: "Sequence[Refused]", to: Path) -> None:
    from studio.service import library

    count = library.write_refused(refused, to)
    _say(f"{count:,} rows that were left out are in {to}.")


def _wanted(columns: Mapping[str, str | None]) -> dict[str, str]:
    """The columns that were named; a split called none is no column."""
    named = {role: column for role, column in columns.items() if column is not None}
    return named | ({"split": ""} if named.get("split") == "none" else {})


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the saved data sets."""
    _, store = _open()
    rows = store.datasets()
    if as_json:
        return _print_json([{"id": row.id, "name": row.name, "task": row.task, "splits": row.splits} for row in rows])
    table = Table("id", "name", "task", "rows", "labels")
    for row in rows:
        table.add_row(str(row.id), _plain(row.name), row.task, f"{sum(row.splits.values()):,}", str(len(row.labels)))
    Console().print(table)


@data_app.command("show")
def data_show(
    reference: DataName,
    rows: Annotated[int, typer.Option(min=0, max=1000, help="So many training rows are shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show a data set: the columns it took, splits, labels, what was found in it, a few rows."""
    from studio.service import library

    home, store = _open()
    found = store.dataset(reference)
    some = library.head(home, found, rows)
    if "image" in some:
        some["image"] = [f"<image, {len(data):,} bytes>" for data in some["image"]]
    if as_json:
        shown = some.to_dict(orient="records")
        return _print_json(_dataset_facts(found) | {"runs": store.users_of_dataset(found), "rows": shown})
    typer.echo(_shown_safely(f"Data set {found.id}, {found.name!r}: {found.task}, {_sizes(found)}."))
    typer.echo(_shown_safely(_columns_taken(found.columns)))
    classes = found.report.get("classes", {})
    listed = [f"{label} ({classes[label]:,})" if label in classes else label for label in found.labels]
    more = f" and {len(listed) - MOST_LABELS} more" if len(listed) > MOST_LABELS else ""
    typer.echo(_shown_safely(f"Labels: {', '.join(listed[:MOST_LABELS])}{more}."))
    for warning in found.report.get("warnings", ()):
        typer.echo(_shown_safely(warning))
    table = Table(*map(_plain, some.columns))
    for row in some.itertuples(index=False, name=None):
        table.add_row(*[_plain(_shortened(str(cell))) for cell in row])
    Console().print(table)


@data_app.command("rename")
def data_rename(
    reference: DataName, name: Annotated[str, typer.Argument(help="The new name.")], as_json: AsJson = False
) -> None:
    """Give a data set another name. Runs that use it go on using it."""
    row = _acts(*_open()).rename(reference, name)
    if as_json:
        return _print_json({"id": row.id, "name": row.name})
    typer.echo(_shown_safely(f"Data set {row.id} is called {row.name!r} now."))


@data_app.command("delete")
def data_delete(reference: DataName, as_json: AsJson = False) -> None:
    """Delete a data set with its files. Refused where a run uses it."""
    home, store = _open()
    row = store.dataset(reference)
    freed = _acts(home, store).delete_dataset(row.id)
    if as_json:
        return _print_json({"id": row.id, "freed_bytes": freed})
    typer.echo(_shown_safely(f"Deleted data set {row.id}, {row.name!r}; {freed / 1e6:.1f} MB are free again."))


@app.command()
def train(
    config: Annotated[Path | None, typer.Option(help="A YAML file with the names of RunConfig.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value, as often as needed; wins over the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a run: teach, record, distil, control, evaluate.

    The settings come from a file, from --set, or from both: --set dataset=reviews --set teacher=folder:… --set
    student=teacher/2-layers. A list is written as --set "terms=[soft_target, hint]", an empty one as [].
    """
    home, store = _open()
    registry.one_run()  # a wrong STUDIO_EXECUTOR, STUDIO_RAY_CORES … is told before there is a run
    wanted = parse_yaml(_text(config) if config else "", settings or ())
    run = _acts(home, store).start(wanted, key=f"cli-{uuid.uuid4()}", owner=new_owner())
    _carry(store, home, run, as_json)


@app.command()
def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Resume a run that was stopped or failed from where it was."""
    home, store = _open()
    _carry(store, home, _acts(home, store).resume(run_id, owner=new_owner()), as_json)


@app.command("take-back")
def take_back(run_id: RunId, as_json: AsJson = False) -> None:
    """Queue a run again whose machine or container is gone. If its process lives after all, it ends there."""
    home, store = _open()
    waits = store.run(run_id).status == "queued"
    run = store.run(run_id) if waits else _acts(home, store).take_back(run_id)
    if as_json:
        return _print_json({"run": run.id, "status": run.status})
    typer.echo(f"Run {run.id} is {run.status}. To carry it here: {_command()} resume {run.id}.")


@app.command()
def delete(run_id: RunId, as_json: AsJson = False) -> None:
    """Delete a run that is over, with its models. Refused where another run uses one of them."""
    freed = _acts(*_open()).delete_run(run_id)
    if as_json:
        return _print_json({"run": run_id, "freed_bytes": freed})
    typer.echo(f"Deleted run {run_id}; {freed / 1e6:.1f} MB are free again.")


@app.command()
def disk(
    tidy: Annotated[
        bool, typer.Option("--tidy", help="Delete uploads and teacher outputs that had their time.")
    ] = False,
    delete_outputs: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete these teacher outputs; they are made anew when needed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is kept on disk, the largest first, and what uses it."""
    home, store = _open()
    acts = _acts(home, store)
    freed = acts.delete_teacher_outputs(delete_outputs) if delete_outputs else 0
    freed += acts.tidy() if tidy else 0
    found = housekeeping.kept(store, home)
    if as_json:
        return _print_json({"freed_bytes": freed, "kept": [dataclasses.asdict(one) for one in found]})
    table = Table("kind", "name", "what", "MB", "last used", "used by")
    for one in found:
        day = time.strftime("%Y-%m-%d", time.localtime(one.used_at))
        table.add_row(one.kind, one.name, _plain(one.title), f"{one.bytes / 1e6:.1f}", day, ", ".join(one.used_by))
    Console().print(table)
    if freed:
        _say(f"{freed / 1e6:.1f} MB are free again.")


@app.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 200,
    all_of_them: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """List who did what, the newest first."""
    _, store = _open()
    found = store.audit(None if all_of_them else limit)
    if as_json:
        return _print_json([dataclasses.asdict(entry) for entry in found])
    table = Table("when", "who", "what", "about")
    for entry in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
        table.add_row(when, *map(_plain, (entry.who, entry.what, entry.about)))
    Console().print(table)


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 200,
    all_of_them: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    _, store = _open()
    found = store.runs(None if all_of_them else limit, archived)
    if as_json:
        _print_json([_run_facts(run) for run in found])
    else:
        table = Table("id", "status", "data", "teacher", "student", "verdict")
        for run in found:
            table.add_row(str(run.id), run.status, *map(_plain, _summary(run)))
        Console().print(table)
    there = store.count_runs(archived)
    if len(found) < there:
        _say(f"{len(found):,} of {there:,}; --limit, --all.")


@app.command()
def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Show one run: status, phases, results, verdict."""
    _, store = _open()
    found = store.show(run_id)
    if as_json:
        return _print_json(found)
    typer.echo(f"Run {run_id}: {found['status']}")
    table = Table("model", "rows", "measure", "value", "95 % interval")
    for result in store.evaluations(run_id):
        interval = (
            f"{result.low:.4f} to {result.high:.4f}"
            if result.low is not None and result.high is not None
            else _shown_safely(result.note)
        )
        table.add_row(result.role, result.split, result.metric, f"{result.value:,.4f}", interval)
    Console().print(table)
    if found["error"]:
        typer.echo(_shown_safely(f"{found['error']['message']} {found['error']['cure'] or ''}"))
    for step in store.stage_results(run_id):
        right = f"{step.metric} {step.value:.4f} on {step.n} validation rows"
        typer.echo(f"{step.title}: {right}, {step.size_bytes / 1e6:.2f} MB, {step.latency_ms:.2f} ms a row")
    for seed in store.seeds(run_id):
        reached = ", ".join(
            f"{one.role} {one.value:.4f}"
            for one in store.evaluations_of_seeds(run_id)
            if (one.seed, one.metric, one.split) == (seed.seed, seed.metric, "test")
        )
        typer.echo(f"Seed {seed.seed}: {seed.metric} {reached}{'; its student is exported' if seed.exported else ''}")
    if found["choice"]:
        chosen = found["choice"]
        typer.echo(f"Chosen: temperature {chosen['temperature']:g}, alpha {chosen['alpha']:g}. {chosen['reason']}")
    if found["verdict"]:
        _tell_verdict(store.run(run_id))


@app.command()
def export(
    run_id: RunId,
    to: Annotated[Path | None, typer.Option(help="The zip to write; student-RUN.zip when left out.")] = None,
    onnx: Annotated[bool, typer.Option(help="Also as ONNX, in float32 and int8.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write the student as a Hugging Face folder, and as ONNX, in a zip."""
    home, store = _open()
    store.run(run_id)
    if onnx and home.model(run_id, "student").is_dir():
        _convert(home, store, run_id)
    with _busy("Packing"):
        written = _acts(home, store).export(run_id, to or Path(f"student-{run_id}.zip"))
    if as_json:
        return _print_json({"file": str(written), "bytes": written.stat().st_size})
    typer.echo(f"Wrote {written} ({written.stat().st_size / 1e6:.1f} MB).")


@app.command()
def predict(
    run_id: RunId,
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines, Parquet, Excel, or a ZIP of images.")],
    to: Annotated[Path, typer.Option(help="The file to write: .csv, .tsv or .jsonl. Nothing is overwritten.")],
    role: Annotated[
        TrainedRole,
        typer.Option(
            help="Whose answers. Student and control are the models that the verdict measured: where the plan "
            "ends with int8, those in int8."
        ),
    ] = "student",
    input_column: Annotated[
        str | None, typer.Option("--input", help="Column of the inputs; the one of the run's data when left out.")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="Column of the second texts, where two are read together.")] = None,
    header: Annotated[bool | None, typer.Option("--header/--no-header", help="Guessed when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a file, and write the rows with label and score behind them.

    All columns of the file are kept. Where it has a column label or score already, the new ones are called
    predicted_label and predicted_score.
    """
    from studio.service import predict as predictions

    home, store = _open()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} of {task.total:,} rows"),
               TimeRemainingColumn())  # fmt: skip
    with _ended_like_ctrl_c(), Progress(*columns, console=_shown) as bars:
        bar = bars.add_task(f"The {role} answers", total=None, visible=False)
        scored = predictions.predict_file(
            store, home, run_id, file, to, role=role, column=input_column, pair=pair, header=header,
            tell=lambda done, total: bars.update(bar, completed=done, total=total, visible=True),
        )  # fmt: skip
    if as_json:
        return _print_json(
            {"run": run_id, "role": role, "file": str(scored.file), "rows": scored.rows, "empty": scored.empty,
             "columns": scored.columns}
        )  # fmt: skip
    if scored.empty:
        _say(f"{scored.empty:,} rows have no input and got no answer.")
    added = ", ".join(scored.columns)
    typer.echo(_shown_safely(f"Wrote {scored.file}: {scored.rows:,} rows with the {role}'s answers in {added}."))


@app.command()
def push(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="A new repository, ORG/NAME.")],
    public: Annotated[bool, typer.Option(help="Everybody may see it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the student into a new repository of the Hugging Face Hub."""
    acts = _acts(*_open())
    with _busy(f"Pushing to {name}"):
        address = acts.push(run_id, name, private=not public)
    if as_json:
        return _print_json({"address": address})
    typer.echo(f"Pushed to {address}.")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the pages are: http://127.0.0.1:PORT.")] = 8501,
    address: Annotated[
        str | None, typer.Option(help="The address to listen on; this machine alone when left out.")
    ] = None,
) -> None:
    """Start the studio in the browser; Ctrl-C ends it, and runs go on when it is started again."""
    from studio.service.program import program_folder

    registry.wanted_slots(), registry.one_run()  # what is wrong in the environment is told here, in one sentence
    _require_free(port, address or "127.0.0.1")
    words = [sys.executable, "-m", "streamlit", "run", str(program_folder() / "app.py"), "--server.port", str(port)]
    words += ["--server.address", address] if address else []
    if os.name == "posix":
        os.execv(sys.executable, words)  # noqa: S606  the server gets the signals itself
    sys.exit(subprocess.call(words))


def _require_free(port: int, address: str) -> None:
    """Raise `StudioError` where another program listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as place:
        if os.name == "posix":
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((address, port))
        except OSError as error:
            raise StudioError(
                f"The studio cannot listen on {address}, port {port}: {error.strerror or error}.",
                f"End what is there, or take another port: {_command()} serve --port {port % 65535 + 1}, or "
                f"make run PORT={port % 65535 + 1}.",
            ) from error


def _command() -> str:
    """How this program was called."""
    return "distillation-studio" if Path(sys.argv[0]).stem == "distillation-studio" else "python -m studio"


def _open() -> tuple[Home, Store]:
    """The home and its store, in which no run claims to be running after its process was killed."""
    home = Home.from_environment()
    store = Store(home.database)
    files.recover(home.root)
    store.take_back(is_gone, ownership.INTERRUPTED)
    return home, store


def _acts(home: Home, store: Store) -> Acts:
    """What whoever sits here does: the command line is for those who may read and write the home anyway."""
    return Acts(people.local(), home, store)


def _convert(home: Home, store: Store, run_id: int) -> None:
    """Make the ONNX files; where that cannot be done the zip goes without them, and it is said why."""
    with _busy("Converting to ONNX"):
        try:
            conversion = convert(home, store, run_id)
        except (ExportError, WorkerError) as error:
            _shown.print(f"[yellow]No ONNX:[/] {_plain(str(error))}", highlight=False)
            return
    for form in conversion.forms:
        told = form.left_out or f"{form.size_bytes / 1e6:.2f} MB, {form.latency_ms:.2f} ms a row"
        _shown.print(f"[dim]{form.name}: {_plain(told)}[/]", highlight=False)


def _text(config: Path) -> str:
    """The text of a configuration file; raises `ConfigError` where it has none."""
    try:
        return config.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{config} is not a text file in UTF-8.", "Save it as UTF-8, or name another file."
        ) from error
    except OSError as error:
        cure = "Name a YAML file with the settings of a run."
        raise ConfigError(f"{config} cannot be read: {error.strerror or error}.", cure) from error


def _carry(store: Store, home: Home, run: RunRow, as_json: bool) -> None:
    """Drive a run to its end with a progress bar; the exit status tells how it ended."""
    _shown.print(f"[dim]Run {run.id} has started; Ctrl-C stops it and keeps the student so far.[/]", highlight=False)
    with _ended_like_ctrl_c(), contextlib.suppress(KeyboardInterrupt):
        said = cast(Generator[events.Event, None, None], carry(store, home, run))
        with contextlib.closing(said):
            _draw(said, as_json, store, run.id)
    done = store.run(run.id)
    if as_json:
        _print_json({"run": done.id, "status": done.status})
    if done.status == "stopped":
        kept = f" Its student so far is kept: {_command()} export {run.id}."
        raise StudioError(
            f"Run {run.id} was stopped.{kept if home.model(run.id, 'student').is_dir() else ''}",
            f"To resume: {_command()} resume {run.id}.",
        )
    if not done.is_over:
        raise StudioError(f"Run {run.id} was taken back and goes on elsewhere.", "`runs` shows how far it is.")
    if done.status != "finished":
        raise StudioError(f"Run {run.id} {done.status}: {done.message}", done.cure or "")
    if not as_json:
        typer.echo(f"Run {done.id}:")
        _tell_verdict(done)


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Take the signals of a closing terminal, of `timeout` and of `kill` as Ctrl-C, so that the student is kept."""
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    signs = [sign for sign in known if signal.getsignal(sign) == signal.SIG_DFL]  # `nohup` has them ignored
    for sign in signs:
        signal.signal(sign, signal.default_int_handler)
    try:
        yield
    finally:
        for sign in signs:
            signal.signal(sign, signal.SIG_DFL)


def _draw(said: Iterator[events.Event], quiet: bool, store: Store, run_id: int) -> None:
    """One bar for the whole run, the stage in words, and the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"),
               TextColumn("{task.fields[note]}"))  # fmt: skip
    with Progress(*columns, console=_shown) as bars:
        bar = bars.add_task("Starting", total=1.0, left="", note="")
        for event in said:
            match event:
                case events.PhaseStarted(phase=phase):
                    bars.update(bar, description=title(phase), note="")
                case events.Progress(detail=detail):
                    _move(bars, bar, whole(store, store.run(run_id)))
                    if detail:
                        bars.update(bar, note=_plain(detail))
                case events.Metrics(values=values):
                    shown = [f"{name} {values[name]:.3f}" for name in ("loss", "accuracy") if name in values]
                    bars.update(bar, note="  ".join(shown))
                case events.PhaseFinished(phase=phase, seconds=seconds):
                    _move(bars, bar, whole(store, store.run(run_id)))
                    if not quiet:
                        bars.console.print(f"[dim]{title(phase)}: {seconds:.1f} s[/]", highlight=False)
                case events.Log(message=message) if not quiet:
                    bars.console.print(f"[dim]{_plain(message)}[/]", highlight=False)


def _move(bars: Progress, bar: TaskID, done: Whole) -> None:
    left = "" if done.seconds_left is None else f"{timedelta(seconds=round(done.seconds_left))} left"
    bars.update(bar, completed=done.share, left=left)


def _coming() -> Callable[[int, int | None], None]:
    """Tells how much of a file from elsewhere is here; nothing where none comes."""
    told = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal told
        if done - told >= TOLD_BYTES or done == total:
            told = done
            _say(f"{done / 1e6:,.1f} MB are here{f' of {total / 1e6:,.1f}' if total else ''}.")

    return tell


@contextlib.contextmanager
def _busy(what: str) -> Iterator[None]:
    start = time.monotonic()
    with _shown.status(f"{_plain(what)} …"):
        yield
    _shown.print(f"[dim]{_plain(what)}: {time.monotonic() - start:.1f} s[/]", highlight=False)


def _say(note: str) -> None:
    """A remark, apart from the answer on standard output."""
    _shown.print(f"[dim]{_plain(note)}[/]", highlight=False, soft_wrap=True)


def _tell_verdict(run: RunRow) -> None:
    """The sentence, what it may hide, and what to do next."""
    typer.echo(_shown_safely(run.verdict or ""))
    for caution in run.cautions:
        typer.echo(_shown_safely(f"Caution ({caution.code}): {caution.sentence} {caution.cure}"))
    if run.next_step:
        settings = " ".join(f"--set {name}={value}" for name, value in run.next_step.changes.items())
        typer.echo(_shown_safely(f"Next: {run.next_step.label}{f' ({settings})' if settings else ''}."))


def _columns_taken(columns: Mapping[str, str], guessed: Sequence[str] = (), unused: Sequence[str] = ()) -> str:
    """Which column plays which role, and which none.

    >>> _columns_taken({"input": "text", "label": "tone"}, ["input"], ["id"])
    "Columns: input 'text' (guessed), label 'tone'; not used: 'id'."
    """
    taken = [f"{role} {column!r}{' (guessed)' if role in guessed else ''}" for role, column in columns.items()]
    left = f"; not used: {', '.join(map(repr, unused))}" if unused else ""
    return f"Columns: {', '.join(taken)}{left}."


def _sizes(row: DatasetRow) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in row.splits.items())
    return f"{counts} rows, {len(row.labels)} labels"


def _dataset_facts(row: DatasetRow) -> dict[str, Any]:
    names = ("id", "name", "task", "columns", "splits", "labels", "fingerprint", "report", "made_by")
    return {name: getattr(row, name) for name in names}


def _run_facts(run: RunRow) -> dict[str, Any]:
    config = run.config
    return {"id": run.id, "status": run.status, "dataset": config.dataset, "teacher": config.teacher,
            "student": config.student, "verdict": run.verdict}  # fmt: skip


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def _summary(run: RunRow) -> tuple[str, str, str, str]:
    return run.config.dataset, run.config.teacher, run.config.student, run.verdict or run.message or ""


def _print_json(value: Any) -> None:
    """JSON that any program reads, whatever letters the terminal knows."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2) + "\n")


def _plain(text: str) -> str:
    """A user's text without meaning to rich's markup or to the terminal."""
    return escape(_shown_safely(text))


def _shown_safely(text: str) -> str:
    """A user's text whose control characters cannot steer the terminal."""
    return harmless.in_terminal(text)
