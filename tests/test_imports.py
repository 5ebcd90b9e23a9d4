"""The drawing of imports is that of the code."""

import pytest

pytest.importorskip("grimp", reason="it comes with import-linter, which checks the code")

from tests.bench import imports


def test_no_packages_import_each_other_in_a_circle():
    assert imports.circle(imports.arrows()) == set()


def test_every_arrow_points_to_a_row_below():
    place = {box: number for number, row in enumerate(imports.rows()) for box in row}
    assert [pair for pair in imports.arrows() if place[pair[0]] >= place[pair[1]]] == []


def test_the_drawing_is_current():
    assert imports.PAGE.read_text() == imports.drawing(), "write it anew: make drawing"


def test_a_circle_is_found_with_all_that_are_part_of_it():
    assert imports.circle({("a", "b"), ("b", "c"), ("c", "a"), ("a", "d"), ("e", "a")}) == {"a", "b", "c"}
