"""Runs side by side."""

from dataclasses import replace

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.errors import ConfigError, StoreError
from studio.service import comparison
from tests.conftest import TINY


@pytest.fixture
def runs(store, saved):
    """Three finished runs: two alike but for the seed, a third that is better and larger."""
    figures = [({"seed": 0}, 0.7, 1.0), ({"seed": 1}, 0.6, 1.0), ({"alpha": 0.2}, 0.8, 3.0)]
    for number, (values, quality, megabytes) in enumerate(figures):
        run = store.submit(parse_config({"dataset": "reviews", **TINY, **values}), key=str(number), owner="me")
        said = [events.PhaseStarted(phase="teach"), events.PhaseFinished(phase="teach", seconds=10, steps=5),
                events.PhaseStarted(phase="distill")]  # fmt: skip
        said += [events.Metrics(phase="distill", step=step, values={"accuracy": step / 10}) for step in (5, 10)]
        said += [events.PhaseFinished(phase="distill", seconds=20, steps=10), events.PhaseStarted(phase="harden"),
                 events.Metrics(phase="harden", step=2, values={"accuracy": 0.9}),
                 events.PhaseFinished(phase="harden", seconds=4, steps=4)]  # fmt: skip
        for role, value in (("teacher", 0.9), ("student", quality)):
            said.append(events.Evaluation(role=role, split="test", metric="accuracy", value=value, n=50))
        said.append(events.Evaluation(role="student", split="", metric="size_bytes", value=megabytes * 1e6))
        store.record(run.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
        store.finish(run.id)
    return comparison.sides(store, [1, 2, 3])


def test_only_settings_that_differ_are_told(runs):
    assert comparison.differing(runs) == {"alpha": [0.7, 0.7, 0.2], "seed": [0, 1, 0]}
    assert comparison.differing(runs[:2]) == {"seed": [0, 1]}


def test_runs_that_differ_in_the_seed_alone_are_of_one_kind(runs):
    assert [[side.run.id for side in group] for group in comparison.groups(runs)] == [[1, 2], [3]]


def test_a_run_that_is_worse_at_the_same_price_is_beaten(runs):
    assert comparison.front(runs, "student_bytes") == [1, 3]
    assert comparison.front(runs, "student_ms") == []  # it was not measured


def test_sizes_that_two_versions_counted_otherwise_are_not_held_against_each_other(store, runs):
    assert {side.run.edition for side in runs} == {events.EDITION}
    assert comparison.of_earlier_versions(runs) == []
    older = replace(runs[0], run=replace(runs[0].run, edition=0))
    assert comparison.of_earlier_versions([older, *runs[1:]]) == [older]
    assert comparison.front([older, *runs[1:]], "student_bytes") == []
    alike = [replace(side, run=replace(side.run, edition=0)) for side in runs]
    assert comparison.of_earlier_versions(alike) == []
    assert comparison.front(alike, "student_bytes") == [1, 3]


def test_of_runs_that_learned_different_things_none_is_called_the_better_one(runs):
    other = replace(runs[2], data=replace(runs[2].data, task="image-classification"))
    assert comparison.same_measure(runs) is not None
    assert comparison.same_measure([*runs[:2], other]) is None
    assert comparison.front([*runs[:2], other], "student_bytes") == []


def test_a_curve_goes_on_through_the_hard_stage_and_knows_when_each_look_was(store, runs):
    found = comparison.curve(store, runs[0])
    assert found.steps == (5, 10, 12)
    assert found.seconds == (20.0, 30.0, 32.0)
    assert found.values == (0.5, 1.0, 0.9)


def test_smoothing_follows_its_definition():
    assert comparison.smoothed([1.0, 0.0, 1.0], 0.5) == pytest.approx([1, 1 / 3, 5 / 7])


@pytest.mark.parametrize(("ids", "error"), [([1], ConfigError), ([1, 1], ConfigError), ([1, 99], StoreError)])
def test_what_cannot_be_compared_is_told(store, runs, ids, error):
    with pytest.raises(error):
        comparison.sides(store, ids)


def test_the_facts_are_plain_values(store, runs):
    found = comparison.facts(store, runs)
    assert found["settings"]["alpha"] == [0.7, 0.7, 0.2]
    assert found["front"]["student_bytes"] == [1, 3]
    assert found["curves"]["1"][0] == {"step": 5, "seconds": 20.0, "value": 0.5}
    assert [run["evaluations"][1]["value"] for run in found["runs"]] == [0.7, 0.6, 0.8]
