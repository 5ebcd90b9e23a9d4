"""Whether a first row names the columns, as it is written by pandas, by hand and by forms."""

import pytest

from studio.data import heads

ROWS = [[f"a text, number {number}", "ab"[number % 2]] for number in range(12)]
SCORED = [[text, str(number / 10)] for number, (text, _) in enumerate(ROWS, start=1)]

EUROPEAN = [[text, score.replace(".", ",")] for text, score in SCORED]


def indexed(rows):
    return [[str(number), *row] for number, row in enumerate(rows)]


@pytest.mark.parametrize("names", [["text", "label"], ["utterance", "mood"], ["0", "1"], ["Text", "a"]])
def test_names_are_a_header_with_an_index_and_without(names):
    assert heads.looks_like_header([names, *ROWS])
    assert heads.looks_like_header([["", *names], *indexed(ROWS)])


@pytest.mark.parametrize("beside", [[], ["", "", "it went on"]])
def test_names_with_delimiters_behind_them_are_a_header_and_rows_are_none(beside):
    rows = [[*row, "", "", ""] for row in ROWS]
    rows[3][2:] = beside or rows[3][2:]
    assert heads.looks_like_header([["v1", "v2", "", "", ""], *rows])
    assert not heads.looks_like_header(rows)
    assert not heads.looks_like_header([["", "", "", "", ""], *rows])


def test_a_long_question_above_numbers_is_a_header_and_a_missing_number_is_none():
    question = "How did you like what we did for you in the last month?"
    assert heads.looks_like_header([["Answer", question], *SCORED])
    assert not heads.looks_like_header([["a text, another one than the others", "n/a"], *SCORED])


@pytest.mark.parametrize("rows", [ROWS, SCORED, indexed(ROWS), indexed(SCORED), EUROPEAN, [["a question", "b"], *ROWS]])
def test_rows_are_no_header(rows):
    assert not heads.looks_like_header(rows)


def test_a_table_above_a_table_is_found_by_a_usual_name():
    title = [["Reviews", ""], ["by us", ""]]
    assert heads.find([*title, ["Text", "mood"], *ROWS], None).above == 2
    assert heads.find([*title, ["utterance", "mood"], *ROWS], None).above == 0
