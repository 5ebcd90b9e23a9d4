"""A cell of megabytes where a short one is meant is told of in a short message, and kept nowhere."""

import ast

import pytest

from studio.data import columns, splits, uploads
from studio.errors import MOST_LETTERS, DataError, LimitError
from studio.tasks.classes import MAX_LABEL, Classes
from studio.tasks.regression import Numbers
from studio.tasks.tokens import TASK as TOKENS

LONG = "x" * 100_000


@pytest.mark.parametrize("names", [Classes().names, Numbers().names, TOKENS.targets.names])
def test_a_label_that_is_wrong_is_quoted_by_its_first_letters(names):
    with pytest.raises(DataError, match=r"got .*'xxx") as told:
        names([LONG], "label")
    assert len(told.value.message) < 300
    assert told.value.cure.startswith("Choose")


def test_the_name_of_no_split_is_quoted_by_its_first_letters():
    with pytest.raises(DataError, match="for training") as told:
        splits.require_known([LONG], "A split")
    assert len(told.value.message) < 300


def test_no_message_is_longer_than_a_page():
    told = DataError(LONG, "Cut it.")
    assert len(told.message) == MOST_LETTERS
    assert str(told).endswith("… Cut it.")


def test_a_label_of_a_whole_text_is_none():
    assert Classes().names(["a", "b" * MAX_LABEL], "label") == ["a", "b" * MAX_LABEL]
    with pytest.raises(DataError, match="a label of 1,001 letters"):
        Classes().names(["a", "b" * (MAX_LABEL + 1)], "label")


def test_tags_have_as_many_types_as_there_may_be_labels():
    with pytest.raises(DataError, match="1,003 different labels"):
        TOKENS.targets.names([f"B-{number}" for number in range(501)], "tags")


def test_a_column_has_a_short_name(tmp_path):
    file = tmp_path / "long.csv"
    file.write_text(f"text,{LONG}\n" + "a good film,1\na bad film,0\n" * 10)
    with pytest.raises(LimitError, match="a name of 100,000 letters"):
        uploads.read(file)


def test_a_list_of_megabytes_in_the_notation_of_python_is_not_parsed(monkeypatch):
    monkeypatch.setattr(ast, "literal_eval", None)
    assert columns.listed(str(["a"] * 10_000)) is None
    assert columns.listed(str(["a"] * 10_000).replace("'", '"')) == ["a"] * 10_000
