"""How the command line talks: remarks on standard error, the answer on standard output."""

import contextlib
import json
import math
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from studio import tasks
from studio.config import plan
from studio.language import escaping
from studio.store.rows import RunRow

console = Console(stderr=True)

LARGEST_ID = 2**63 - 1  # what SQLite can count to

RunId = Annotated[int, typer.Argument(metavar="RUN", min=1, max=LARGEST_ID, help="The number of the run.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on standard output, and nothing else.")]


@contextlib.contextmanager
def ended_like_ctrl_c() -> Iterator[Callable[[], None]]:
    """Take the signals of a closing terminal, of `timeout` and of `kill` as Ctrl-C, so that the student is kept.

    Yields what raises `KeyboardInterrupt` once one of them has come: Python drops that error where it comes while an
    object is taken down, and whoever works for long asks again.
    """
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    usual = (signal.SIG_DFL, signal.default_int_handler)  # `nohup` has them ignored
    before = {sign: signal.getsignal(sign) for sign in known if signal.getsignal(sign) in usual}
    came: list[int] = []

    def interrupt(sign: int, frame: FrameType | None) -> NoReturn:
        came.append(sign)
        raise KeyboardInterrupt

    def ask() -> None:
        if came:
            raise KeyboardInterrupt

    for sign in before:
        signal.signal(sign, interrupt)
    try:
        yield ask
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


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
        settings = " ".join(map(_setting, run.next_step.changes.items()))
        typer.echo(shown_safely(f"Next: {run.next_step.label}{f' ({settings})' if settings else ''}."))


def _setting(named: tuple[str, Any]) -> str:
    """As a shell takes it.

    >>> print(_setting(("epochs", 8)), _setting(("plan", [{"do": "distill", "epochs": 8}])))
    --set epochs=8 --set 'plan=[{"do": "distill", "epochs": 8}]'
    """
    name, value = named
    return f"--set {shlex.quote(f'{name}={json.dumps(value) if isinstance(value, list) else value}')}"


def print_json(value: Any) -> None:
    """JSON that any program reads, whatever letters the terminal knows."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2) + "\n")


def plain(text: str) -> str:
    """A user's text without meaning to rich's markup or to the terminal."""
    return escape(shown_safely(text))


def amount(metric: str, value: float) -> str:
    """A measured number as the pages write it, in its unit.

    >>> amount("parameters", 3446278.0), amount("size_bytes", 16344.0), amount("latency_ms", 5.2518)
    ('3,446,278', '16.3 kB', '5.25 ms')
    >>> amount("accuracy", 0.9059), amount("latency_ratio", 38.36), amount("perplexity", 12.5)
    ('90.6 %', '38.4 times', '12.500')
    """
    if metric.endswith("_bytes"):
        return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"
    if metric.endswith(("_ms", "_ratio")):
        return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f} {'ms' if metric.endswith('_ms') else 'times'}" \
            if value > 0 else "0"  # fmt: skip
    if metric == "parameters":
        return f"{value:,.0f}"
    measures = (measure for task in tasks.TASKS.values() for measure in task.measures if measure.name == metric)
    is_share = next((measure.unit == "share" for measure in measures), False)
    return f"{100 * value:.1f} %" if is_share else f"{value:,.3f}"


def setting(value: Any) -> str:
    """A setting as it is written on the command line: steps of a plan and losses by their names.

    >>> setting([{"do": "prune", "ratio": 0.5}, {"do": "distill"}]), setting(None), setting([{"loss": "hint"}])
    ('Prune 50 % of neurons or channels, Distil', 'automatic', 'hint')
    >>> setting(0.1 + 0.2)
    '0.3'
    """
    if isinstance(value, list):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, dict) and "do" in value:
        return plan.title(plan.KINDS[value["do"]](**value))
    if isinstance(value, dict):
        weight = value.get("weight")
        return f"{value['loss']}:{weight:g}" if weight is not None else str(value["loss"])
    if isinstance(value, float):
        return f"{value:g}"
    return "automatic" if value is None else str(value)


def shown_safely(text: str) -> str:
    """A user's text whose control characters cannot steer the terminal."""
    return escaping.in_terminal(text)


def command() -> str:
    """How this program was called."""
    return "distillation-studio" if Path(sys.argv[0]).stem == "distillation-studio" else "python -m studio"
