"""Rows that are left out can be had as a file: line, reason, row."""

import csv
import io
import re

import pytest

from studio.data import heads, mending, uploads
from studio.data.cleaning import NO_INPUT, NO_LABEL, clean
from studio.data.columns import Columns
from studio.data.refused import Refused, as_csv
from studio.data.zipped import OTHER_KIND, OUTSIDE
from studio.language.retold import retold
from studio.service import answering, new_prompts
from studio.service.library import LEAKED, without_leaks
from studio.tasks import image_files, language, tokens
from tests.data.test_reading import written
from tests.data.test_uploads import png, zipped

KNOWN = Columns("text", "label", "split")


def listed(refused):
    return list(csv.reader(io.StringIO(as_csv(refused))))


def test_rows_in_are_rows_kept_and_rows_in_the_file_each_with_its_line_and_reason(tmp_path):
    lines = ["text,label,split", *(f"a text number {number},{'ab'[number % 2]},train" for number in range(30))]
    lines += [
        "text four,a,test",
        " ,a,train",
        "A TEXT  number 4,a,test",
        "unlabelled test,,test",
        "one, too many,a,train",
    ]
    upload = uploads.read(written(tmp_path, "\n".join(lines)))
    rows = without_leaks(clean(upload, KNOWN, "text-classification"))
    head, *refused = listed(rows.refused)
    assert head == ["line", "reason", "row"]
    assert refused == [
        ["6", LEAKED, "a text number 4,,a,train"],
        ["33", "no input", " ,,a,train"],
        ["35", "for testing, without a label", "unlabelled test,,,test"],
        ["36", "more cells than the 3 columns", "one, too many,a,train"],
    ]
    assert len(rows.table) + len(refused) == len(lines) - 1


def test_all_lines_stand_in_the_file_and_the_first_ones_in_the_report():
    refused = Refused.of("no input", range(1, 101), ["x"] * 100)
    assert len(listed([refused])) == 101
    assert refused.told.lines == tuple(range(1, 21))
    assert "and 80 more" in str(refused.told)


def test_an_image_that_is_none_is_named_by_its_file(tmp_path):
    files = {f"{kind}/{shade}.png": png(shade) for kind in ("cat", "dog") for shade in range(3)}
    upload = uploads.read(zipped(tmp_path / "images.zip", files | {"cat/no.png": b"no image"}))
    assert listed(upload.refused)[1:] == [["", image_files.NO_IMAGE, "cat/no.png"]]


def test_a_row_that_would_be_a_formula_in_a_spreadsheet_is_none():
    assert listed([Refused.of("no input", [2], ["=1+1"])])[1][2] == "'=1+1"


REASONS = (
    NO_INPUT, NO_LABEL, LEAKED, mending.OTHER_LABELS, mending.REPEATED, mending.FEW, heads.ABOVE, heads.AGAIN,
    heads.SECOND, heads.RULE, OTHER_KIND, OUTSIDE, image_files.NO_IMAGE, language.NO_ANSWER,
    language.UNREADABLE, tokens.UNEQUAL, "more cells than the 3 columns", *answering.REASONS,
    *new_prompts.REASONS, "a new prompt shorter than 3 letters", "longer than 3 letters",
)  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
def test_what_was_left_out_is_told_in_chinese_with_every_reason(reason):
    for lines in ([0], [3], [3, 4], range(1, 31)):
        told = retold("zh", str(Refused.of(reason, lines, ["x"] * len(lines)).told))
        assert not re.search("[A-Za-z]{2}", told.replace("token", "")), told
