"""`data answer`: prompts go to a teacher, behind an address or of this machine; its answers become a data set."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.data import DataPath, RefusedFile, coming, commands
from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, busy, print_json, say, shown_safely
from studio.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from studio.data.refused import Refused
    from studio.service.answer_record import Teacher
    from studio.service.answering import Answers, Asked, Price, Prompt
    from studio.store.rows import DatasetRow

TELLS = 20
"""So many times it is told how far asking is."""


Address = Annotated[str, typer.Option(help="Where a teacher elsewhere is asked, such as https://HOST/v1.")]

ModelOfHere = Annotated[
    str,
    typer.Option(
        "--teacher", help="A model of this machine in place of an address: folder:PATH, hub:ORG/NAME or run:ID/teacher."
    ),
]

ModelName = Annotated[str, typer.Option(help="Its name there.")]

NewName = Annotated[str | None, typer.Option(help="The name of the data set; the file's when left out.")]

Key = Annotated[str, typer.Option(help="The variable of the environment that holds the key; it is not kept.")]

PromptColumn = Annotated[str | None, typer.Option(help="The column of prompts. Guessed when left out.")]

System = Annotated[str, typer.Option(help="What the teacher is told before each prompt.")]

Samples = Annotated[int, typer.Option(min=1, max=100, help="So many answers to each prompt.")]

MostTokens = Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")]

Temperature = Annotated[float, typer.Option(min=0, max=2, help="0: the likeliest answer.")]

AtOnce = Annotated[
    int | None, typer.Option(min=1, max=64, help="Questions at a time: 4, of a model of this machine 16.")
]

PriceRead = Annotated[float, typer.Option(min=0, help="What a million tokens cost that it reads.")]

PriceWritten = Annotated[float, typer.Option(min=0, help="What a million tokens cost that it writes.")]

BudgetTokens = Annotated[int | None, typer.Option(min=1, help="No more tokens than that in all, about.")]

BudgetMoney = Annotated[float | None, typer.Option(min=0, help="No more money than that in all, about.")]

Shortest = Annotated[int, typer.Option(min=1, help="Letters of an answer, at least.")]

Longest = Annotated[int | None, typer.Option(min=1, help="Letters of an answer, at most.")]

Without = Annotated[str, typer.Option(help="A pattern that no answer may hold.")]

Likely = Annotated[
    float | None, typer.Option(max=0, help="The least mean log-probability of its tokens, where it is told.")
]

Cut = Annotated[bool, typer.Option("--cut", help="Take answers that the limit of tokens cut off, too.")]

AskingSeed = Annotated[int, typer.Option(min=0, help="The same seed asks for the same answers.")]

Yes = Annotated[bool, typer.Option("--yes", help="Begin without asking; --json needs it.")]


@commands.command("answer")
def data_answer(
    path: DataPath,
    address: Address = "",
    model: ModelName = "",
    teacher: ModelOfHere = "",
    name: NewName = None,
    key: Key = "",
    prompts: PromptColumn = None,
    system: System = "",
    samples: Samples = 1,
    most_tokens: MostTokens = 256,
    temperature: Temperature = 1.0,
    at_once: AtOnce = None,
    price_read: PriceRead = 0.0,
    price_written: PriceWritten = 0.0,
    budget_tokens: BudgetTokens = None,
    budget: BudgetMoney = None,
    shortest: Shortest = 1,
    longest: Longest = None,
    without: Without = "",
    likely: Likely = None,
    cut: Cut = False,
    seed: AskingSeed = 0,
    yes: Yes = False,
    refused: RefusedFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a large model answer prompts, one behind an OpenAI-compatible address or one of this machine; save prompts
    and answers as a data set.

    Every answer is kept at once: where it was stopped, or its budget is spent, the same command goes on. Read the rows
    with `data show` before training on them.
    """
    from studio.service import answering, library, sources
    from studio.service.answering import Answers, Budget, Price, Rules
    from studio.service.endpoint import Endpoint

    if as_json and not yes:
        raise ConfigError("With --json nobody is asked whether to begin, and asking may cost money.", "Add --yes.")
    if bool(teacher) == bool(address and model):
        raise ConfigError("Prompts are answered by --teacher, or by the --model at an --address.", "Name one of them.")
    acts = acts_here(*open_home())
    drawn: dict[str, Any] = {"most_tokens": most_tokens, "temperature": temperature, "system": system}
    asked = acts.model_here(teacher, **drawn) if teacher else Endpoint(address.rstrip("/"), model, key, **drawn)
    rules = Rules(shortest, longest, answering.checked_pattern(without), likely, cut=cut)
    with busy(f"Reading {Path(path).name}"):
        found = answering.prompts_of(sources.bring(path, tell=coming()), prompts).times(samples)
    answers, price, limit = Answers(), Price(price_read, price_written), Budget(budget_tokens, budget)
    together = {} if at_once is None else {"at_once": at_once}
    asking = acts.have_answered(found.asked, asked, answers, price=price, budget=limit, seed=seed, **together)
    with closing(asking):
        before = partial(_before, found.asked, answers, asked, price)
        last = _followed(asking, before, yes, _nothing if as_json else say)
    table, out = answering.table(found, answers, rules)
    like = name or library.name_like(path)
    taken = {row.name for row in acts.store.datasets()}
    own = None if name in taken else name  # it may be that of fewer answers
    with busy("Saving"):
        saved = acts.add(library.Files(table), name=own, like=like, task=answering.LEARNED).row
    if refused:
        library.write_refused(out, refused)
    if as_json:
        return print_json(_facts(last, out, saved.id))
    _tell_after(last, out, saved)


def _nothing(note: str) -> None:
    """Programs read no remarks."""


def _before(prompts: "Sequence[Prompt]", answers: "Answers", teacher: "Teacher", price: "Price", first: "Asked") -> str:
    """What is left to ask, and what it will take."""
    from studio.service import answering

    left = [prompt for number, prompt in enumerate(prompts) if number not in answers.said]
    read, written = answering.expected(left, teacher)
    known = f"{first.known:,} are answered already; " if first.known else ""
    cost = price.of(read, written)
    money = f", at most {cost:,.2f} in money" if cost else ""
    return (f"{known}{len(left):,} prompts are to be asked: about {read:,} tokens to read, at most {written:,} to write"
            f"{money}.")  # fmt: skip


def _followed(
    asking: "Iterator[Asked]", before: Callable[["Asked"], str], yes: bool, remark: Callable[[str], None]
) -> "Asked":
    """Say what it will take, ask whether to begin, and tell how far it is; returns how far it came."""
    first = last = next(asking)
    remark(before(first))
    if first.known < first.total and not yes:
        typer.confirm("Ask?", default=True, abort=True)
    every = max(1, first.total // TELLS)
    for last in asking:
        if last.done % every == 0:
            remark(_so_far(last))
    return last


def _tell_after(last: "Asked", out: "Sequence[Refused]", saved: "DatasetRow") -> None:
    for refused in out:
        say(str(refused.told))
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
            "left_out": {refused.reason: refused.count for refused in out}, "dataset": dataset_id}  # fmt: skip


def _so_far(asked: "Asked") -> str:
    money = f", {asked.money:,.2f} in money" if asked.money else ""
    return f"{asked.done:,} of {asked.total:,} are answered, {asked.tokens:,} tokens{money} now."
