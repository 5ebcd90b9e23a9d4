"""The same product without a browser: `python -m studio`."""

import contextlib
import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from studio import config as configs
from studio import events, runner
from studio.errors import StudioError
from studio.home import Home
from studio.rows import RunRow
from studio.store import Store

app = typer.Typer(help="Shrink a model: distil a large teacher into a small student.", no_args_is_help=True)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

_shown = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on standard output, and nothing else.")]


def main() -> None:
    """Exit status 0 only on success; an error is one message on standard error."""
    try:
        app()
    except StudioError as error:
        _shown.print(f"[bold red]Error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        _shown.print(f"[bold red]Error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo(kind: Annotated[Literal["text", "images"], typer.Argument()] = "text", as_json: AsJson = False) -> None:
    """Run a demo on data that comes with the studio: no network, no account, no GPU."""
    from studio import samples

    home, store = _open()
    with _busy("Preparing the demo data"):
        run = samples.start(store, home, kind, owner=runner.new_owner())
    _carry(store, home, run, as_json)


@data_app.command("add")
def data_add(
    path: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines, Parquet, Excel, or a ZIP of images.")],
    name: Annotated[str, typer.Option(help="The name under which it is saved.")],
    task: Annotated[configs.TaskName | None, typer.Option(help="Guessed when left out.")] = None,
    input_column: Annotated[str | None, typer.Option("--input", help="Column with the text. Guessed.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label. Guessed.")] = None,
    test: Annotated[Path | None, typer.Option(help="A second file, to be the test set.")] = None,
    header: Annotated[bool | None, typer.Option("--header/--no-header", help="Guessed when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read, check, split and save a data set."""
    from studio import data, library, uploads
    from studio.data import Columns
    from studio.errors import DataError

    home, store = _open()
    with _busy(f"Reading {path.name}"):
        upload = uploads.read(path, header=header)
        second = uploads.read(test, header=header) if test else None
        guessed = data.guess_columns(upload)
        columns = Columns(input_column or guessed.input, label or guessed.label, guessed.split)
        kind = task or data.guess_task(upload)
        if kind != data.guess_task(upload):
            raise DataError(f"{path.name} does not hold data for {kind}.", f"It fits {data.guess_task(upload)}.")
        rows = data.clean(upload, columns, kind, second)
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
    wanted = configs.parse_yaml(config.read_text(encoding="utf-8"), settings or ())
    run = store.submit(wanted, key=f"cli-{uuid.uuid4()}", owner=runner.new_owner())
    _carry(store, home, run, as_json)


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
def show(run_id: Annotated[int, typer.Argument(metavar="RUN")], as_json: AsJson = False) -> None:
    """Show one run: status, phases, results, verdict."""
    _, store = _open()
    found = store.show(run_id)
    if as_json:
        return _print_json(found)
    typer.echo(f"Run {run_id}: {found['status']}")
    table = Table("model", "measure", "value", "95 % interval")
    for one in store.evaluations(run_id):
        interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else ""
        table.add_row(one.role, one.metric, f"{one.value:,.4f}", interval)
    Console().print(table)
    if found["error"]:
        typer.echo(f"{found['error']['message']} {found['error']['cure']}")
    if found["verdict"]:
        typer.echo(found["verdict"])


@app.command()
def export(
    run_id: Annotated[int, typer.Argument(metavar="RUN")],
    to: Annotated[Path | None, typer.Option(help="The zip to write; student-RUN.zip when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the student as a Hugging Face folder in a zip."""
    from studio import export as exports

    home, store = _open()
    with _busy("Packing"):
        written = exports.student_zip(home, store, run_id, to or Path(f"student-{run_id}.zip"))
    if as_json:
        return _print_json({"file": str(written), "bytes": written.stat().st_size})
    typer.echo(f"Wrote {written} ({written.stat().st_size / 1e6:.1f} MB).")


def _open() -> tuple[Home, Store]:
    home = Home.from_environment()
    return home, Store(home.database)


def _carry(store: Store, home: Home, run: RunRow, as_json: bool) -> None:
    """Drive a run to its end with a progress bar; the exit status tells how it ended."""
    try:
        _draw(runner.carry(store, home, run), quiet=as_json)
    except KeyboardInterrupt:
        _shown.print("Stopped.")
    done = store.run(run.id)
    if as_json:
        _print_json({"run": done.id, "status": done.status})
    if done.status != "finished":
        reason = f"{done.message} {done.cure}" if done.message else f"Run {done.id} was {done.status}."
        raise StudioError(f"Run {done.id} {done.status}: {reason}")
    if not as_json:
        typer.echo(f"Run {done.id}: {done.verdict}")


def _draw(said: Iterator[events.Event], quiet: bool) -> None:
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_shown, transient=False) as bars:
        bar = None
        for event in said:
            if isinstance(event, events.PhaseStarted):
                bar = bars.add_task(event.phase, total=event.total, note="")
            elif isinstance(event, events.Progress) and bar is not None:
                bars.update(bar, completed=event.step, total=event.total, note=_plain(event.detail))
            elif isinstance(event, events.Metrics) and bar is not None:
                shown = {name: event.values[name] for name in ("loss", "accuracy") if name in event.values}
                bars.update(bar, note="  ".join(f"{name} {value:.3f}" for name, value in shown.items()))
            elif isinstance(event, events.PhaseFinished) and bar is not None:
                bars.update(
                    bar, completed=max(1, event.steps), total=max(1, event.steps), note=f"{event.seconds:.1f} s"
                )
            elif isinstance(event, events.Log) and not quiet:
                bars.console.print(f"[dim]{_plain(event.message)}[/]", highlight=False)


@contextlib.contextmanager
def _busy(what: str) -> Iterator[None]:
    start = time.monotonic()
    with _shown.status(f"{_plain(what)} …"):
        yield
    _shown.print(f"[dim]{_plain(what)}: {time.monotonic() - start:.1f} s[/]", highlight=False)


def _summary(run: RunRow) -> tuple[str, str, str, str]:
    return run.config.dataset, run.config.teacher, run.config.student, run.verdict or run.message or ""


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _plain(text: str) -> str:
    """A user's text without meaning to rich's markup."""
    return text.replace("[", r"\[")
