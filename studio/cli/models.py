"""`export`, `predict`, `push`: what a run leaves behind, taken away or asked."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, RunId, busy, console, ended_like_ctrl_c, plain, print_json, say, shown_safely
from studio.errors import ExportError, WorkerError
from studio.events import TrainedRole
from studio.language.languages import LANGUAGES, SOURCE
from studio.service.acts import Acts

commands = typer.Typer()


@commands.command()
def export(
    run_id: RunId,
    to: Annotated[Path | None, typer.Option(help="The zip to write; student-RUN.zip when left out.")] = None,
    onnx: Annotated[
        bool, typer.Option(help="Also as ONNX, in float32 and int8; models that write as GGUF, too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write the student as a Hugging Face folder, and as ONNX (and GGUF), in a zip."""
    home, store = open_home()
    store.run(run_id)
    acts = acts_here(home, store)
    if onnx and home.model(run_id, "student").is_dir():
        _convert(acts, run_id)
    with busy("Packing"):
        written = acts.export(run_id, to or Path(f"student-{run_id}.zip"))
    if as_json:
        return print_json({"file": str(written), "bytes": written.stat().st_size})
    typer.echo(f"Wrote {written} ({written.stat().st_size / 1e6:.1f} MB).")


@commands.command()
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
    tokens: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Tokens that a language model writes at most; 120.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a file, and write the rows with label and score behind them.

    All columns of the file are kept. Where it has a column label or score already, the new ones are called
    predicted_label and predicted_score.
    """
    from studio.service import predict as predictions

    home, store = open_home()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} of {task.total:,} rows"),
               TimeRemainingColumn())  # fmt: skip
    with ended_like_ctrl_c(), Progress(*columns, console=console) as bars:
        bar = bars.add_task(f"The {role} answers", total=None, visible=False)
        scored = predictions.predict_file(
            store, home, run_id, file, to, role=role, column=input_column, pair=pair, header=header,
            most_tokens=tokens, tell=lambda done, total: bars.update(bar, completed=done, total=total, visible=True),
        )  # fmt: skip
    if as_json:
        return print_json(
            {"run": run_id, "role": role, "file": str(scored.file), "rows": scored.rows, "empty": scored.empty,
             "cut": scored.cut, "columns": scored.columns}
        )  # fmt: skip
    if scored.empty:
        say(f"{scored.empty:,} rows have no input and got no answer.")
    if scored.cut:
        say(f"{scored.cut:,} answers were cut off by the limit of tokens, as their column {scored.columns[-1]} says.")
    added = ", ".join(scored.columns)
    typer.echo(shown_safely(f"Wrote {scored.file}: {scored.rows:,} rows with the {role}'s answers in {added}."))


@commands.command()
def report(
    run_id: RunId,
    to: Annotated[Path | None, typer.Option(help="The HTML file to write; report-RUN.html when left out.")] = None,
    language: Annotated[str, typer.Option(help=f"Of {', '.join(LANGUAGES)}.")] = SOURCE,
    slides: Annotated[bool, typer.Option("--slides", help="Slides to present in place of a report to read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the results of a run as one HTML file, to read, print, send or present: it needs nothing else."""
    from studio.service import report as reports

    home, store = open_home()
    store.run(run_id)
    with busy("Writing"):
        target = to or Path(f"{'slides' if slides else 'report'}-{run_id}.html")
        written = reports.write(home, store, run_id, target, language, slides)
    if as_json:
        return print_json({"file": str(written), "bytes": written.stat().st_size})
    typer.echo(f"Wrote {written} ({written.stat().st_size / 1e3:.0f} kB).")


@commands.command()
def push(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="A new repository, ORG/NAME.")],
    public: Annotated[bool, typer.Option(help="Everybody may see it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the student into a new repository of the Hugging Face Hub."""
    acts = acts_here(*open_home())
    with busy(f"Pushing to {name}"):
        address = acts.push(run_id, name, private=not public)
    if as_json:
        return print_json({"address": address})
    typer.echo(f"Pushed to {address}.")


def _convert(acts: Acts, run_id: int) -> None:
    """Make the ONNX files; where that cannot be done the zip goes without them, and it is said why."""
    with busy("Converting to ONNX"):
        try:
            conversion = acts.convert(run_id)
        except (ExportError, WorkerError) as error:
            console.print(f"[yellow]No ONNX:[/] {plain(str(error))}", highlight=False)
            return
    for form in conversion.forms:
        timed = "" if form.latency_ms is None else f", {form.latency_ms:.2f} ms a row"
        note = form.left_out or f"{form.size_bytes / 1e6:.2f} MB{timed}"
        console.print(f"[dim]{form.name}: {plain(note)}[/]", highlight=False)
