"""Several seeds: student and control are trained under each, teacher and answers are shared, the best is exported."""

from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ConfigError
from studio.home import Home
from studio.kept import answers
from studio.pipeline import seeds
from studio.pipeline.distill import distill
from studio.pipeline.job import Job
from studio.service import library
from studio.store.store import Store
from tests.conftest import TINY, reviews

SEEDS = {**TINY, "seeds": 2, "seed": 5, "epochs": 1, "student": "builtin/fasttext-tiny"}
ROLES = ("teacher", "student", "student-1", "student-2", "control", "control-2")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    store, columns = Store(home.database), Columns("text", "label")
    row = library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    config = parse_config({"dataset": "reviews", **SEEDS})
    store.submit(config, key="one", owner="me")
    return Job(run_id=1, config=config, dataset=home.dataset(row.id), home=home)


@pytest.fixture(scope="module")
def said(job):
    return list(distill(job))


def weights(job, run_id=1):
    return {role: load_file(job.home.model(run_id, role) / "model.safetensors") for role in ROLES}


def same(mine, theirs):
    return all(bool((mine[name] == theirs[name]).all()) for name in mine)


def numbers(said):
    """All that a run found out but for times."""
    kinds = (events.Evaluation, events.Comparison, events.SeedResult, events.Confusion)
    return [
        event for event in said if isinstance(event, kinds) and not getattr(event, "metric", "").startswith("latency")
    ]


def test_each_seed_has_a_student_and_a_control_of_its_own(job, said):
    found = weights(job)
    assert not same(found["student-1"], found["student-2"])
    assert not same(found["control"], found["control-2"])
    assert [one.phase for one in said if isinstance(one, events.PhaseStarted)].count("teach") == 1


def test_student_and_control_of_a_seed_begin_alike(job, monkeypatch):
    from studio.pipeline import distill as walk

    begun = {}

    def overheard(spec, *_):
        begun[spec.phase] = {name: one.clone() for name, one in spec.model.network.state_dict().items()}, spec.seed
        yield from ()

    monkeypatch.setattr(walk, "fit", overheard)
    monkeypatch.setattr(walk.final_evaluation, "evaluate", lambda *_: iter(()))
    three = job.config.model_copy(update={"seeds": 3})
    list(distill(job.model_copy(update={"run_id": 7, "config": three})))
    for first, second in (("distill", "control"), ("distill-2", "control-2"), ("distill-3", "control-3")):
        assert same(begun[first][0], begun[second][0])
        assert begun[first][1] == begun[second][1]
    for first, second in (("distill", "distill-2"), ("distill-2", "distill-3")):
        assert not same(begun[first][0], begun[second][0])
    assert [begun[phase][1] for phase in ("distill", "distill-2", "distill-3")] == [5, 6, 7]


def test_the_student_that_does_best_on_validation_rows_is_exported(job, said):
    told = [event for event in said if isinstance(event, events.SeedResult)]
    assert [one.seed for one in told] == [5, 6]
    best = max(range(2), key=lambda number: told[number].student)
    assert [one.exported for one in told] == [number == best for number in range(2)]
    found = weights(job)
    assert same(found["student"], found[f"student-{best + 1}"])


def test_the_second_student_is_kept_as_the_runs_student_where_it_is_better(job, said):
    seeds._keep(job.home, 1, best=1)
    found = weights(job)
    assert same(found["student"], found["student-2"])
    assert not same(found["student"], found["student-1"])


def test_the_exported_student_is_chosen_without_the_test_rows(job):
    problem = SimpleNamespace(task=SimpleNamespace(measures=[SimpleNamespace(name="accuracy")]))
    context = SimpleNamespace(config=job.config, home=job.home, run_id=99, problem=problem)
    curves = {"student": [(0, 0.5), (10, 0.8)], "student-2": [(0, 0.5), (10, 0.9)], "control": [(0, 0.95)]}
    assert events.result_of(seeds.export_the_best(context, curves)) == 1


