"""A learning curve: the same student on parts of the rows, as runs in the queue."""

import numpy as np

from studio.config.reading import parse_config
from studio.events import Verdict
from studio.pipeline import prepare
from studio.service import learning_curves
from studio.service.runs import job_of
from tests.conftest import TINY
from tests.service.test_paired import keep


def finished(store, **settings):
    run = store.submit(parse_config({"dataset": "reviews", **TINY, **settings}), key="base", owner="me")
    store.finish(run.id)
    return store.run(run.id)


def test_three_runs_are_queued_once_without_a_control_and_read_no_test_rows(store, home, saved):
    run = finished(store)
    home.model(run.id, "teacher").mkdir(parents=True)
    first = learning_curves.begin(store, home, run, None)
    first[0] = store.describe_run(first[0].id, name="the small one", tags=["mine"])
    assert learning_curves.begin(store, home, run, None) == first, "what somebody wrote on one stays"
    assert [one.config.training_share for one in first] == [0.125, 0.25, 0.5]
    assert {(one.config.control, one.config.evaluate_on) for one in first} == {(False, "validation")}
    assert {one.config.teacher for one in first} == {f"run:{run.id}/teacher"}
    assert [part.run.id for part in learning_curves.parts(store, run)] == [one.id for one in first]


def test_parts_are_parts_of_the_rows_that_the_run_itself_learned_from(store, home, saved):
    parts = learning_curves.begin(store, home, finished(store, training_share=0.5), None)
    assert [one.config.training_share for one in parts] == [0.0625, 0.125, 0.25]


def test_all_teachers_are_those_that_the_run_has_trained(store, home, saved):
    tiny = "builtin/transformer-tiny"
    run = finished(store, more_teachers=[tiny, tiny])
    for role in ("teacher", "teacher-3"):
        home.model(run.id, role).mkdir(parents=True)
    config = learning_curves.config(home, run, 0.5)
    assert (config.teacher, *config.more_teachers) == (f"run:{run.id}/teacher", tiny, f"run:{run.id}/teacher-3")


def test_beside_the_best_of_several_seeds_all_rows_are_learned_under_one(store, home, saved, monkeypatch):
    monkeypatch.setattr(learning_curves, "SPLIT", "test")  # what `keep` writes
    run = finished(store, seeds=3)
    parts = learning_curves.begin(store, home, run, None)
    assert [(one.config.training_share, one.config.seeds) for one in parts] == [(0.125, 1), (0.25, 1), (0.5, 1), (1, 1)]
    keep(home, run.id, np.ones(30, bool))
    assert not learning_curves.kept(home, run, learning_curves.parts(store, run))
    keep(home, parts[-1].id, np.zeros(30, bool))
    store.record(parts[-1].id, [Verdict(outcome="no_control", sentence="A trial.")])
    found = learning_curves.kept(home, run, learning_curves.parts(store, run))
    assert list(found) == [1.0] and not found[1.0].right.any()


def test_a_smaller_part_is_within_a_larger_one_and_other_splits_stay(store, home, saved):
    run = finished(store)
    texts = {}
    for share in (0.25, 0.5, 1.0):
        config = run.config.model_copy(update={"training_share": share})
        dataset = prepare._share_of(
            prepare.datasets_on_disk.load(job_of(store, home, config, saved.id).dataset), config
        )
        texts[share] = set(dataset.dict["train"]["text"])
        assert len(dataset.dict["test"]) == saved.splits["test"]
    assert [len(texts[share]) for share in texts] == [21, 42, 84]
    assert texts[0.25] < texts[0.5] < texts[1.0]


def test_a_run_on_other_validation_rows_is_left_out(store, home, saved, monkeypatch):
    run = finished(store)
    parts = learning_curves.begin(store, home, run, None)
    monkeypatch.setattr(learning_curves, "SPLIT", "test")  # what `keep` writes
    keep(home, run.id, np.ones(30, bool))
    for one, rows in zip(parts, (30, 20, 30), strict=True):
        keep(home, one.id, np.ones(rows, bool))
        store.record(one.id, [])
    assert list(learning_curves.kept(home, run, learning_curves.parts(store, run))) == [1.0]
    for one in parts:
        store.record(one.id, [Verdict(outcome="no_control", sentence="A trial.")])
    assert sorted(learning_curves.kept(home, run, learning_curves.parts(store, run))) == [0.125, 0.5, 1.0]
