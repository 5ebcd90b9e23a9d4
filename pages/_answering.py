"""A large model behind an address answers prompts that a person brings; prompts and answers become a data set."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import streamlit as st

from pages._language import N_, _, counted, retell
from pages._studio import errors_shown, get_acts
from pages._words import escape
from studio.data.refused import Refused
from studio.service import answering, asking, library, new_prompts, patterns
from studio.service.answer_record import Teacher
from studio.service.answering import Prompts, Rules
from studio.service.asking import Answers, Asked, Budget, Price
from studio.service.endpoint import Endpoint
from studio.service.new_prompts import Growing, Growth

UploadBox = Callable[[str, str, str], tuple[Any, tuple[Any, ...]] | None]
MOST_TOKENS, MOST_IN_ALL = 256, 1_000_000
EXAMPLE = "https://HOST/v1"
WHAT = N_(
    "A large model answers each prompt once; prompts and answers become a data set from which a small model learns to "
    "write."
)
ELSEWHERE, HERE = N_("At an address"), N_("On this machine")
WHERE = {
    ELSEWHERE: N_(
        "A service, vLLM, llama.cpp or Ollama, behind an OpenAI-compatible address. The prompts leave this machine for "
        "that address; the key stays in a variable of the environment."
    ),
    HERE: N_("A model of the Hugging Face Hub, a folder or an earlier run. Nothing leaves this machine."),
}


def section(upload_box: UploadBox) -> None:
    """Who may see what the studio's machine can reach, and the keys that it holds, may ask: an admin."""
    if not get_acts().person.has("admin"):
        return
    with st.expander(_("Let a large model answer your prompts"), icon=":material/forum:", key="fold-answering"):
        st.caption(_(WHAT))
        found = upload_box(_("Prompts"), "answering-file", _("A table with a column of prompts, or of chats."))
        where = st.segmented_control(
            _("Where the model is"), list(WHERE), default=ELSEWHERE, format_func=_, key="answering-where", required=True
        )
        st.caption(_(WHERE[where]))
        teacher, price, limit = _of_here() if where == HERE else _elsewhere()
        wanted, without = _new()
        is_cut = st.checkbox(_("Take answers that the limit of tokens cut off, too"), key="answering-cut")
        if found is None or teacher is None:
            return
        with errors_shown():
            prompts = answering.prompts_of(found[0])
            growth = Growth(prompts, wanted, patterns.checked(without)) if wanted else None
            if growth is None:
                before(prompts, teacher, price)
            else:
                before_writing(growth, teacher, price)
            if st.button(_("Have them answered"), type="primary", icon=":material/play_arrow:", key="answering-ask"):
                if growth is not None:
                    prompts, limit = write(growth, teacher, price, limit)
                ask(prompts, teacher, price, limit, Rules(cut=is_cut))


def _elsewhere() -> tuple[Teacher | None, Price, Budget]:
    """Who is asked behind an address, None where that is not said yet; what it costs and may cost."""
    left, right = st.columns(2)
    address = left.text_input(_("Address of the model"), placeholder=EXAMPLE, key="answering-address")
    model = right.text_input(_("Name of the model there"), key="answering-model")
    key = left.text_input(_("Variable that holds the key"), placeholder="OPENAI_API_KEY", key="answering-key",
                          help=_("It must end in _API_KEY. Empty: no key is sent."))  # fmt: skip
    most = right.number_input(_("Tokens of an answer, at most"), 1, 100_000, MOST_TOKENS, key="answering-most")
    read = left.number_input(_("Price of a million tokens read"), 0.0, key="answering-read")
    price = Price(read, right.number_input(_("Price of a million tokens written"), 0.0, key="answering-written"))
    tokens = left.number_input(_("Tokens in all, at most"), 1, 10**10, MOST_IN_ALL, key="answering-tokens")
    money = right.number_input(_("Money in all, at most"), 0.0, value=None, key="answering-money",
                               placeholder=_("no limit"))  # fmt: skip
    is_said = address.strip() and model.strip()
    teacher = Endpoint(address.strip().rstrip("/"), model.strip(), key.strip(), int(most)) if is_said else None
    return teacher, price, Budget(int(tokens), money)


def _of_here() -> tuple[Teacher | None, Price, Budget]:
    """Which model of this machine is asked; it costs nothing."""
    left, right = st.columns(2)
    reference = left.text_input(_("Model"), placeholder="hub:ORG/NAME", key="answering-here",
                                help=_("hub:ORG/NAME, folder:PATH or run:ID/teacher."))  # fmt: skip
    most = right.number_input(_("Tokens of an answer, at most"), 1, 100_000, MOST_TOKENS, key="answering-most-here")
    with errors_shown():
        known = get_acts().model_here(reference.strip(), most_tokens=int(most)) if reference.strip() else None
        return known, Price(), Budget()
    return None, Price(), Budget()


