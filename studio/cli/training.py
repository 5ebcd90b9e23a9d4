"""`demo`, `train`, `resume`: a run carried out in the terminal, with one bar for the whole of it."""

import contextlib
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from studio import events, tasks
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import (
    AsJson,
    RunId,
    busy,
    command,
    console,
    ended_like_ctrl_c,
    plain,
    print_json,
    tell_verdict,
)
from studio.config.reading import parse_yaml
from studio.errors import ConfigError, StudioError
from studio.executors import registry
from studio.home import Home
from studio.machine.identity import new_owner
from studio.pipeline.timetable import Whole, title
from studio.service.progress import whole
from studio.service.runs import carry
from studio.store.rows import RunRow
from studio.store.store import Store

commands = typer.Typer()


@commands.command()
def demo(kind: Annotated[Literal["text", "images"], typer.Argument()] = "text", as_json: AsJson = False) -> None:
    """Run a demo on data that comes with the studio: no network, no account, no GPU."""
    from studio.service import samples

    home, store = open_home()
    with busy("Preparing the demo data"):
        run = samples.start(acts_here(home, store), kind, owner=new_owner())
    carry_to_end(store, home, run, as_json)


@commands.command()
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
    home, store = open_home()
    registry.one_run()  # a wrong STUDIO_EXECUTOR, STUDIO_RAY_CORES … is told before there is a run
    wanted = parse_yaml(text(config) if config else "", settings or ())
    run = acts_here(home, store).start(wanted, key=f"cli-{uuid.uuid4()}", owner=new_owner())
    carry_to_end(store, home, run, as_json)


@commands.command()
def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Resume a run that was stopped or failed from where it was."""
    home, store = open_home()
    carry_to_end(store, home, acts_here(home, store).resume(run_id, owner=new_owner()), as_json)


def text(config: Path) -> str:
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


def carry_to_end(store: Store, home: Home, run: RunRow, as_json: bool) -> None:
    """Drive a run to its end with a progress bar; the exit status tells how it ended."""
    console.print(f"[dim]Run {run.id} has started; Ctrl-C stops it and keeps the student so far.[/]", highlight=False)
    with ended_like_ctrl_c() as ask, contextlib.suppress(KeyboardInterrupt):
        said = cast(Generator[events.Event, None, None], carry(store, home, run))
        with contextlib.closing(said):
            _draw(_heard(said, ask), as_json, store, run.id)
    done = store.run(run.id)
    if as_json:
        print_json({"run": done.id, "status": done.status})
    if done.status == "stopped":
        kept = f" Its student so far is kept: {command()} export {run.id}."
        raise StudioError(
            f"Run {run.id} was stopped.{kept if home.model(run.id, 'student').is_dir() else ''}",
            f"To resume: {command()} resume {run.id}.",
        )
    if not done.is_over:
        raise StudioError(f"Run {run.id} was taken back and goes on elsewhere.", "`runs` shows how far it is.")
    if done.status != "finished":
        raise StudioError(f"Run {run.id} {done.status}: {done.message}", done.cure or "")
    if not as_json:
        typer.echo(f"Run {done.id}:")
        tell_verdict(done)


def _heard(said: Iterator[events.Event], ask: Callable[[], None]) -> Iterator[events.Event]:
    """The same events, until whoever is to stop it has said so."""
    for event in said:
        ask()
        yield event


def _draw(said: Iterator[events.Event], quiet: bool, store: Store, run_id: int) -> None:
    """One bar for the whole run, the stage in words, and the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"),
               TextColumn("{task.fields[note]}"))  # fmt: skip
    names = ("loss", *{task.measures[0].name: None for task in tasks.TASKS.values()})
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("Starting", total=1.0, left="", note="")
        for event in said:
            match event:
                case events.PhaseStarted(phase=phase):
                    bars.update(bar, description=title(phase), note="")
                case events.Progress(detail=detail):
                    _move(bars, bar, whole(store, store.run(run_id)))
                    if detail:
                        bars.update(bar, note=plain(detail))
                case events.Metrics(values=values):
                    shown = [f"{name} {tasks.known_as(name, values[name]):.3f}" for name in names if name in values]
                    bars.update(bar, note="  ".join(shown))
                case events.PhaseFinished(phase=phase, seconds=seconds):
                    _move(bars, bar, whole(store, store.run(run_id)))
                    if not quiet:
                        bars.console.print(f"[dim]{title(phase)}: {seconds:.1f} s[/]", highlight=False)
                case events.Log(message=message) if not quiet:
                    bars.console.print(f"[dim]{plain(message)}[/]", highlight=False)


def _move(bars: Progress, bar: TaskID, done: Whole) -> None:
    left = "" if done.seconds_left is None else f"{timedelta(seconds=round(done.seconds_left))} left"
    bars.update(bar, completed=done.share, left=left)
