"""`disk`, `audit`: what is kept, and who did what."""

import dataclasses
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, plain, print_json, say
from studio.service import housekeeping

commands = typer.Typer()


@commands.command()
def disk(
    tidy: Annotated[
        bool, typer.Option("--tidy", help="Delete uploads, downloads and teacher outputs that had their time.")
    ] = False,
    delete_outputs: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete these teacher outputs; they are made anew when needed.")
    ] = None,
    delete_answers: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete what a teacher was asked for; it would be asked again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is kept on disk, the largest first, and what uses it."""
    home, store = open_home()
    acts = acts_here(home, store)
    freed = acts.delete_teacher_outputs(delete_outputs) if delete_outputs else 0
    freed += acts.delete_asked_answers(delete_answers) if delete_answers else 0
    freed += acts.tidy() if tidy else 0
    found = housekeeping.kept(store, home)
    if as_json:
        return print_json({"freed_bytes": freed, "kept": [dataclasses.asdict(entry) for entry in found]})
    table = Table("kind", "name", "what", "MB", "last used", "used by")
    for entry in found:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used_at))
        table.add_row(
            entry.kind, entry.name, plain(entry.title), f"{entry.bytes / 1e6:.1f}", day, ", ".join(entry.used_by)
        )
    Console().print(table)
    if freed:
        say(f"{freed / 1e6:.1f} MB are free again.")


@commands.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 200,
    all_of_them: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """List who did what, the newest first."""
    _, store = open_home()
    found = store.audit(None if all_of_them else limit)
    if as_json:
        return print_json([dataclasses.asdict(entry) for entry in found])
    table = Table("when", "who", "what", "about")
    for entry in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
        table.add_row(when, *map(plain, (entry.who, entry.what, entry.about)))
    Console().print(table)
