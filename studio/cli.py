"""The same product without a browser: `python -m studio`."""

import contextlib
import json
import logging
import signal
import sys
import time
import uuid
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from studio import events
from studio.config.reading import parse_yaml
from studio.errors import ConfigError, ExportError, StudioError, WorkerError
from studio.home import Home
from studio.pipeline.timetable import Whole, title
from studio.service import runs as service_runs
from studio.service.progress import whole
from studio.service.questions import convert
from studio.service.runs import carry
from studio.service.runtime import INTERRUPTED, is_gone, new_owner
from studio.store.rows import RunRow
from studio.store.store import Store

app = typer.Typer(
    help="Shrink a model: distil a large teacher into a small student.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

_shown = Console(stderr=True)
_log = logging.getLogger(__name__)
_CONTROL_CHARACTERS = dict.fromkeys((*range(10), *range(11, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
LARGEST_ID = 2**63 - 1  # what SQLite can count to
RunId = Annotated[int, typer.Argument(metavar="RUN", min=1, max=LARGEST_ID, help="The number of the run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on standard output, and nothing else.")]


def main() -> None:
    """Exit status 0 only on success; an error is one message on standard error, the rest of it stands in `cli.log`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    try:
        app()
    except (StudioError, OSError) as error:
        _shown.print(f"[bold red]Error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  whatever it is, a user gets a sentence and the place of the details
        told = f"Something unexpected happened: {type(error).__name__}: {error}. {_kept_details()}"
        _shown.print(f"[bold red]Error:[/] {_plain(told)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _kept_details() -> str:
    """Write the error being handled into the log of the home; a sentence that says where, or that it could not be."""
    file = Home.from_environment().root / "cli.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
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
        run = samples.start(store, home, kind, owner=new_owner())
    _carry(store, home, run, as_json)


@data_app.command("add")
def data_add(
    path: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines, Parquet, Excel, or a ZIP of images.")],
    name: Annotated[str, typer.Option(help="The name under which it is saved.")],
    task: Annotated[str | None, typer.Option(help="Guessed when left out.")] = None,
    input_column: Annotated[str | None, typer.Option("--input", help="Column with the text. Guessed.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label. Guessed.")] = None,
    test: Annotated[Path | None, typer.Option(help="A second file, to be the test set.")] = None,
    separator: Annotated[
        str | None, typer.Option(help="What stands between the labels of one cell, such as |, if a row has several.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="A file of inputs without labels, which the teacher alone will label.")
    ] = None,
    header: Annotated[bool | None, typer.Option("--header/--no-header", help="Guessed when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read, check, split and save a data set."""
    from studio.data import uploads
    from studio.data.cleaning import clean
    from studio.data.columns import Columns, guess_columns, guess_task
    from studio.errors import DataError
    from studio.service import library

    home, store = _open()
    with _busy(f"Reading {path.name}"):
        upload = uploads.read(path, header=header)
        second = uploads.read(test, header=header) if test else None
        extra = uploads.read(unlabelled, header=header) if unlabelled else None
        guessed = guess_columns(upload)
        columns = Columns(input_column or guessed.input, label or guessed.label, guessed.split, separator)
        kind = task or guess_task(upload)
        if kind != guess_task(upload):
            raise DataError(f"{path.name} does not hold data for {kind}.", f"It fits {guess_task(upload)}.")
        rows = clean(upload, columns, kind, second, extra)
    with _busy("Saving"):
        saved = library.save(store, home, name, rows, columns)
    if as_json:
        return _print_json({"id": saved.id, "name": saved.name, "splits": saved.splits, "report": saved.report})
    for note in [*upload.notes, *saved.report["warnings"]]:
        _shown.print(f"[dim]{_plain(note)}[/]")
    counts = ", ".join(f"{count:,} {split}" for split, count in saved.splits.items())
    typer.echo(f"Saved as data set {saved.id}, {saved.name!r}: {counts} rows, {len(saved.labels)} labels.")


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the saved data sets."""
    _, store = _open()
    rows = store.datasets()
    if as_json:
        return _print_json([{"id": one.id, "name": one.name, "task": one.task, "splits": one.splits} for one in rows])
    table = Table("id", "name", "task", "rows", "labels")
    for one in rows:
        table.add_row(str(one.id), _plain(one.name), one.task, f"{sum(one.splits.values()):,}", str(len(one.labels)))
    Console().print(table)


@app.command()
def train(
    config: Annotated[Path, typer.Option(help="A YAML file with the names of RunConfig.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; wins over the file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a run: teach, record, distil, control, evaluate."""
    home, store = _open()
    wanted = parse_yaml(_text(config), settings or ())
    run = store.submit(wanted, key=f"cli-{uuid.uuid4()}", owner=new_owner())
    _carry(store, home, run, as_json)


@app.command()
def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Resume a run that was stopped or failed from where it was."""
    home, store = _open()
    _carry(store, home, store.resume(run_id, owner=new_owner()), as_json)


@app.command()
def delete(run_id: RunId, as_json: AsJson = False) -> None:
    """Delete a run that is over, with its models. Refused where another run uses one of them."""
    home, store = _open()
    freed = service_runs.delete(home, store, run_id)
    if as_json:
        return _print_json({"run": run_id, "freed_bytes": freed})
    typer.echo(f"Deleted run {run_id}; {freed / 1e6:.1f} MB are free again.")


@app.command()
def runs(as_json: AsJson = False) -> None:
    """List the runs, the newest first."""
    _, store = _open()
    found = store.runs()
    if as_json:
        return _print_json([{"id": one.id, "status": one.status, "verdict": one.verdict} for one in found])
    table = Table("id", "status", "data", "teacher", "student", "verdict")
    for one in found:
        table.add_row(str(one.id), one.status, *map(_plain, _summary(one)))
    Console().print(table)


@app.command()
def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Show one run: status, phases, results, verdict."""
    _, store = _open()
    found = store.show(run_id)
    if as_json:
        return _print_json(found)
    typer.echo(f"Run {run_id}: {found['status']}")
    table = Table("model", "rows", "measure", "value", "95 % interval")
    for one in store.evaluations(run_id):
        interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else ""
        table.add_row(one.role, one.split, one.metric, f"{one.value:,.4f}", interval)
    Console().print(table)
    if found["error"]:
        typer.echo(_shown_safely(f"{found['error']['message']} {found['error']['cure'] or ''}"))
    for step in store.milestones(run_id):
        right = f"{step.metric} {step.value:.4f} on {step.n} validation rows"
        typer.echo(f"{step.title}: {right}, {step.size_bytes / 1e6:.2f} MB, {step.latency_ms:.2f} ms a row")
    if found["choice"]:
        chosen = found["choice"]
        typer.echo(f"Chosen: temperature {chosen['temperature']:g}, alpha {chosen['alpha']:g}. {chosen['reason']}")
    if found["verdict"]:
        typer.echo(found["verdict"])


@app.command()
def export(
    run_id: RunId,
    to: Annotated[Path | None, typer.Option(help="The zip to write; student-RUN.zip when left out.")] = None,
    onnx: Annotated[bool, typer.Option(help="Also as ONNX, in float32 and int8.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write the student as a Hugging Face folder, and as ONNX, in a zip."""
    from studio.service import export as exports

    home, store = _open()
    store.run(run_id)
    if onnx and home.model(run_id, "student").is_dir():
        _convert(home, store, run_id)
    with _busy("Packing"):
        written = exports.student_zip(home, store, run_id, to or Path(f"student-{run_id}.zip"))
    if as_json:
        return _print_json({"file": str(written), "bytes": written.stat().st_size})
    typer.echo(f"Wrote {written} ({written.stat().st_size / 1e6:.1f} MB).")


@app.command()
def push(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="A new repository, ORG/NAME.")],
    public: Annotated[bool, typer.Option(help="Everybody may see it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the student into a new repository of the Hugging Face Hub."""
    from studio.service import export as exports

    home, store = _open()
    with _busy(f"Pushing to {name}"):
        address = exports.push(home, store, run_id, name, private=not public)
    if as_json:
        return _print_json({"address": address})
    typer.echo(f"Pushed to {address}.")


def _open() -> tuple[Home, Store]:
    """The home and its store, in which no run claims to be running after its process was killed."""
    home = Home.from_environment()
    store = Store(home.database)
    store.take_back(is_gone, INTERRUPTED)
    return home, store


def _convert(home: Home, store: Store, run_id: int) -> None:
    """Make the ONNX files; where that cannot be done the zip goes without them, and it is said why."""
    with _busy("Converting to ONNX"):
        try:
            conversion = convert(home, store, run_id)
        except (ExportError, WorkerError) as error:
            _shown.print(f"[yellow]No ONNX:[/] {_plain(str(error))}", highlight=False)
            return
    for one in conversion.forms:
        told = one.left_out or f"{one.size_bytes / 1e6:.2f} MB, {one.latency_ms:.2f} ms a row"
        _shown.print(f"[dim]{one.name}: {_plain(told)}[/]", highlight=False)


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
        kept = f" Its student so far is kept: python -m studio export {run.id}."
        raise StudioError(
            f"Run {run.id} was stopped.{kept if home.model(run.id, 'student').is_dir() else ''}",
            f"To resume: python -m studio resume {run.id}.",
        )
    if done.status != "finished":
        raise StudioError(f"Run {run.id} {done.status}: {done.message}", done.cure or "")
    if not as_json:
        typer.echo(f"Run {done.id}: {done.verdict}")


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


@contextlib.contextmanager
def _busy(what: str) -> Iterator[None]:
    start = time.monotonic()
    with _shown.status(f"{_plain(what)} …"):
        yield
    _shown.print(f"[dim]{_plain(what)}: {time.monotonic() - start:.1f} s[/]", highlight=False)


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
    return text.translate(_CONTROL_CHARACTERS)