def test_the_curve_of_a_role_is_the_mean_over_its_seeds():
    curves = {"student": [(0, 0.2), (10, 0.4)], "student-2": [(0, 0.4), (10, 0.8), (12, 1.0)], "teacher-2": [(0, 1.0)]}
    found = seeds.means(curves)
    assert found["student"] == [(0, pytest.approx(0.3)), (10, pytest.approx(0.6))]
    assert found["teacher-2"] == [(0, 1.0)]


def test_what_is_measured_is_told_for_each_seed_and_as_a_mean(said):
    found = [event for event in said if isinstance(event, events.Evaluation) and event.metric == "accuracy"]
    for role in ("student", "control"):
        mine = {event.seed: event for event in found if event.role == role}
        assert set(mine) == {5, 6, None}
        assert mine[None].value == pytest.approx((mine[5].value + mine[6].value) / 2)
        assert mine[None].spread == pytest.approx(abs(mine[5].value - mine[6].value) / 2**0.5)
    assert [event.seed for event in found if event.role == "teacher"] == [None]
    pairs = [event for event in said if isinstance(event, events.Comparison) and event.second == "control"]
    assert [event.seed for event in pairs if event.metric == "accuracy"] == [5, 6, None]
    assert len([event for event in said if isinstance(event, events.Confusion) and event.role == "student"]) == 1


def test_the_verdict_tells_the_mean_and_not_of_one_run(said):
    (verdict,) = (event for event in said if isinstance(event, events.Verdict))
    assert "mean of 2 seeds, ± " in verdict.sentence
    assert "In this run" not in verdict.sentence
    assert "one_seed" not in [caution.code for caution in verdict.cautions]


def test_a_run_that_is_closed_in_its_second_seed_ends_as_one_that_is_not(job, said):
    again = job.model_copy(update={"run_id": 3})
    walk = distill(again)
    for event in walk:
        if isinstance(event, events.Metrics) and event.phase == "control-2":
            break
    walk.close()
    went_on = list(distill(again))
    assert numbers(went_on) == numbers(said)
    assert all(same(mine, weights(job)[role]) for role, mine in weights(job, 3).items() if role != "student")


def test_store_show_and_python_have_what_each_seed_reached(job, said):
    store = Store(job.home.database)
    store.record(1, said)
    shown = store.show(1)
    assert [one["seed"] for one in shown["seeds"]] == [5, 6]
    assert {one["role"] for one in shown["seeds"][0]["evaluations"]} == {"student", "control"}
    assert {one["seed"] for one in shown["evaluations"]} == {None}
    pairs = [(one.first, one.second, one.metric, one.split) for one in store.comparisons(1)]
    assert len(pairs) == len(set(pairs))
    assert {pair[:2] for pair in pairs if pair[0] != "student"} == {("teacher", "baseline")}


def test_a_chain_that_is_cut_step_by_step_has_one_seed():
    with pytest.raises(ConfigError, match="seeds must be 1 for a shrinking chain"):
        parse_config({"dataset": "d", "teacher": "builtin/transformer-base", "student": "teacher/1-layer", "seeds": 2,
                      "assistants": "teacher/2-layers", "chain": "shrinking"})  # fmt: skip


def test_of_several_seeds_the_answers_of_the_exported_one_are_kept(job, said):
    exported = next(one.seed for one in said if isinstance(one, events.SeedResult) and one.exported)
    found = {(one.role, one.seed): one.value for one in said
             if isinstance(one, events.Evaluation) and one.metric == "accuracy"}  # fmt: skip
    kept = answers.of_run(job.home, job.run_id)
    assert {role: one.seed for role, one in kept.items()} == {
        "teacher": None, "student": exported, "control": exported, "baseline": None}  # fmt: skip
    for role, one in kept.items():
        assert one.right.mean() == pytest.approx(found[role, one.seed])
