"""How the command line talks: remarks on standard error, the answer on standard output."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from studio import harmless
from studio.store.rows import RunRow

console = Console(stderr=True)

LARGEST_ID = 2**63 - 1  # what SQLite can count to

RunId = Annotated[int, typer.Argument(metavar="RUN", min=1, max=LARGEST_ID, help="The number of the run.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on standard output, and nothing else.")]


@contextlib.contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Take the signals of a closing terminal, of `timeout` and of `kill` as Ctrl-C, so that the student is kept."""
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    signs = [sign for sign in known if signal.getsignal(sign) == signal.SIG_DFL]  # `nohup` has them ignored
    for sign in signs:
        signal.signal(sign, signal.default_int_handler)
    try:
        yield
    finally:
        for sign in signs:
            signal.signal(sign, signal.SIG_DFL)


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    start = time.monotonic()
    with console.status(f"{plain(what)} …"):
        yield
    console.print(f"[dim]{plain(what)}: {time.monotonic() - start:.1f} s[/]", highlight=False)


def say(note: str) -> None:
    """A remark, apart from the answer on standard output."""
    console.print(f"[dim]{plain(note)}[/]", highlight=False, soft_wrap=True)


def tell_verdict(run: RunRow) -> None:
    """The sentence, what it may hide, and what to do next."""
    typer.echo(shown_safely(run.verdict or ""))
    for caution in run.cautions:
        typer.echo(shown_safely(f"Caution ({caution.code}): {caution.sentence} {caution.cure}"))
    if run.next_step:
        settings = " ".join(f"--set {name}={value}" for name, value in run.next_step.changes.items())
        typer.echo(shown_safely(f"Next: {run.next_step.label}{f' ({settings})' if settings else ''}."))


def print_json(value: Any) -> None:
    """JSON that any program reads, whatever letters the terminal knows."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2) + "\n")


def plain(text: str) -> str:
    """A user's text without meaning to rich's markup or to the terminal."""
    return escape(shown_safely(text))


def shown_safely(text: str) -> str:
    """A user's text whose control characters cannot steer the terminal."""
    return harmless.in_terminal(text)


def command() -> str:
    """How this program was called."""
    return "distillation-studio" if Path(sys.argv[0]).stem == "distillation-studio" else "python -m studio"
