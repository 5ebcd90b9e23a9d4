"""Runs that are cut off, in whatever way, go on to the same end: no point is lost, none comes twice."""

import copy
import os
import shutil
import signal

import psutil
import pytest
import torch
from safetensors.torch import load_file

from studio import events
from studio.config.reading import parse_config
from studio.distill import checkpoints, tuning
from studio.distill.fit import fit
from studio.distill.spec import BestWeights
from studio.errors import StoreError
from studio.pipeline import distill as trainer
from studio.pipeline.job import Job
from studio.service import runs
from studio.service.runs import carry, delete
from studio.service.runtime import new_owner
from tests.conftest import TINY
from tests.distill.test_training import CPU, inputs, model, problem, spec  # noqa: F401  fixtures


def learned(one, best=None):
    """Every point of a fit, and the weights that it ends with."""
    said = list(fit(one, CPU, best or BestWeights()))
    points = [(point.step, name, value) for point in said if isinstance(point, events.Metrics)
              for name, value in point.values.items()]  # fmt: skip
    return points, {name: one.clone() for name, one in one.model.network.state_dict().items()}


def with_dropout(model):  # noqa: F811
    for layer in model.network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.3
    return model


@pytest.mark.parametrize("events_until_closed", [1, 2, 3, 5, 8, 13, 21])
def test_a_fit_that_is_closed_anywhere_ends_as_if_it_had_not_been(model, inputs, tmp_path, events_until_closed):  # noqa: F811
    start = copy.deepcopy(with_dropout(model).network.state_dict())
    plain = spec(model, inputs, steps=20, validations=4)
    points, weights = learned(plain)

    kept = spec(model, inputs, steps=20, validations=4, checkpoint=tmp_path / "distill.pt")
    model.network.load_state_dict(start)
    steps = fit(kept, CPU, BestWeights())
    first = []
    for _ in range(events_until_closed):
        first.append(next(steps))
    steps.close()
    torch.manual_seed(999)  # another process stands elsewhere
    model.network.load_state_dict(start)
    again, ended = learned(kept)
    heard = [(point.step, name, value) for point in first if isinstance(point, events.Metrics)
             for name, value in point.values.items()]  # fmt: skip
    assert again == points  # all points, those of before among them
    assert heard == points[: len(heard)]
    assert all(torch.equal(ended[name], one) for name, one in weights.items())


def test_a_fit_that_is_killed_goes_on_from_its_last_state_on_disk(model, inputs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(checkpoints, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    start = copy.deepcopy(with_dropout(model).network.state_dict())
    points, weights = learned(spec(model, inputs, steps=20, validations=4))
    file = tmp_path / "distill.pt"
    kept = spec(model, inputs, steps=20, validations=4, checkpoint=file)
    model.network.load_state_dict(start)
    steps = fit(kept, CPU, BestWeights())
    while not (file.is_file() and checkpoints.read(file).state["step"] >= 11):
        next(steps)
    shutil.copy(file, tmp_path / "as it was")
    steps.close()
    shutil.copy(tmp_path / "as it was", file)
    model.network.load_state_dict(start)
    again, ended = learned(kept)
    assert again == points
    assert all(torch.equal(ended[name], one) for name, one in weights.items())


def test_a_fit_that_is_done_is_not_repeated(model, inputs, tmp_path):  # noqa: F811
    kept = spec(model, inputs, steps=20, checkpoint=tmp_path / "distill.pt")
    points, weights = learned(kept)
    with torch.no_grad():
        for one in model.network.parameters():
            one.zero_()
    kept_again = spec(model, inputs, steps=20, checkpoint=tmp_path / "distill.pt", objective=None)
    again, ended = learned(kept_again)
    assert again == points
    assert all(torch.equal(ended[name], one) for name, one in weights.items())


def test_a_state_on_disk_is_the_old_one_or_the_new_one_whole(tmp_path, monkeypatch):
    file = tmp_path / "state.pt"
    checkpoints.write(file, {"step": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.write(file, {"step": 2})
    assert checkpoints.read(file).state == {"step": 1}


PLANS = {
    "deep": {"epochs": 2, "terms": "soft_target, hint", "hard_epochs": 1, "auto": True},
    "plan": {"epochs": 2, "plan": "prune:0.5, distill, sparsify:0.5, distill:1"},
    "views": {"epochs": 3, "augment": ["word_dropout"], "views": 2},
}


@pytest.mark.parametrize("name", PLANS)
def test_a_run_that_is_closed_in_every_phase_ends_as_an_unbroken_one(home, saved, name):
    config = parse_config({"dataset": "reviews", **TINY, **PLANS[name]})
    whole = list(trainer.distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)))
    phases = [one.phase for one in whole if isinstance(one, events.PhaseStarted)]
    told: dict[tuple, float] = {}
    for phase in phases:
        steps = trainer.distill(Job(run_id=2, config=config, dataset=home.dataset(saved.id), home=home))
        here, left = None, 4
        for event in steps:
            here = event.phase if isinstance(event, events.PhaseStarted) else here
            left -= here == phase
            tell(told, event)
            if left == 0:
                break
        steps.close()
    last = list(trainer.distill(Job(run_id=2, config=config, dataset=home.dataset(saved.id), home=home)))
    for event in last:
        tell(told, event)
    expected: dict[tuple, float] = {}
    for event in whole:
        tell(expected, event)
    assert told == expected
    for role in ("student", "control"):
        ours, theirs = (load_file(home.model(run, role) / "model.safetensors") for run in (1, 2))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert found(last) == found(whole)
    assert not home.checkpoints(2).exists()


def test_trials_that_are_done_are_not_repeated_by_a_run_that_goes_on(home, saved, monkeypatch):
    config = parse_config({"dataset": "reviews", **TINY, "auto": True, "control": False})
    tried, fit = [], tuning.fit
    monkeypatch.setattr(tuning, "fit", lambda spec, *others: tried.append(spec) or fit(spec, *others))

    def until(is_last):
        steps = trainer.distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home))
        choices = []
        for event in steps:
            choices += [event] if isinstance(event, events.Choice) else []
            if is_last(event):
                break
        steps.close()
        return choices

    until(lambda event: len(tried) == 3)
    (chosen,) = until(lambda event: isinstance(event, events.Metrics) and event.phase == "distill")
    pairs = [(spec.objective.config.temperature, spec.objective.config.alpha) for spec in tried]
    assert len(pairs) == len(chosen.tried) + 1, "the third one was not done, and that one alone begins anew"
    assert pairs[2] == pairs[3]
    assert until(lambda event: isinstance(event, events.PhaseStarted) and event.phase == "evaluate") == [chosen]
    assert len(tried) == len(pairs)


