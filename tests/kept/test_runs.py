"""A run keeps what its models say, as the verdict measured it."""

import shutil

import pytest

from studio import tasks
from studio.events import Evaluation, KeptAnswers
from studio.kept import answers
from studio.pipeline import keep
from studio.pipeline.distill import distill
from studio.service import runs
from tests.conftest import here


def test_a_run_keeps_every_models_answers_and_loses_them_with_itself(home, store, saved, job):
    run = store.submit(job.config, key="one", owner="me")
    told = list(runs.carry(store, home, run, execute=here))
    accuracy = {one.role: one.value for one in told if isinstance(one, Evaluation) and one.metric == "accuracy"}
    task = tasks.get("text-classification")
    for split in ("test", "validation"):
        kept = answers.of_run(home, run.id, split)
        assert list(kept) == ["teacher", "student", "control", "baseline"]
        assert {len(one) for one in kept.values()} == {saved.splits[split]}
    measured = {role: task.targets.measure(one.statistics) for role, one in answers.of_run(home, run.id).items()}
    assert {role: values["accuracy"] for role, values in measured.items()} == accuracy
    known = [one for one in store.kept_answers(run.id) if one.split == "test"]
    assert [one.role for one in known] == list(accuracy)
    assert known == [one for one in told if isinstance(one, KeptAnswers) and one.split == "test"]
    recorded, both = answers.opened(home, run.id, "teacher", "train"), answers.opened(home, run.id, answers.ENSEMBLE)
    assert recorded is not None and both is not None
    assert len(recorded) == saved.splits["train"]
    teacher, student = (answers.opened(home, run.id, role) for role in ("teacher", "student"))
    assert both.logits == pytest.approx((teacher.logits + student.logits) / 2, abs=1e-6)
    names = [(role, split) for role in answers.of_run(home, run.id) for split in ("validation", "test")]
    before = {name: answers.opened(home, run.id, *name).logits.copy() for name in names}
    shutil.rmtree(home.kept(run.id))
    told_later = keep.keep(runs.job_of(store, home, run.config, run.dataset_id, run.id)).told
    assert {(one.role, one.split) for one in told_later} == set(before)
    for (role, split), logits in before.items():
        assert answers.opened(home, run.id, role, split).logits == pytest.approx(logits, abs=1e-4)
    runs.delete(home, store, run.id)
    assert answers.of_run(home, run.id) == {}
    assert store.kept_answers(run.id) == []


def test_a_job_that_goes_on_keeps_answers_again_in_place_of_the_first(job):
    for _ in range(2):
        for event in distill(job):
            if isinstance(event, KeptAnswers) and event.split == "test":
                break
        kept = answers.of_run(job.home, job.run_id)
        assert list(kept) == ["teacher"]
        assert len(kept["teacher"]) == 24
