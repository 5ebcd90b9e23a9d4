"""Judged blind: whoever stands on the left, the choice is the model's; a second look replaces the first."""

import pytest

from studio.errors import AccessError, ModelError
from studio.service import judged
from studio.service.acts import Acts
from studio.service.people import Person

PAIR = ("student", "control")


@pytest.fixture
def folder(home):
    home.run(1).mkdir(parents=True)
    return home


def test_judgements_are_counted_and_the_latest_of_a_person_on_an_input_holds(folder):
    for number, choice in enumerate(["first"] * 8 + ["second"] * 2 + ["same"]):
        judged.record(folder, 1, PAIR, choice, f"text {number}", "ada")
    judged.record(folder, 1, PAIR, "first", "text 9", "ada")
    judged.record(folder, 1, PAIR, "second", "text 0", "eve")
    judged.record(folder, 1, ("student", "teacher"), "second", "text 0", "ada")
    found = judged.counts(folder, 1, PAIR)
    # of text 0 one says this and one says that
    assert (found.first, found.second, found.same, found.inputs, found.judgements) == (8, 1, 2, 11, 12)
    assert found.p_value == pytest.approx(0.0391, abs=1e-4)  # of 9, 8 or more, or 1 or fewer
    assert judged.counts(folder, 2, PAIR) == judged.Counts(0, 0, 0, 0, None)


def test_ten_people_on_one_input_are_one_trial(folder):
    for number in range(10):
        judged.record(folder, 1, PAIR, "first" if number else "second", "text", f"person {number}")
    found = judged.counts(folder, 1, PAIR)
    assert (found.first, found.second, found.judgements, found.p_value) == (1, 0, 10, 1.0)


def test_a_run_whose_files_are_gone_is_told(home):
    with pytest.raises(ModelError, match="are gone"):
        judged.record(home, 1, PAIR, "first", "text", "ada")


def test_a_line_that_was_half_written_is_no_judgement_and_spoils_no_other(folder):
    judged.record(folder, 1, PAIR, "first", "text", "ada")
    (folder.run(1) / judged.FILE).open("a").write('{"pair": ["stu')
    assert judged.counts(folder, 1, PAIR).judgements == 1
    judged.record(folder, 1, PAIR, "second", "text", "eve")
    assert judged.counts(folder, 1, PAIR).judgements == 2


def test_for_about_half_of_all_inputs_the_second_one_stands_on_the_left(folder):
    swapped = [judged.is_swapped(f"text {number}") for number in range(400)]
    assert 160 < sum(swapped) < 240
    assert swapped == [judged.is_swapped(f"text {number}") for number in range(400)]


def test_who_may_only_look_does_not_judge(folder, store):
    with pytest.raises(AccessError):
        Acts(Person("ada", "viewer"), folder, store).judge(1, PAIR, "first", "text")
