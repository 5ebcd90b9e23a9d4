"""`sweep`, `sweeps`: a search for settings, carried out here, and those that there are."""

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, command, ended_like_ctrl_c, plain, print_json, say, shown_safely
from studio.cli.training import text
from studio.config.reading import parse_yaml
from studio.config.sweep import SweepConfig, parse_sweep, parse_sweep_yaml
from studio.errors import ConfigError, StudioError
from studio.service import sweeps

commands = typer.Typer()


@commands.command()
def sweep(
    config: Annotated[Path | None, typer.Option(help="A YAML file: base, search, trials, target.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="name=value of what all trials share.")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(help="name=1..10, name=1e-5..1e-3:log or name=a,b: what is tried; as often as needed."),
    ] = None,
    trials: Annotated[int, typer.Option(min=2, help="So many.")] = 20,
    target: Annotated[str, typer.Option(help="Such as: best under 5 ms and 10 MB.")] = "best",
    resume: Annotated[int | None, typer.Option(metavar="SEARCH", help="Go on with this search instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for the best settings: trials are measured on validation rows, the winner alone on the test rows.

    A search that is stopped goes on with --resume, or when the studio is open: an open one takes trials, too.
    """
    home, store = open_home()
    acts = acts_here(home, store)
    if resume is not None:
        row = store.sweep(resume)
        if row.status == "paused":
            acts.pause_search(row.id, False)
    else:
        row = acts.search(_wanted(config, settings or [], search or [], trials, target), key=f"cli-{uuid.uuid4()}")
    say(f"Search {row.id}. Ctrl-C stops it here; to go on: {command()} sweep --resume {row.id}")
    with ended_like_ctrl_c():
        for run in sweeps.carried(home, store, row.id):
            say(f"{run.name}: {run.verdict or run.message or run.status}")
    row = store.sweep(row.id)
    found = sweeps.facts(store, row)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if row.status == "failed" or row.winner is None:
        raise StudioError(row.message or f"Search {row.id} has no winner.", "")


@commands.command("sweeps")
def list_sweeps(as_json: AsJson = False) -> None:
    """List the searches for settings, the newest first."""
    _, store = open_home()
    rows = store.sweeps()
    if as_json:
        return print_json([sweeps.facts(store, row) for row in rows])
    table = Table("id", "status", "data", "searched", "trials", "winner")
    for row in rows:
        trials = f"{len(store.trials(row.id))} of {row.config.trials}"
        names = ", ".join(row.config.search)
        table.add_row(str(row.id), row.status, plain(row.config.base.dataset), names, trials,
                      f"run {row.winner}" if row.winner else plain(row.message))  # fmt: skip
    Console().print(table)


def _wanted(config: Path | None, settings: list[str], search: list[str], trials: int, target: str) -> SweepConfig:
    """The search that is asked for: a file, or the options."""
    if config is not None:
        if settings or search:
            raise ConfigError("--set and --search cannot change a file.", "Write them into it, or leave it out.")
        return parse_sweep_yaml(text(config))
    values: dict[str, Any] = {}
    for item in search:
        name, equals, tried = item.partition("=")
        if not equals:
            raise ConfigError(f"--search needs name=values, got {item!r}.", "Write for example --search alpha=0.1..0.9")
        values[name.strip()] = tried
    return parse_sweep({"base": parse_yaml("", settings), "search": values, "trials": trials, "target": target})


def _show(found: dict[str, Any]) -> None:
    names = list(found["trials"][0]["params"]) if found["trials"] else []
    table = Table("trial", "run", *names, found["measure"], "ms a row", "bytes", "")
    for trial in found["trials"]:
        numbers = [trial["value"], trial["latency_ms"], trial["size_bytes"]]
        shown = ["" if number is None else f"{number:,.4g}" for number in numbers]
        params = [
            plain(f"{value:.4g}" if isinstance(value, float) else str(value)) for value in trial["params"].values()
        ]
        note = "best" if trial["number"] == found["best"] else "stopped early" if trial["pruned"] else ""
        note = note or ("" if trial["keeps_to_target"] else "over the target")
        table.add_row(str(trial["number"] + 1), str(trial["run"]), *params, *shown, note)
    Console().print(table)
    if found["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found["importance"].items())
        typer.echo(shown_safely(f"What decided: {shares}."))
    if found["winner"]:
        typer.echo(f"The winner is run {found['winner']}; it alone has read the test rows.")
