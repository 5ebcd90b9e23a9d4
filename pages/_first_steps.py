"""The way from data to a small model, in three steps."""

import streamlit as st

from pages import _pictures as pictures
from pages._language import _
from pages._markup import Html, element
from pages._scores import Number
from pages._words import OUTCOMES, role


def tenth() -> Html:
    """A teacher and a student of a tenth of its size; the numbers are an example."""
    bars = (("teacher", 100, "40 MB"), ("student", 10, "4 MB"))
    cells: list[Html] = []
    for name, wide, words in bars:
        bar = element("div", element("i", style=f"width:{wide}%"), kind=f"bar {name}")
        cells += [element("div", role(name), kind="label"), bar, element("div", words, kind="value")]
    return element("div", *cells, kind="ds-rows")


def verdict() -> Html:
    """What a run ends with; the numbers are an example."""
    said = (("96", "%", _("kept")), ("10", "×", _("smaller")), ("6", "×", _("faster")))
    numbers = [Number(value, unit, words, "", words) for value, unit, words in said]
    badge = pictures.badge(OUTCOMES["better"].words, OUTCOMES["better"].kind)
    return element("div", element("p", _("For example:"), kind="ds-sub"), badge, pictures.numbers(numbers, few=True))


def how_it_works() -> None:
    """The way in three steps, a card each."""
    steps = (
        (_("1 · Bring data"), _("Rows with a label: messages with their topic, images with what they show."),
         pictures.class_counts({_("refund"): 40, _("delivery"): 64, _("account"): 28})),
        (_("2 · Say how small"), _("A tenth of the size, or under 5 ms. The studio chooses models and all settings."),
         tenth()),
        (_("3 · Read the verdict"), _("One sentence and three numbers: kept, smaller, faster. Take the model away."),
         verdict()),
    )  # fmt: skip
    for column, (title, words, picture) in zip(st.columns(3), steps, strict=True):
        with column, st.container(border=True, height="stretch", key=f"card-step-{title[0]}"):
            st.subheader(title, anchor=False)
            st.caption(words)
            st.html(picture)