def _new() -> tuple[int, str]:
    """How many prompts the model writes itself, and what none of them may hold."""
    left, right = st.columns(2)
    wanted = left.number_input(
        _("New prompts"), 0, new_prompts.MOST, 0, key="answering-new",
        help=_("So many prompts the model writes itself, after yours, which are its examples: five to twenty are good. "
               "It answers yours and its own."),
    )  # fmt: skip
    if not wanted:
        return 0, ""
    without = right.text_input(_("No new prompt may hold (a regular expression)"), key="answering-new-without")
    return int(wanted), without


def before_writing(growth: Growth, teacher: Teacher, price: Price) -> None:
    """What new prompts and their answers will take, told before anything is asked."""
    read, written = new_prompts.expected(growth, teacher)
    text = _(
        "{number} new prompts are to be written, in {fewest} to {most} requests, and answered: at most about {read} "
        "tokens to read and {written} to write.",
        number=f"{growth.wanted:,}", fewest=f"{growth.fewest_requests:,}", most=f"{growth.most_requests:,}",
        read=f"{read:,}", written=f"{written:,}",
    )  # fmt: skip
    _told(text, growth.examples, price.of(read, written))


def write(growth: Growth, teacher: Teacher, price: Price, budget: Budget) -> tuple[Prompts, Budget]:
    """Have new prompts written, tell how far it is and what is left out; returns the examples with them, and what is
    left of the budget."""
    bar = st.progress(0.0)
    with closing(get_acts().have_written(growth, teacher, price=price, budget=budget)) as progress:
        for state in progress:
            bar.progress(state.share, text=so_many(state))
    _left_out(growth.left_out)
    st.caption(retell(growth.note))
    return growth.prompts(), budget.without(*growth.answers.taken(price))


def so_many(state: Growing) -> str:
    """How far writing is, and what it has taken now."""
    text = _(
        "{done} of {total} new prompts are there after {requests} requests, {tokens} tokens now.",
        done=f"{state.done:,}", total=f"{state.wanted:,}", requests=f"{state.requests:,}", tokens=f"{state.tokens:,}",
    )  # fmt: skip
    return f"{text} {_('{money} in money.', money=f'{state.money:,.2f}')}" if state.money else text


def _left_out(groups: tuple[Refused, ...]) -> None:
    for group in groups:
        why = escape(retell(group.reason))
        st.caption(_("{number} times left out: {why}.", number=f"{group.count:,}", why=why))


def before(prompts: Prompts, teacher: Teacher, price: Price) -> None:
    """What it will take, told before anything is asked."""
    read, written = asking.expected(prompts.asked, teacher)
    text = counted("{number} prompt: about {read} tokens to read, at most {written} to write.",
                   "{number} prompts: about {read} tokens to read, at most {written} to write.", len(prompts.asked),
                   read=f"{read:,}", written=f"{written:,}")  # fmt: skip
    _told(text, prompts, price.of(read, written))


def _told(text: str, prompts: Prompts, cost: float) -> None:
    """What it takes in tokens and money, and which rows are not asked."""
    if prompts.blank:
        blank = counted("{number} row without a prompt is left out.", "{number} rows without a prompt are left out.",
                        prompts.blank.count)  # fmt: skip
        text = f"{text} {blank}"
    st.caption(f"{text} {_('At most {money} in money.', money=f'{cost:,.2f}')}" if cost else text)


def ask(prompts: Prompts, teacher: Teacher, price: Price, budget: Budget, rules: Rules) -> None:
    """Ask, tell how far it is, save what the rules leave."""
    acts, answers = get_acts(), Answers()
    bar, last = st.progress(0.0), Asked(0, len(prompts.asked), 0)
    with closing(acts.have_answered(prompts.asked, teacher, answers, price=price, budget=budget)) as progress:
        for last in progress:
            bar.progress(last.share, text=so_far(last))
    found, refused = answering.table(replace(prompts, blank=None), answers, rules)
    like = teacher.model.rpartition("/")[2][: library.MAX_NAME]
    added = acts.add(library.Files(found), name=None, like=like, task=answering.LEARNED)
    for group in refused:
        why = escape(retell(group.reason))
        st.caption(counted("{number} answer is left out: {why}.", "{number} answers are left out: {why}.", group.count,
                           why=why))  # fmt: skip
    if last.is_estimated:
        st.caption(_("This server counts no tokens: they are estimated from the letters."))
    if last.is_over_budget:
        st.warning(_("The budget is spent. With a larger one it goes on where it was."), icon=":material/savings:")
    st.success(_("Saved as **{name}**. Read its rows below before you train on them.", name=escape(added.row.name)),
               icon=":material/check_circle:")  # fmt: skip


def so_far(asked: Asked) -> str:
    """How far asking is, and what it has taken now."""
    text = _("{done} of {total} are answered, {tokens} tokens now.", done=f"{asked.done:,}", total=f"{asked.total:,}",
             tokens=f"{asked.tokens:,}")  # fmt: skip
    return f"{text} {_('{money} in money.', money=f'{asked.money:,.2f}')}" if asked.money else text
