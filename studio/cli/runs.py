"""`runs`, `show`, `name`, `note`, `tag`, `take-back`, `delete`: what became of runs, and what is written on them."""

import dataclasses
import textwrap
from pathlib import PurePath
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from studio import tasks
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, RunId, amount, command, plain, print_json, say, shown_safely, tell_verdict
from studio.store import run_list
from studio.store.rows import Summary
from studio.store.run_list import Listed, Wanted

commands = typer.Typer()


@commands.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 200,
    all_of_them: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive, too.")] = False,
    search: Annotated[str, typer.Option(help="Every word is in the name, note, tags, data, models or verdict.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Those that have this tag; as often as needed.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="queued, running, finished, paused, stopped, failed; as often as needed.")
    ] = None,
    sort: Annotated[str, typer.Option(help=f"{', '.join(run_list.ORDERS)}.")] = "newest",
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    _, store = open_home()
    wanted = Wanted(search, states=state or (), tags=tag or (), archived=archived, order=sort)
    found = store.find_runs(wanted, None if all_of_them else limit)
    measures = {row.id: tasks.get(row.task, row.multi_label).measures[0].name for row in store.datasets()}
    if as_json:
        print_json([_run_facts(listed, measures.get(listed.run.dataset_id)) for listed in found])
    else:
        table = Table("id", "status", "run", "teacher", "student", "reached", "verdict")
        for listed in found:
            run, cells = listed.run, _summary(listed, measures.get(listed.run.dataset_id))
            table.add_row(str(run.id), run.status, *map(plain, cells))
        Console().print(table)
    there = store.count_found(wanted)
    if len(found) < there:
        say(f"{len(found):,} of {there:,}; --limit, --all.")


@commands.command()
def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Show one run: status, phases, results, verdict."""
    _, store = open_home()
    found = store.show(run_id)
    if as_json:
        return print_json(found)
    typer.echo(f"Run {run_id}: {found['status']}")
    table = Table("model", "rows", Column("measure", overflow="fold"), "value", "95 % interval")
    for result in store.evaluations(run_id):
        interval = shown_safely(result.note)
        if result.low is not None and result.high is not None:
            low, high = sorted(tasks.known_as(result.metric, end) for end in (result.low, result.high))
            interval = f"{amount(result.metric, low)} to {amount(result.metric, high)}"
        value = tasks.known_as(result.metric, result.value)
        table.add_row(result.role, result.split, result.metric, amount(result.metric, value), interval)
    Console().print(table)
    if found["error"]:
        typer.echo(shown_safely(f"{found['error']['message']} {found['error']['cure'] or ''}"))
    for step in store.stage_results(run_id):
        right = (
            f"{step.metric} {amount(step.metric, tasks.known_as(step.metric, step.value))} on {step.n} validation rows"
        )
        typer.echo(f"{step.title}: {right}, {step.size_bytes / 1e6:.2f} MB, {step.latency_ms:.2f} ms a row")
    for seed in store.seeds(run_id):
        reached = ", ".join(
            f"{evaluation.role} {amount(evaluation.metric, tasks.known_as(evaluation.metric, evaluation.value))}"
            for evaluation in store.evaluations_of_seeds(run_id)
            if (evaluation.seed, evaluation.metric, evaluation.split) == (seed.seed, seed.metric, "test")
        )
        typer.echo(f"Seed {seed.seed}: {seed.metric} {reached}{'; its student is exported' if seed.exported else ''}")
    if found["choice"]:
        chosen = found["choice"]
        typer.echo(f"Chosen: temperature {chosen['temperature']:g}, alpha {chosen['alpha']:g}. {chosen['reason']}")
    if found["verdict"]:
        tell_verdict(store.run(run_id))


@commands.command("take-back")
def take_back(run_id: RunId, as_json: AsJson = False) -> None:
    """Queue a run again whose machine or container is gone. If its process lives after all, it ends there."""
    home, store = open_home()
    waits = store.run(run_id).status == "queued"
    run = store.run(run_id) if waits else acts_here(home, store).take_back(run_id)
    if as_json:
        return print_json({"run": run.id, "status": run.status})
    typer.echo(f"Run {run.id} is {run.status}. To carry it here: {command()} resume {run.id}.")


@commands.command()
def delete(run_id: RunId, as_json: AsJson = False) -> None:
    """Delete a run that is over, with its models. Refused where another run uses one of them."""
    freed = acts_here(*open_home()).delete_run(run_id)
    if as_json:
        return print_json({"run": run_id, "freed_bytes": freed})
    typer.echo(f"Deleted run {run_id}; {freed / 1e6:.1f} MB are free again.")


@commands.command()
def name(
    run_id: RunId, text: Annotated[str, typer.Argument(help='What it is called; "" takes the name away.')]
) -> None:
    """Give a run a name."""
    run = acts_here(*open_home()).describe(run_id, name=text)
    typer.echo(shown_safely(f"Run {run.id} is called {run.name!r} now." if run.name else f"Run {run.id} has no name."))


@commands.command()
def note(
    run_id: RunId, text: Annotated[str, typer.Argument(help='What is to be remembered; "" takes the note away.')]
) -> None:
    """Write a note on a run, in place of the one that is there."""
    run = acts_here(*open_home()).describe(run_id, note=text)
    typer.echo(f"Run {run.id} {'has this note now' if run.note else 'has no note'}.")


@commands.command()
def tag(
    run_id: RunId,
    tags: Annotated[list[str], typer.Argument(help="The tags to add.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags away in place of adding them.")] = False,
) -> None:
    """Put tags on a run, or take them away."""
    home, store = open_home()
    before = store.run(run_id).tags
    wanted = [kept for kept in before if kept not in tags] if remove else [*before, *tags]
    run = acts_here(home, store).describe(run_id, tags=wanted)
    typer.echo(shown_safely(f"Tags of run {run.id}: {', '.join(run.tags) or 'none'}."))


def _run_facts(listed: Listed, measure: str | None) -> dict[str, Any]:
    run, config = listed.run, listed.run.config
    return {"id": run.id, "status": run.status, "name": run.name, "note": run.note, "tags": list(run.tags),
            "dataset": config.dataset, "teacher": config.teacher, "student": config.student, "verdict": run.verdict,
            "measure": measure, "summary": listed.summary and _as_known(listed.summary, measure)}  # fmt: skip


def _as_known(summary: Summary, measure: str | None) -> dict[str, Any]:
    """What the models reached as people know it, the smaller end of the interval first."""
    known = dataclasses.asdict(summary)
    if measure is not None and tasks.known_as(measure, 1.0) < 0:
        known |= {"low": known["high"], "high": known["low"]}
        reached = ("teacher", "student", "control", "low", "high")
        known |= {name: -known[name] for name in reached if known[name] is not None}
    return known


def _summary(listed: Listed, measure: str | None) -> tuple[str, str, str, str, str]:
    """A run in a few words: what its student reached, and what that was worth, else why there is nothing."""
    run, summary, reached = listed.run, listed.summary, ""
    if measure and summary and summary.student is not None:
        reached = amount(measure, tasks.known_as(measure, summary.student))
    said = (run.outcome or "no_control").replace("_", " ") if run.verdict else textwrap.shorten(run.message or "", 60)
    return run.name or run.config.dataset, _short(run.config.teacher), _short(run.config.student), reached, said


def _short(reference: str) -> str:
    """A model as a narrow column can show it.

    >>> _short("folder:/models/minilm-l6"), _short("builtin/cnn-tiny"), _short("run:3/teacher")
    ('minilm-l6', 'cnn-tiny', 'run:3/teacher')
    """
    return PurePath(reference).name if reference.startswith(("folder:", "builtin/")) else reference
