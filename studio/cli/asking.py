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
    from studio.service.acts import Acts
    from studio.service.answer_record import Teacher
    from studio.service.answering import Prompts
    from studio.service.asking import Answers, Asked, Budget, Price, Prompt
    from studio.service.new_prompts import Growing, Growth
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

NewPrompts = Annotated[
    int,
    typer.Option(
        "--new-prompts",
        min=0,
        max=10_000,
        help="So many prompts the teacher writes itself first, after those of the file.",
    ),
]

NewWithout = Annotated[str, typer.Option(help="A pattern that no new prompt may hold.")]

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
    new_prompts: NewPrompts = 0,
    new_without: NewWithout = "",
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

    With --new-prompts the prompts of the file are examples, two or more, after which the teacher writes others itself.
    Every answer is kept at once: where it was stopped, or its budget is spent, the same command goes on. Read the rows
    with `data show` before training on them.
    """
    from studio.service import answering, library, patterns, sources
    from studio.service.answering import Rules
    from studio.service.asking import Answers, Budget, Price
    from studio.service.endpoint import Endpoint
    from studio.service.new_prompts import Growth

    if as_json and not yes:
        raise ConfigError("With --json nobody is asked whether to begin, and asking may cost money.", "Add --yes.")
    if bool(teacher) == bool(address and model):
        raise ConfigError("Prompts are answered by --teacher, or by the --model at an --address.", "Name one of them.")
    acts = acts_here(*open_home())
    drawn: dict[str, Any] = {"most_tokens": most_tokens, "temperature": temperature, "system": system}
    asked = acts.model_here(teacher, **drawn) if teacher else Endpoint(address.rstrip("/"), model, key, **drawn)
    rules = Rules(shortest, longest, patterns.checked(without), likely, cut=cut)
    with busy(f"Reading {Path(path).name}"):
        found = answering.prompts_of(sources.bring(path, tell=coming()), prompts)
    answers, price, limit = Answers(), Price(price_read, price_written), Budget(budget_tokens, budget)
    together = {} if at_once is None else {"at_once": at_once}
    remark, grown = _nothing if as_json else say, None
    if new_prompts:
        grown = Growth(found, new_prompts, patterns.checked(new_without), seed)
        found, limit = _grown(acts, grown, asked, price, limit, yes, samples, remark, together)
        yes = True  # it was told what all of it may take
    found = found.times(samples)
    asking = acts.have_answered(found.asked, asked, answers, price=price, budget=limit, seed=seed, **together)
    with closing(asking):
        before = partial(_before, found.asked, answers, asked, price)
        last = _followed(asking, before, yes, remark)
    table, out = answering.table(found, answers, rules)
    out = (*grown.left_out, *out) if grown else out
    like = name or library.name_like(path)
    taken = {row.name for row in acts.store.datasets()}
    own = None if name in taken else name  # it may be that of fewer answers
    with busy("Saving"):
        saved = acts.add(library.Files(table), name=own, like=like, task=answering.LEARNED).row
    if refused:
        library.write_refused(out, refused)
    if as_json:
        return print_json(_facts(last, out, saved.id) | (_facts_of_new(grown) if grown else {}))
    _tell_after(last, out, saved)


def _grown(
    acts: "Acts", growth: "Growth", teacher: "Teacher", price: "Price", limit: "Budget", yes: bool, samples: int,
    remark: Callable[[str], None], together: dict[str, Any],
) -> tuple["Prompts", "Budget"]:  # fmt: skip
    """The examples and the new prompts, and what is left of the budget. Say what it will take, ask whether to begin,
    tell how far it is."""
    from studio.service import new_prompts

    read, written = new_prompts.expected(growth, teacher, samples)
    cost = price.of(read, written)
    money = f", {cost:,.2f} in money" if cost else ""
    remark(
        f"{growth.wanted:,} new prompts are to be written, in {growth.fewest_requests:,} to {growth.most_requests:,} "
        f"requests, and answered: at most about {read:,} tokens to read and {written:,} to write{money}."
    )
    if not yes:
        typer.confirm("Ask?", default=True, abort=True)
    told = 0
    with closing(acts.have_written(growth, teacher, price=price, budget=limit, **together)) as progress:
        for state in progress:
            if state.requests > told:
                told = state.requests
                remark(_so_many(state))
    remark(growth.note)
    return growth.prompts(), limit.without(*growth.answers.taken(price))


def _so_many(state: "Growing") -> str:
    money = f", {state.money:,.2f} in money" if state.money else ""
    return (f"{state.done:,} of {state.wanted:,} new prompts are there after {state.requests:,} requests, "
            f"{state.left_out:,} are left out, {state.tokens:,} tokens{money} now.")  # fmt: skip


def _nothing(note: str) -> None:
    """Programs read no remarks."""


def _before(prompts: "Sequence[Prompt]", answers: "Answers", teacher: "Teacher", price: "Price", first: "Asked") -> str:
    """What is left to ask, and what it will take."""
    from studio.service import asking

    left = [prompt for number, prompt in enumerate(prompts) if number not in answers.said]
    read, written = asking.expected(left, teacher)
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


def _facts_of_new(growth: "Growth") -> dict[str, object]:
    """Of new prompts, for programs."""
    return {"new_prompts": len(growth.new), "new_prompts_wanted": growth.wanted, "requests": growth.requests}


def _so_far(asked: "Asked") -> str:
    money = f", {asked.money:,.2f} in money" if asked.money else ""
    return f"{asked.done:,} of {asked.total:,} are answered, {asked.tokens:,} tokens{money} now."
