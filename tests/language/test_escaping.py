"""What users write is shown as they wrote it, and nothing more is read into it."""

import csv
import functools
import io
import re

import pytest
from rich.console import Console

from pages import _charts as charts
from pages._markup import breaking, element
from pages._words import escape
from studio.cli import terminal
from studio.events import Confusion
from studio.language import escaping
from studio.service import predict

LINK = '<a href="https://x.example">win</a>'


def confusion(*labels):
    return charts.confusion(Confusion(role="student", split="test", labels=list(labels), counts=[[1, 0], [0, 1]]))


def test_labels_are_no_markup_in_charts():
    drawn = confusion(LINK, "plain").data[0]
    assert drawn.x[0] == drawn.y[0] == '&lt;a href="https://x.example"&gt;win&lt;/a&gt;'


def test_long_labels_stay_classes_of_their_own():
    assert len(set(confusion("x" * 100, "x" * 101).data[0].x)) == 2


@pytest.mark.parametrize(
    "label", ["[a](https://b.example)", "$x$", ":skull:", "<b>", "https://b.example", "www.b.example"]
)
def test_labels_are_no_markup_in_model_cards(label):
    written = escaping.in_markdown(label)
    assert label not in written
    assert written.replace("\\", "") == label


MADE_A_LINK = r"(https?://|www(?=\.))([-.\w]+)|[-.\w+]+@([-\w]+(\.[-\w]+)+)"
"""What Streamlit's Markdown takes for an address once backslashes are gone."""


@pytest.mark.parametrize("start", ["https://", "HTTP://", "www.", "me@"])
@pytest.mark.parametrize("host", ["b.example", "-b.example", "_b.example", ".b.example", "--.b.example"])
def test_no_address_is_a_link_on_a_page(start, host):
    assert not re.search(MADE_A_LINK, escape(start + host).replace("\\", ""), re.IGNORECASE)


def test_a_text_neither_steers_the_terminal_nor_colours_it():
    shown = io.StringIO()
    Console(file=shown, force_terminal=True).print(terminal.plain("a\x1b[2J[red]b"), highlight=False)
    assert shown.getvalue() == "a\N{REPLACEMENT CHARACTER}[2J[red]b\n"
    assert terminal.shown_safely("a\x07\nb") == "a\N{REPLACEMENT CHARACTER}\nb"


@pytest.mark.parametrize("sign", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_nothing_turns_a_line_round(sign):
    written = (escaping.in_chart, escaping.in_markdown, escaping.in_chat, escaping.in_terminal, escape, breaking,
               functools.partial(element, "b"), lambda text: element("b", title=text))  # fmt: skip
    for write in written:
        assert sign not in write(f"a{sign}b")
        assert "שלום" in write("שלום")  # what is written from right to left stays


def test_cells_that_would_be_formulas_are_texts_in_tables(tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        put = predict._writer(file, tmp_path / "a.csv", ["=name", "text"], " ")
        put({"=name": "@SUM(A1)", "text": "=HYPERLINK(1)"})
        put({"=name": "-3.5", "text": "plain - text"})
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["'=name", "text"], ["'@SUM(A1)", "'=HYPERLINK(1)"], ["-3.5", "plain - text"]
        ]  # fmt: skip
