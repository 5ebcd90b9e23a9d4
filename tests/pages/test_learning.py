"""The tab that says what more rows would bring."""

import numpy as np
import pytest

from studio import events, tasks
from studio.kept import answers
from studio.service import learning_curves
from tests.pages.conftest import opened, words, written
from tests.pages.test_explore import finished


@pytest.fixture
def run(store, home):
    return finished(store, home, "text-classification")[0]


def test_a_click_queues_the_shorter_runs_and_their_progress_is_told(app, store, home, run):
    page = opened(app, "results.py", run=str(run.id), tab="more-rows")
    page.button(key="learning-curve").click().run()
    assert not page.exception
    assert [part.share for part in learning_curves.parts(store, run)] == [0.125, 0.25, 0.5]
    assert "0 of 3 runs are over" in words(page) and "The curve appears here" in words(page)
    links = [link.proto.label.replace("\\", "") for link in page.get("page_link")]
    assert "12.5 % of the training rows · queued" in links


def test_the_best_of_several_seeds_is_no_point_of_the_curve_and_that_is_told(app, store, home):
    run = finished(store, home, "text-classification", seeds=3)[0]
    page = opened(app, "results.py", run=str(run.id), tab="more-rows")
    assert "is the best of 3 seeds on these rows" in words(page)
    page.button(key="learning-curve").click().run()
    assert "0 of 4 runs are over" in words(page)


def test_the_class_that_gained_most_is_named(app, store, home, run):
    whole = answers.opened(home, run.id, "student", "validation")
    for one in learning_curves.begin(store, home, run, None):
        statistics = whole.statistics.copy()
        statistics[:, 1] = 0  # after a part of the rows it says the first class of every row
        said = answers.Answers(whole.batch.column("answer"), whole.confidence, whole.loss, whole.labelled,
                               statistics[:, 0] == 0, statistics, np.zeros((len(whole), 2)))  # fmt: skip
        answers.write(home, one.id, "student", "validation", said)
        store.record(one.id, [events.Verdict(outcome="no_control", sentence="A trial.")])
        store.finish(one.id)
    page = opened(app, "results.py", run=str(run.id), tab="more-rows")
    assert "“good” gained most from the last step" in words(page)
    assert "More rows helped: 33.3 % with 50 % of them" in words(page)
    assert "Last step, points" in written(page)


@pytest.mark.parametrize(("name", "has"), [("text-classification", True), ("language-model", False),
                                           ("regression", False), ("token-classification", False)])  # fmt: skip
def test_of_classes_is_spoken_where_there_are_some(app, store, home, name, has):
    from pages import _results_learning as learning  # a page's module: it opens Streamlit

    assert learning.has_classes(tasks.get(name)) is has


def test_who_has_classes_is_asked_of_which(app, store, home, run):
    page = opened(app, "results.py", run=str(run.id), tab="more-rows")
    assert "and of which class?" in words(page)


def test_a_last_step_that_chance_may_explain_is_no_gain(store, home, run):
    from pages import _results_learning as learning  # a page's module: it opens Streamlit

    whole = answers.opened(home, run.id, "student", "validation")
    assert learning.finding(tasks.get("text-classification"), {0.5: whole, 1.0: whole}).startswith(
        "The last step brought no clear gain"
    )