def tell(told, event):
    """A point that comes again must be the same."""
    if isinstance(event, events.Metrics):
        for name, value in event.values.items():
            assert told.setdefault((event.phase, event.step, name), value) == value


def found(said):
    """What the exam says, but for the clock."""
    return [(one.role, one.metric, one.value) for one in said
            if isinstance(one, events.Evaluation) and "latency" not in one.metric]  # fmt: skip


def test_a_run_whose_worker_is_killed_goes_on_by_itself_to_the_same_end(store, home, saved, monkeypatch):
    monkeypatch.setattr(runs, "FLUSH_SECONDS", 0)  # a stage is heard as soon as it begins
    config = parse_config({"dataset": "reviews", **TINY, "epochs": 20})
    plain = store.submit(config, key="plain", owner=new_owner())
    list(carry(store, home, plain))
    run = store.submit(config, key="killed", owner=new_owner())
    killed = 0
    for event in carry(store, home, run):
        if isinstance(event, events.Metrics) and event.phase == ("distill", "control")[min(killed, 1)] and killed < 2:
            for child in psutil.Process().children(recursive=True):
                if "studio.executors.worker" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGKILL)
            killed += 1
    assert killed == 2
    assert store.run(run.id).status == "finished"
    assert store.curve(run.id) == store.curve(plain.id)
    assert sum("goes on from its last checkpoint" in line.message for line in store.logs(run.id)) == 2
    accuracy = [[(one.role, one.value) for one in store.evaluations(number) if one.metric == "accuracy"]
                for number in (plain.id, run.id)]  # fmt: skip
    assert accuracy[0] == accuracy[1]


def test_a_run_that_was_paused_goes_on_when_it_is_told_to(store, home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "epochs": 60, "control": False})
    run = store.submit(config, key="k", owner=new_owner())
    for event in carry(store, home, run):
        if isinstance(event, events.Metrics) and event.phase == "distill":
            store.request_stop(run.id, pause=True)
    paused = store.run(run.id)
    assert (paused.status, paused.paused, paused.can_resume) == ("stopped", True, True)
    list(carry(store, home, store.resume(run.id, owner=new_owner())))
    assert store.run(run.id).status == "finished"
    steps = [point.step for point in store.curve(run.id) if (point.phase, point.name) == ("distill", "loss")]
    assert steps == sorted(set(steps))


def test_only_a_run_that_ended_before_its_verdict_can_go_on(store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(StoreError, match="is queued"):
        store.resume(run.id)
    store.claim("me")
    store.finish(run.id)
    with pytest.raises(StoreError, match="is finished"):
        store.resume(run.id)


def test_the_queue_goes_by_priority_and_then_by_age(store, saved):
    runs = [store.submit(parse_config({"dataset": "reviews", **TINY}), key=str(number)) for number in range(4)]
    store.move(runs[2].id, 0)
    store.move(runs[3].id, 0)
    assert [store.claim("me").id for _ in runs] == [runs[3].id, runs[2].id, runs[0].id, runs[1].id]


def test_a_run_in_the_archive_is_out_of_sight_and_whole(store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(StoreError, match="goes on"):
        store.archive(run.id)
    store.request_stop(run.id)
    store.archive(run.id)
    assert store.runs() == []
    assert [one.id for one in store.runs(archived=True)] == [run.id]
    assert store.has_archive()
    store.archive(run.id, False)
    assert [one.id for one in store.runs()] == [run.id]


def test_a_run_whose_models_another_run_uses_is_never_deleted(store, home, saved):
    first = store.submit(parse_config({"dataset": "reviews", **TINY}), key="first")
    other = {"dataset": "reviews", **TINY, "teacher": f"run:{first.id}/teacher"}
    user = store.submit(parse_config(other), key="user")
    for run in (first, user):
        store.request_stop(run.id)
        home.model(run.id, "student").mkdir(parents=True)
        (home.model(run.id, "student") / "model.safetensors").write_bytes(bytes(1000))
    with pytest.raises(StoreError, match=f"used by run {user.id}"):
        delete(home, store, first.id)
    assert home.model(first.id, "student").is_dir()
    assert delete(home, store, user.id) == 1000
    assert delete(home, store, first.id) == 1000
    assert not home.run(first.id).exists()
    assert store.runs(archived=True) == []


def test_a_run_that_goes_on_is_never_deleted(store, home, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(StoreError, match="is queued"):
        delete(home, store, run.id)
