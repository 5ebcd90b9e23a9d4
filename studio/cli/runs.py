"""`runs`, `show`, `take-back`, `delete`: what became of runs."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, RunId, command, plain, print_json, say, shown_safely, tell_verdict
from studio.store.rows import RunRow

commands = typer.Typer()


@commands.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 200,
    all_of_them: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    _, store = open_home()
    found = store.runs(None if all_of_them else limit, archived)
    if as_json:
        print_json([_run_facts(run) for run in found])
    else:
        table = Table("id", "status", "data", "teacher", "student", "verdict")
        for run in found:
            table.add_row(str(run.id), run.status, *map(plain, _summary(run)))
        Console().print(table)
    there = store.count_runs(archived)
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
    table = Table("model", "rows", "measure", "value", "95 % interval")
    for result in store.evaluations(run_id):
        interval = (
            f"{result.low:.4f} to {result.high:.4f}"
            if result.low is not None and result.high is not None
            else shown_safely(result.note)
        )
        table.add_row(result.role, result.split, result.metric, f"{result.value:,.4f}", interval)
    Console().print(table)
    if found["error"]:
        typer.echo(shown_safely(f"{found['error']['message']} {found['error']['cure'] or ''}"))
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


def _run_facts(run: RunRow) -> dict[str, Any]:
    config = run.config
    return {"id": run.id, "status": run.status, "dataset": config.dataset, "teacher": config.teacher,
            "student": config.student, "verdict": run.verdict}  # fmt: skip


def _summary(run: RunRow) -> tuple[str, str, str, str]:
    return run.config.dataset, run.config.teacher, run.config.student, run.verdict or run.message or ""
