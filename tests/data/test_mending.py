"""What the data check found wrong is mended where somebody asks for it, and nothing goes in silence."""

from pathlib import Path

import pytest

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.mending import MENDINGS, mended
from studio.errors import DataError
from tests.data.test_data import table

TEXTS = [f"text number {number}" for number in range(40)]


def rows(texts, labels):
    return clean(table(texts, labels), Columns("text", "label"), "text-classification")


def found(of):
    return {finding.kind for finding in of.report.findings}


@pytest.mark.parametrize(
    ("kind", "texts", "labels", "left"),
    [
        ("conflicts", ["same", "same"], ["a", "b"], 40),
        ("copies", ["same", "same"], ["a", "a"], 41),
        ("rare", ["other", "more"], ["odd", "odd"], 40),
    ],
)
def test_rows_that_are_left_out_take_the_finding_away_and_are_named_with_the_reason(kind, texts, labels, left):
    before = rows([*TEXTS, *texts], [*["a", "b"] * 20, *labels])
    assert kind in found(before)
    after = mended(before, [kind])
    assert kind not in found(after)
    assert len(after.table) == left
    assert sum(each.count for each in after.refused) == len(before.table) - left


def test_labels_are_written_alike_and_no_row_goes():
    before = rows([*TEXTS, *(f"more {number}" for number in range(10))], [*["a", "b"] * 20, *["A", "b "] * 5])
    assert "label_spelling" in found(before)
    after = mended(before, ["label_spelling"])
    assert (after.labels, len(after.table), after.refused) == (["a", "b"], 50, ())


def test_a_label_that_is_near_to_one_that_was_joined_itself_is_joined_too():
    labels = [*["refund"] * 40, *["other"] * 10, *["refunds"] * 8, "refund.", "refunds."]
    whole = rows([f"text number {number}" for number in range(60)], labels)
    names = ["label_near:refund.", "label_near:refunds."]
    once = mended(whole, names)
    (asked,) = [finding for finding in once.report.findings if finding.kind == "label_near"]
    assert asked.examples == ["refunds", "refund"]
    assert mended(whole, [*names, "label_near:refunds"]).labels == ["other", "refund"]


def test_nothing_is_mended_that_nobody_asked_for():
    before = rows([*TEXTS, "same", "same"], [*["a", "b"] * 20, "a", "b"])
    assert mended(before, []) is before


def test_a_mending_that_leaves_one_label_is_refused():
    few = rows([*TEXTS, "other"], [*["a"] * 40, "odd"])
    with pytest.raises(DataError, match="at least two different labels"):
        mended(few, ["rare"])


def test_the_page_offers_what_can_be_mended():
    page = (Path(__file__).parents[2] / "pages" / "_problems.py").read_text()
    assert all(f'"{kind}": Mend(' in page for kind in MENDINGS)
