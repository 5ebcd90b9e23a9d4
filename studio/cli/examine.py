"""`examine`: what a finished run is asked afterwards."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from studio import tasks
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, RunId, busy, plain, print_json
from studio.evaluate import corruptions
from studio.pipeline.answers import Elsewhere, Layers, Robustness
from studio.tasks import Measure

commands = typer.Typer()


class What(StrEnum):
    """What can be examined."""

    robustness = "robustness"
    layers = "layers"


@commands.command()
def examine(
    run_id: RunId,
    what: Annotated[What, typer.Argument(help="Worse and worse inputs, or whose layers are alike.")] = What.robustness,
    on: Annotated[str | None, typer.Option(metavar="DATA", help="Ask about the test rows of this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the models of a finished run about worse inputs or other data, or compare their layers."""
    home, store = open_home()
    acts = acts_here(home, store)
    with busy("Asking the models"):
        if on is not None:
            found: Elsewhere | Robustness | Layers = acts.examine_elsewhere(run_id, store.dataset(on).id)
        elif what is What.layers:
            found = acts.examine(run_id, Layers)
        else:
            found = acts.examine(run_id, Robustness)
    if as_json:
        return print_json(found.model_dump(mode="json"))
    data = store.dataset_by_id(store.run(run_id).dataset_id)
    Console().print(table(found, tasks.get(data.task, data.multi_label).measures[0]))


def table(found: Elsewhere | Robustness | Layers, measure: Measure) -> Table:
    """What was found, as a terminal shows it; measures as people know them, not in per cent."""
    if isinstance(found, Layers):
        shown = Table("teacher's layer", *(f"student's {name}" for name in found.student))
        for name, alike in zip(found.teacher, found.alike, strict=True):
            shown.add_row(name, *("–" if value is None else f"{value:.3f}" for value in alike))
    elif isinstance(found, Elsewhere):
        shown = Table(plain(found.dataset), "value", "from", "to")
        for role, (value, *ends) in found.values.items():
            known = [measure.shown(value), *sorted(map(measure.shown, ends))]
            shown.add_row(role, *(f"{number:.4g}" for number in known))
        if found.known:
            shown.caption = f"{found.known:,} test rows are left out: the run has seen them while it learned."
    else:
        shown = Table("", "model", "level: value")
        for curve in found.curves:
            told = (f"{level:g}: {value:.4g}" for level, value in zip(curve.levels, curve.values, strict=True))
            shown.add_row(corruptions.ALL[curve.corruption].title, curve.role, ", ".join(told))
    return shown
