"""Curves for other programs: TensorBoard for real, the others by what they are told."""

import importlib.machinery
import sys
import types

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from studio import events
from studio.config.reading import parse_config, with_values
from studio.errors import ConfigError
from studio.executors import trackers
from studio.executors.trackers import Trackers
from studio.service.runs import carry
from studio.service.runtime import new_owner
from tests.conftest import TINY


@pytest.fixture
def config():
    return parse_config({"dataset": "reviews", **TINY})


def test_tensorboard_gets_every_point_once_though_the_run_was_stopped(store, home, saved, config, monkeypatch):
    monkeypatch.setenv("STUDIO_TRACKERS", "tensorboard")
    run, stopped = store.submit(with_values(config, epochs=6), key="k", owner=new_owner()), False
    for event in carry(store, home, run):
        if isinstance(event, events.Metrics) and (event.phase, event.step) == ("distill", 10) and not stopped:
            stopped = True
            store.request_stop(run.id)
    list(carry(store, home, store.resume(run.id, owner=new_owner())))
    assert store.run(run.id).status == "finished"
    found = EventAccumulator(str(home.run(run.id) / "tensorboard"))
    found.Reload()
    held = [(tag, one.step, one.value) for tag in found.Tags()["scalars"] for one in found.Scalars(tag)]
    curves = [one for one in held if not one[0].startswith(("machine", "result"))]
    told = [(f"{one.phase}/{one.name}", one.step, pytest.approx(one.value)) for one in store.curve(run.id)]
    assert sorted(curves) == sorted(told, key=lambda one: one[:2])
    [accuracy] = [value for tag, _, value in held if tag == "result/test/student/accuracy"]
    [measured] = [one for one in store.evaluations(run.id) if (one.role, one.metric) == ("student", "accuracy")]
    assert accuracy == pytest.approx(measured.value)


def test_one_that_is_not_installed_is_told_of_once_and_the_run_goes_on(home, config, monkeypatch):
    monkeypatch.setenv("STUDIO_TRACKERS", "mlflow")
    monkeypatch.setattr(trackers, "is_installed", lambda name: False)
    taking = Trackers(home, 1, config, {})
    points = [events.Metrics(phase="teach", step=step, values={"loss": 1.0}) for step in range(3)]
    [warning] = [told for point in points for told in taking.take(point)]
    assert warning.level == "warning"
    assert "mlflow takes no points of this run" in warning.message
    assert "pip install mlflow" in warning.message


def test_a_name_that_the_studio_does_not_know_is_refused(home, config, monkeypatch):
    monkeypatch.setenv("STUDIO_TRACKERS", "tensorboard, comet")
    with pytest.raises(ConfigError, match="must name some of tensorboard, wandb, mlflow, trackio, got 'comet'"):
        Trackers(home, 1, config, {})


def test_without_a_name_nothing_is_opened(home, config, monkeypatch):
    monkeypatch.delenv("STUDIO_TRACKERS", raising=False)
    assert list(Trackers(home, 1, config, {}).take(events.Metrics(phase="teach", step=0, values={"loss": 1.0}))) == []
    assert not home.run(1).exists()


class FakeRun:
    def __init__(self, said):
        self.said = said

    def log(self, values, step=None):
        self.said.append((values, step))

    def define_metric(self, name, step_metric):
        self.said.append((name, step_metric))

    def finish(self):
        self.said.append("finished")


@pytest.fixture
def wandb(monkeypatch):
    """What a stand-in for Weights & Biases is told."""
    said: list = []
    module = types.ModuleType("wandb")
    module.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    module.config = types.SimpleNamespace(update=lambda values, **rest: said.append(values))
    module.init = lambda **words: said.append(words) or FakeRun(said)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(trackers, "is_installed", lambda name: True)
    monkeypatch.setenv("STUDIO_TRACKERS", "wandb")
    return said


def test_weights_and_biases_counts_the_steps_of_each_phase_for_itself(home, config, wandb):
    taking = Trackers(home, 7, config, {})
    assert list(taking.take(events.Metrics(phase="control", step=3, values={"loss": 1.5}))) == []
    taking.close()
    begun, settings, *told = wandb
    assert (begun["project"], begun["name"], begun["resume"]) == ("distillation-studio", "run 7", "allow")
    assert (settings["temperature"], settings["student"]) == (config.temperature, config.student)
    assert told == [("control/*", "control/step"), ({"control/loss": 1.5, "control/step": 3}, None), "finished"]


def test_a_run_that_goes_on_is_the_same_run_there_and_tells_nothing_twice(home, config, wandb):
    list(Trackers(home, 7, config, {}).take(events.Metrics(phase="teach", step=0, values={"loss": 1.0})))
    first = wandb[0]["id"]
    wandb.clear()
    again = Trackers(home, 7, config, {"teach/loss": 5})
    for step in (5, 6):
        assert list(again.take(events.Metrics(phase="teach", step=step, values={"loss": 2.0}))) == []
    assert wandb[0]["id"] == first
    assert wandb[1:] == [("teach/*", "teach/step"), ({"teach/loss": 2.0, "teach/step": 6}, None)]


def test_one_that_fails_in_the_middle_is_left_out_from_there(home, config, wandb):
    taking = Trackers(home, 7, config, {})
    list(taking.take(events.Metrics(phase="teach", step=0, values={"loss": 1.0})))
    taking._open["wandb"].tracker.log = lambda *rest, **words: 1 / 0
    points = [events.Metrics(phase="teach", step=step, values={"loss": 1.0}) for step in (1, 2)]
    [warning] = [told for point in points for told in taking.take(point)]
    assert "ZeroDivisionError" in warning.message


def test_one_that_fails_at_the_end_does_not_end_the_run(home, config, wandb, caplog):
    taking = Trackers(home, 7, config, {})
    list(taking.take(events.Metrics(phase="teach", step=0, values={"loss": 1.0})))
    taking._open["wandb"].tracker.finish = lambda: 1 / 0
    taking.close()
    assert "wandb did not take the last points of run 7" in caplog.text
