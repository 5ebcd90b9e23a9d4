"""Two models' texts side by side without their names: a person says which goes on better, and the answers count."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages._language import _
from pages._markup import element
from pages._studio import errors_shown, get_acts, get_home
from pages._words import role
from studio.events import TrainedRole
from studio.pipeline.answers import Said
from studio.service import judged
from studio.service.judged import Choice
from studio.store.rows import RunRow

FEWEST = 10
NAMED, JUDGED = "named", "judged"
Pair = tuple[TrainedRole, TrainedRole]


def pair_of(said: Sequence[Said]) -> tuple[Said, Said] | None:
    """Whom to compare: the student with its control, or with its teacher where there is none."""
    by_role = {reply.role: reply for reply in said}
    other = by_role.get("control") or by_role.get("teacher")
    return None if "student" not in by_role or other is None else (by_role["student"], other)


def key_of(run: RunRow, asked: Any) -> str:
    """Under which it stands that somebody knows who wrote what."""
    return f"judged-{run.id}-{judged.fingerprint(asked)}"


def named(run: RunRow, asked: Any) -> None:
    """The texts are shown with their names: they cannot be judged blind any more."""
    st.session_state.setdefault(key_of(run, asked), NAMED)


def texts(run: RunRow, asked: Any, pair: tuple[Said, Said]) -> bool:
    """Both texts without names, and what can be said of them; whether nobody has seen yet who wrote them."""
    key = key_of(run, asked)
    if st.session_state.get(key) == NAMED:
        st.caption(_("You have seen who wrote what. To judge blind, ask about something else."))
    if st.session_state.get(key):
        return False
    swapped = judged.is_swapped(asked)
    left, right = reversed(pair) if swapped else pair
    st.subheader(_("Which one goes on better?"), anchor=False)
    drawn = [
        element("div", element("div", element("small", name), kind="head"),
                element("p", reply.answer["text"], kind="ds-written"), kind="ds-model")
        for name, reply in (("A", left), ("B", right))
    ]  # fmt: skip
    st.html(element("div", *drawn, kind="ds-answers"))
    roles = (pair[0].role, pair[1].role)
    choices: dict[Choice, str] = {
        "second" if swapped else "first": _("A is better"), "first" if swapped else "second": _("B is better"),
        "same": _("They are alike"),
    }  # fmt: skip
    with st.container(horizontal=True):
        for choice, words in choices.items():
            st.button(words, key=f"judge-{choice}", on_click=say, args=(run.id, roles, choice, asked, key))
    return True


def say(run_id: int, roles: Pair, choice: Choice, asked: Any, key: str) -> None:
    """Keep it, and show who wrote what."""
    with errors_shown():
        get_acts().judge(run_id, roles, choice, asked)
        st.session_state[key] = JUDGED


def so_far(run: RunRow, pair: tuple[Said, Said]) -> None:
    """How often each was preferred until now, and whether that may be chance."""
    roles: Any = (pair[0].role, pair[1].role)
    found = judged.counts(get_home(), run.id, roles)
    if not found.inputs:
        return
    sentence = _(
        "Inputs judged blind: {inputs} (judgements: {judgements}). {first} better {won}, {second} better {lost}, "
        "alike {same}.",
        inputs=found.inputs, judgements=found.judgements, first=role(roles[0]), won=found.first, second=role(roles[1]),
        lost=found.second, same=found.same,
    )  # fmt: skip
    if found.p_value is not None and found.first + found.second >= FEWEST:
        chance = _("Were both as good, so clear a result would come by chance with p = {p}.", p=f"{found.p_value:.2g}")
        sentence = f"{sentence} {chance}"
    st.caption(sentence)
