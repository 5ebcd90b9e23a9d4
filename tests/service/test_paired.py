"""Two students on the same test rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.kept import answers
from studio.kept.answers import Answers
from studio.service import comparison, library, paired
from studio.service.acts import Acts
from studio.service.people import local
from tests.conftest import TINY, reviews


@pytest.fixture
def sides(store, saved):
    for key in "abc":
        store.submit(parse_config({"dataset": "reviews", **TINY}), key=key)
    return comparison.sides(store, [1, 2, 3])


def keep(home, run_id: int, right: np.ndarray, labelled: np.ndarray | None = None) -> None:
    """Answers of a student to rows that are all of class 0, and have a label unless told otherwise."""
    labelled = np.ones(len(right), bool) if labelled is None else labelled
    said = (~right).astype(int)
    statistics = np.stack([np.zeros_like(said), said], 1)
    plain, logits = np.ones(len(labelled)), np.zeros((len(labelled), 2))
    kept = Answers(pa.array(plain.astype(int)), plain, plain, labelled, right, statistics, logits)
    answers.write(home, run_id, "student", "test", kept)


def test_the_test_of_two_students_is_mcnemars_on_the_rows_that_both_answered(home, sides):
    rng = np.random.default_rng(0)
    first, second = rng.random(300) < 0.9, rng.random(300) < 0.8
    keep(home, 1, first)
    keep(home, 2, second)
    (found,) = paired.against(home, sides[0], [sides[1]])
    gained, lost = int((first & ~second).sum()), int((~first & second).sum())
    assert (found.comparison.gained, found.comparison.lost) == (gained, lost)
    assert found.p_value == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert found.comparison.difference == pytest.approx(first.mean() - second.mean())


def test_the_p_values_are_raised_for_all_pairs_of_three_students(home, sides):
    rng = np.random.default_rng(0)
    for run_id, share in ((1, 0.9), (2, 0.82), (3, 0.8)):
        keep(home, run_id, rng.random(300) < share)
    both = paired.against(home, sides[0], sides[1:])
    alone = [paired.against(home, sides[0], [side])[0].p_value for side in sides[1:]]
    assert min(pair.p_value for pair in both) == pytest.approx(min(1, 3 * min(alone)))


def test_without_answers_or_with_other_rows_there_is_a_reason_and_no_test(home, sides):
    keep(home, 1, np.ones(30, bool))
    keep(home, 3, np.ones(20, bool))
    found = paired.against(home, sides[0], sides[1:])
    assert [(pair.comparison, pair.reason) for pair in found] == [(None, "answers"), (None, "rows")]


def test_a_damaged_file_is_no_error_of_the_comparison(home, sides):
    keep(home, 1, np.ones(30, bool))
    keep(home, 2, np.ones(30, bool))
    answers.place(home, 2, "student", "test").write_bytes(b"nonsense")
    assert paired.against(home, sides[0], [sides[1]])[0].reason == "answers"


def test_a_test_is_made_once_and_anew_when_answers_change(home, sides, monkeypatch):
    made = []
    compare = paired.metrics.compare
    monkeypatch.setattr(paired.metrics, "compare", lambda *told: made.append(1) or compare(*told))
    keep(home, 1, np.ones(30, bool))
    keep(home, 2, np.zeros(30, bool))
    first, again = (paired.against(home, sides[0], [sides[1]])[0].comparison for _ in range(2))
    assert (first, made) == (again, [1])
    keep(home, 2, np.ones(30, bool))
    assert paired.against(home, sides[0], [sides[1]])[0].comparison.difference == 0


def test_versions_with_the_same_test_rows_are_compared_and_other_data_is_not(home, store, saved):
    more = pd.DataFrame({"text": ["one that is new"], "label": ["good"]}, dtype=object)
    acts, columns = Acts(local(), home, store), Columns("text", "label")
    acts.add_rows(saved.id, Upload("table", more), "more")
    library.save(store, home, "other", clean(reviews(130), columns, "text-classification"), columns)
    for number, name in enumerate(("reviews", "more", "other"), start=1):
        store.submit(parse_config({"dataset": name, **TINY}), key=name)
        keep(home, number, np.ones(saved.splits["test"], bool))
    sides = comparison.sides(store, [1, 2, 3])
    assert [pair.reason for pair in paired.against(home, sides[0], sides[1:])] == ["", "data"]


def test_students_whose_answers_are_to_other_rows_are_not_tested(home, sides):
    for run_id, labelled in ((1, [True, True, False]), (2, [True, False, True])):
        keep(home, run_id, np.ones(2, bool), np.array(labelled))
    assert paired.against(home, sides[0], [sides[1]])[0].reason == "rows"
