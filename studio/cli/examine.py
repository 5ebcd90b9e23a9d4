"""`examine`: what a finished run is asked afterwards."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from studio import tasks
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, RunId, busy, plain, print_json
from studio.errors import ConfigError
from studio.evaluate import corruptions, written
from studio.events import Comparison
from studio.pipeline.answers import Elsewhere, Examined, Layers, Robustness, Written
from studio.tasks import Measure

commands = typer.Typer()


class What(StrEnum):
    """What can be examined."""

    robustness = "robustness"
    layers = "layers"
    written = "written"


KINDS: dict[What, type[Examined]] = {What.robustness: Robustness, What.layers: Layers, What.written: Written}


@commands.command()
def examine(
    run_id: RunId,
    what: Annotated[
        What, typer.Argument(help="Worse and worse inputs, whose layers are alike, or what language models write.")
    ] = What.robustness,
    on: Annotated[str | None, typer.Option(metavar="DATA", help="Ask about the test rows of this one.")] = None,
    rule: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="With written: what this finds last in an answer, its first group, is compared with what it finds in "
            "the answer in the data. Such as '#### *(.+)'.",
        ),
    ] = "",
    tokens: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="With written: tokens that each model writes at most; 120.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the models of a finished run about worse inputs or other data, or compare their layers."""
    if rule and (what is not What.written or on is not None):
        raise ConfigError("--rule is for what language models write.", "Say: examine RUN written --rule PATTERN")
    if tokens is not None and (what is not What.written or on is not None):
        raise ConfigError("--tokens is for what language models write.", "Say: examine RUN written --tokens NUMBER")
    home, store = open_home()
    acts = acts_here(home, store)
    with busy("Asking the models"):
        if on is not None:
            found: Elsewhere | Examined = acts.examine_elsewhere(run_id, store.dataset(on).id)
        elif what is What.written:
            found = acts.examine_written(run_id, rule, tokens)
        else:
            found = acts.examine(run_id, KINDS[what])
    data = store.dataset_by_id(store.run(run_id).dataset_id)
    measure = tasks.get(data.task, data.multi_label).measures[0]
    if as_json:
        return print_json(_as_known(found, measure).model_dump(mode="json"))
    Console().print(table(found, measure))


def _as_known(found: Elsewhere | Examined, measure: Measure) -> Elsewhere | Examined:
    """The same, with measures as people know them."""
    if isinstance(found, Elsewhere):
        return found.model_copy(
            update={"values": {role: measure.as_known(*numbers) for role, numbers in found.values.items()}}
        )
    if not isinstance(found, Written):
        return found
    measures = {measure.name: measure for measure in written.MEASURES}
    models = [
        model.model_copy(
            update={"values": {name: measures[name].as_known(*numbers) for name, numbers in model.values.items()}}
        )
        for model in found.by
    ]
    return found.model_copy(update={"by": models, "against": [_known_pair(pair, measures) for pair in found.against]})


def _known_pair(pair: Comparison, measures: Mapping[str, Measure]) -> Comparison:
    difference, low, high = measures[pair.metric].as_known(pair.difference, pair.low, pair.high)
    return pair.model_copy(update={"difference": difference, "low": low, "high": high})


def table(found: Elsewhere | Examined, measure: Measure) -> Table:
    """What was found, as a terminal shows it; measures as people know them, not in per cent."""
    if isinstance(found, Layers):
        shown = Table("teacher's layer", *(f"student's {name}" for name in found.student))
        for name, alike in zip(found.teacher, found.alike, strict=True):
            shown.add_row(name, *("–" if value is None else f"{value:.3f}" for value in alike))
    elif isinstance(found, Elsewhere):
        shown = Table(plain(found.dataset), "value", "from", "to")
        for role, numbers in found.values.items():
            shown.add_row(role, *(f"{number:.4g}" for number in measure.as_known(*numbers)))
        if found.known:
            shown.caption = f"{found.known:,} test rows are left out: the models have seen them while they learned."
    elif isinstance(found, Written):
        shown = _written(found)
    else:
        assert isinstance(found, Robustness)
        shown = Table("", "model", "level: value")
        for curve in found.curves:
            points = (f"{level:g}: {value:.4g}" for level, value in zip(curve.levels, curve.values, strict=True))
            shown.add_row(corruptions.ALL[curve.corruption].title, curve.role, ", ".join(points))
    return shown


def _written(found: Written) -> Table:
    """Each measure of what each model wrote, and the student's difference from it."""
    shown = Table(f"{found.rows} texts", "model", "value", "from", "to", "student's difference")
    against = {(comparison.metric, comparison.second): comparison for comparison in found.against}
    for measure in written.MEASURES:
        for model in found.by:
            if measure.name not in model.values:
                continue
            pair = against.get((measure.name, model.role))
            differs = [] if pair is None else ["{:+.3g} ({:+.3g} to {:+.3g})".format(
                *measure.as_known(pair.difference, pair.low, pair.high))]  # fmt: skip
            numbers = (f"{number:.4g}" for number in measure.as_known(*model.values[measure.name]))
            shown.add_row(measure.title, model.role, *numbers, *differs)
    if found.left_out:
        shown.caption = f"The student before it learned did not write. {plain(found.left_out)}"
    for model in found.by:
        if model.cut_share is not None:
            shown.add_row(f"Cut off after {found.most:,} tokens", model.role, f"{model.cut_share:.0%}")
    for model in found.by:
        shown.add_row("Tokens a second", model.role, f"{model.tokens_per_second:.0f}")
    return shown
