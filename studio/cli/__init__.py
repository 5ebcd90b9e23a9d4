"""The same product without a browser: `distillation-studio`, or `python -m studio` in a checkout."""

import logging
import sys

import typer

from studio.cli import asking, compare, examine, models, runs, server, sweep, training, upkeep
from studio.cli.terminal import console, plain
from studio.errors import StudioError, of_system
from studio.home import Home

app = typer.Typer(
    help="Shrink a model: distil a large teacher into a small student.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(asking.commands, name="data")
for _part in (training, runs, compare, examine, sweep, models, upkeep, server):
    app.add_typer(_part.commands)


_log = logging.getLogger(__name__)


def main() -> None:
    """Exit status 0 only on success; an error is one message on standard error, the rest of it stands in `cli.log`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    try:
        app()
    except (StudioError, OSError) as error:
        meant = of_system(error) if isinstance(error, OSError) else None
        console.print(f"[bold red]Error:[/] {plain(str(meant or error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  whatever it is, a user gets a sentence and the place of the details
        message = f"Something unexpected happened: {type(error).__name__}: {error}. {_kept_details()}"
        console.print(f"[bold red]Error:[/] {plain(message)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _kept_details() -> str:
    """Write the error being handled into the log of the home; a sentence that says where, or that it could not be."""
    home = Home.from_environment()
    file = home.root / "cli.log"
    try:
        home.make()
        _log.addHandler(logging.FileHandler(file, encoding="utf-8"))
    except OSError:
        return f"The details could not be written to {file}."
    _log.propagate = False
    _log.exception("python -m studio %s", " ".join(sys.argv[1:]))
    return f"The details are in {file}."
