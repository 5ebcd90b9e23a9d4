"""`data answer`: prompts go to a teacher behind an address, its answers become a data set."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.data import DataPath, RefusedFile, coming, commands
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, busy, console, print_json, say, shown_safely
from studio.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio.data.refused import Refused
    from studio.service.answering import Asked, Price
    from studio.store.rows import DatasetRow

TELLS = 20
"""So many times it is told how far asking is."""


@commands.command("answer")
def data_answer(
    path: DataPath,
    address: Annotated[str, typer.Option(help="Where the teacher is asked, such as https://HOST/v1.")],
    model: Annotated[str, typer.Option(help="Its name there.")],
    name: Annotated[str | None, typer.Option(help="The name of the data set; the file's when left out.")] = None,
    key: Annotated[str, typer.Option(help="The variable of the environment that holds the key; it is not kept.")] = "",
    prompts: Annotated[str | None, typer.Option(help="The column of prompts. Guessed when left out.")] = None,
    system: Annotated[str, typer.Option(help="What the teacher is told before each prompt.")] = "",
    samples: Annotated[int, typer.Option(min=1, max=100, help="So many answers to each prompt.")] = 1,
    most_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")] = 256,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0: the likeliest answer.")] = 1.0,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Questions at a time.")] = 4,
    price_read: Annotated[float, typer.Option(min=0, help="What a million tokens cost that it reads.")] = 0.0,
    price_written: Annotated[float, typer.Option(min=0, help="What a million tokens cost that it writes.")] = 0.0,
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="No more tokens than that in all, about.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="No more money than that in all, about.")] = None,
    shortest: Annotated[int, typer.Option(min=1, help="Letters of an answer, at least.")] = 1,
    longest: Annotated[int | None, typer.Option(min=1, help="Letters of an answer, at most.")] = None,
    without: Annotated[str, typer.Option(help="A pattern that no answer may hold.")] = "",
    likely: Annotated[
        float | None, typer.Option(max=0, help="The least mean log-probability of its tokens, where it is told.")
    ] = None,
    cut: Annotated[bool, typer.Option("--cut", help="Take answers that the limit of tokens cut off, too.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed asks for the same answers.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking; --json needs it.")] = False,
    refused: RefusedFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a model behind an OpenAI-compatible address answer prompts; save prompts and answers as a data set.

    Every answer is kept at once: where it was stopped, or its budget is spent, the same command goes on. Read the rows
    with `data show` before training on them.
    """
    from studio.service import answering, library, sources
    from studio.service.answering import Answers, Budget, Price, Rules
    from studio.service.endpoint import Endpoint

    if as_json and not yes:
        raise ConfigError("With --json nobody is asked whether to begin, and asking may cost money.", "Add --yes.")
    home, store = open_home()
    teacher = Endpoint(address.rstrip("/"), model, key, most_tokens, temperature, system)
    rules = Rules(shortest, longest, answering.checked_pattern(without), likely, cut=cut)
    with busy(f"Reading {Path(path).name}"):
        found = answering.prompts_of(sources.bring(path, tell=coming()), prompts).times(samples)
    price, limit = Price(price_read, price_written), Budget(budget_tokens, budget)
    answers = Answers()
    acts, every = acts_here(home, store), max(1, len(found.asked) // TELLS)
    with closing(acts.have_answered(found.asked, teacher, answers, at_once=at_once, price=price, budget=limit,
                                    seed=seed)) as progress:  # fmt: skip
        last = next(progress)
        left = [prompt for number, prompt in enumerate(found.asked) if number not in answers.said]
        if not as_json:
            _tell_before(answering.expected(left, teacher), price, len(left), last)
        if left and not yes and not typer.confirm("Ask?", default=True):
            raise typer.Abort
        for last in progress:
            if not as_json and last.done % every == 0:
                console.print(f"[dim]{_so_far(last)}[/]", highlight=False)
    table, out = answering.table(found, answers, rules)
    with busy("Saving"):
        added = acts.add(library.Files(table), name=name, like=library.name_like(path), task=answering.LEARNED)
    if refused:
        library.write_refused(out, refused)
    if as_json:
        return print_json(_facts(last, out, added.row.id))
    _tell_after(last, out, added.row)


def _tell_before(tokens: tuple[int, int], price: "Price", left: int, first: "Asked") -> None:
    known = f"{first.known:,} are answered already; " if first.known else ""
    cost = price.of(*tokens)
    money = f", at most {cost:,.2f} in money" if cost else ""
    say(f"{known}{left:,} prompts are to be asked: about {tokens[0]:,} tokens to read, at most {tokens[1]:,} to write"
        f"{money}.")  # fmt: skip


def _tell_after(last: "Asked", out: "Sequence[Refused]", saved: "DatasetRow") -> None:
    for one in out:
        say(str(one.told))
    if last.is_over_budget:
        say(f"The budget is spent: {last.done:,} of {last.total:,} are answered. With a larger one it goes on.")
    if last.is_estimated:
        say("This server counts no tokens: they are estimated from the letters.")
    rows = ", ".join(f"{count:,} {split}" for split, count in saved.splits.items())
    typer.echo(shown_safely(f"{_so_far(last)} Saved as data set {saved.id}, {saved.name!r}: {rows} rows."))


def _facts(last: "Asked", out: "Sequence[Refused]", dataset_id: int) -> dict[str, object]:
    """What was asked, what it cost and what was left out, for programs."""
    return {"answered": last.done, "refused": last.refused, "prompts": last.total, "known": last.known,
            "tokens": last.tokens, "tokens_estimated": last.is_estimated,
            "money": round(last.money, 6), "over_budget": last.is_over_budget,
            "left_out": {one.reason: one.count for one in out}, "dataset": dataset_id}  # fmt: skip


def _so_far(asked: "Asked") -> str:
    money = f", {asked.money:,.2f} in money" if asked.money else ""
    return f"{asked.done:,} of {asked.total:,} are answered, {asked.tokens:,} tokens{money} now."
