"""Whether a first row names the columns, as it is written by pandas, by hand and by forms."""

import pytest

from studio.data import delimited, heads

ROWS = [[f"a text, number {number}", "ab"[number % 2]] for number in range(12)]
SCORED = [[text, str(number / 10)] for number, (text, _) in enumerate(ROWS, start=1)]

EUROPEAN = [[text, score.replace(".", ",")] for text, score in SCORED]


def table(text):
    return delimited.read(text, "utf-8")


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


@pytest.mark.parametrize("second", ["string,category", "Text,LABEL", "object,int64"])
def test_a_row_that_says_once_more_what_the_columns_are_is_no_data(second):
    found = table(f"text,label\n{second}\n" + "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(12)))
    assert len(found.table) == 12
    assert [(refused.reason, refused.lines) for refused in found.refused] == [(heads.SECOND, (2,))]


def test_a_first_row_whose_label_comes_again_is_data():
    found = table("text,label\nstring,class\n" + "".join(f"text {row},class\n" for row in range(12)))
    assert len(found.table) == 13


def test_types_and_kinds_of_columns_and_what_a_survey_asked_are_no_data():
    rows = "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(12))
    asked = '"{""ImportId"":""Q1""}","{""ImportId"":""Q2""}"'
    for head in ("string,discrete\nmeta,class\n", f"What do you think?,And why?\n{asked}\n"):
        found = table(f"text,label\n{head}{rows}")
        assert found.refused[0].lines == (2, 3)
        assert len(found.table) == 12


@pytest.mark.parametrize(
    "drawn",
    [
        "| text | label |\n|:-----|------:|\n{}",
        " text | label\n------+-------\n{}(12 rows)\n",
        "+------+-------+\n| text | label |\n+------+-------+\n{}+------+-------+\n",
    ],
)
def test_rules_of_a_table_that_is_drawn_with_letters_are_no_rows(drawn):
    bar = "| " if drawn[0] in "|+" else " "
    end = " |" if drawn[0] in "|+" else ""
    rows = "".join(f"{bar}text {row} | {row % 2}{end}\n" for row in range(12))
    found = table(drawn.format(rows))
    assert len(found.table) == 12
    assert heads.RULE in {refused.reason for refused in found.refused}
