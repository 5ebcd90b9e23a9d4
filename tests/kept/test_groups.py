"""Rows by who is right: counted, searched, filtered and sorted."""

import numpy as np
import pyarrow as pa
import pytest

from studio.kept import answers, groups
from studio.kept.groups import Explored, Wanted
from studio.kept.rows import Rows

TEXTS = ["a good day", "A bad day", "no day", "a good night", "nothing", "unknown"]
LABELS = [1, 0, 0, 1, 1, -1]


def kept(home, role: str, said: list[int], sure: list[float]) -> answers.Kept:
    labels = np.array(LABELS)
    known, chosen = labels >= 0, np.array(said)
    answers.write(home, 1, role, "test", answers.Answers(
        answer=pa.array(said, pa.int32()), confidence=np.array(sure), loss=-np.log(np.array(sure)), labelled=known,
        right=(chosen == labels)[known], statistics=np.stack([labels, chosen], 1)[known],
        logits=np.stack([1 - np.array(sure), np.array(sure)], 1).astype(np.float32),
    ))  # fmt: skip
    found = answers.opened(home, 1, role)
    assert found is not None
    return found


@pytest.fixture
def explored(home) -> Explored:
    teacher = kept(home, "teacher", [1, 0, 1, 1, 0, 0], [0.9, 0.8, 0.7, 0.9, 0.6, 0.5])
    student = kept(home, "student", [1, 1, 0, 0, 0, 0], [0.9, 0.6, 0.5, 0.7, 0.8, 0.5])
    return Explored(Rows(pa.table({"text": TEXTS, "label": LABELS})), teacher, student)


def test_each_labelled_row_is_in_one_of_four_groups(explored):
    everything = explored.mask(Wanted())
    assert explored.counts(everything) == {"both": 1, "teacher": 2, "student": 1, "neither": 1}
    assert [np.flatnonzero(explored.of(group) & everything).tolist() for group in groups.GROUPS] == [
        [0],
        [1, 3],
        [2],
        [4],
    ]


def test_rows_are_filtered_by_class_words_confidence_and_length(explored):
    def found(**wanted) -> list[int]:
        return np.flatnonzero(explored.mask(Wanted(**wanted))).tolist()

    assert found(label=0) == [1, 2]
    assert found(words="GOOD") == [0, 3]
    assert found(confidence=(0.55, 0.75)) == [1, 3]
    assert found(length=(0, 7)) == [2, 4]
    assert found(words="day", label=0) == [1, 2]


def test_rows_are_sorted_by_loss_by_gap_and_by_doubt(explored):
    everything = explored.mask(Wanted())
    assert explored.sorted(everything, "loss")[0] == 2
    assert explored.sorted(everything, "gap")[:3].tolist() in ([1, 2, 3], [1, 3, 4], [2, 1, 3], [3, 1, 2])
    assert explored.sorted(everything, "unsure").tolist() == [2, 1, 3, 4, 0]
    assert explored.sorted(everything, "place").tolist() == [0, 1, 2, 3, 4]


def test_the_nearest_training_rows_are_those_of_which_the_teacher_says_the_same(explored):
    assert groups.nearest(explored.teacher, 0, explored.student, 2).tolist() == [0, 4]
    assert groups.nearest(explored.teacher, 5, explored.student, 1).tolist() == [2]


def test_two_models_say_the_same_of_a_row_or_not(explored):
    assert answers.same(explored.teacher, explored.student).tolist() == [True, False, False, False, True, True]
