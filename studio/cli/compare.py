"""`compare`: runs side by side."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.place import open_home
from studio.cli.terminal import AsJson, RunId, amount, plain, print_json, setting, shown_safely
from studio.language.languages import LANGUAGES, SOURCE
from studio.service import comparison, paired

commands = typer.Typer()


@commands.command()
def compare(
    run_ids: list[RunId],
    report: Annotated[Path | None, typer.Option(help="Write it as one HTML file instead.")] = None,
    language: Annotated[str, typer.Option(help=f"Of the file: one of {', '.join(LANGUAGES)}.")] = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Show runs side by side: the settings that differ, what their models reached, which are worth having."""
    home, store = open_home()
    if report is not None:
        from studio.service import report as reports

        written = reports.write_comparison(home, store, run_ids, report, language)
        return typer.echo(f"Wrote {written} ({written.stat().st_size / 1e3:.0f} kB).")
    compared = comparison.sides(store, run_ids)
    if as_json:
        return print_json(paired.facts(home, store, compared))
    names = [plain(side.name) for side in compared]
    table = Table("", *names)
    for name, values in comparison.differing(compared).items():
        table.add_row(name, *(plain(setting(value)) for value in values))
    table.add_section()
    measure = comparison.same_measure(compared)
    table.add_row(measure.name if measure else "student", *(_reached(side) for side in compared))
    for title, column, metric in (("size", "student_bytes", "size_bytes"), ("a row", "student_ms", "latency_ms")):
        found = [getattr(side.summary, column) if side.summary else None for side in compared]
        table.add_row(title, *("" if value is None else amount(metric, value) for value in found))
    Console().print(table)
    if measure is None:
        kinds = ", ".join(dict.fromkeys(side.task.title for side in compared))
        return typer.echo(f"These runs learn different things ({kinds}): their numbers cannot be compared.")
    if earlier := comparison.of_earlier_versions(compared):
        listed = ", ".join(side.name for side in earlier)
        typer.echo(
            shown_safely(f"Measured by an earlier version, which counted sizes and macro F1 otherwise: {listed}.")
        )
    by_id = {side.run.id: side.name for side in compared}
    for words, cost in (("smaller", "student_bytes"), ("faster", "student_ms")):
        front = ", ".join(by_id[run_id] for run_id in comparison.front(compared, cost))
        why = "nothing was measured"
        if cost == "student_ms" and len(comparison.runtimes(compared)) > 1:
            why = "their times were taken in different runtimes"
        if cost == "student_bytes" and earlier:
            why = "their sizes were counted in two ways"
        typer.echo(shown_safely(f"No other one is better, or as good and {words}: {front or why}."))


def _reached(side: comparison.Side) -> str:
    """What the student of a run has in the measure that decides, as people know it."""
    if side.summary is None or side.summary.student is None:
        return ""
    return side.measure.written(side.summary.student)
