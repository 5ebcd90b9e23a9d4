"""A search for settings in Python, with trials that are measured by hand."""

import pytest

from studio import api, events
from studio.config.reading import parse_config
from studio.errors import ConfigError, StudioError
from studio.service import sweeps
from tests.conftest import TINY


@pytest.fixture
def base(home, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="base", owner="me")
    store.finish(run.id)
    return run.id


@pytest.fixture
def carried(monkeypatch):
    """Every run is over at once: the higher the temperature, the better."""

    def carry(store, home, run):
        good = min(0.99, run.config.temperature / 10)
        said = [events.Evaluation(role="student", split="validation", metric="accuracy", value=good, n=10),
                events.Verdict(outcome="no_control", sentence="A trial.")]  # fmt: skip
        store.record(run.id, said)
        store.finish(run.id)
        return iter(said)

    monkeypatch.setattr(sweeps.runs, "carry", carry)


def test_a_search_ends_with_the_best_settings_trained_once_more(base, carried, capsys):
    found = api.search(base, {"temperature": [2.0, 9.0]}, trials=3)
    assert found.status == "finished"
    assert len(found.trials) == 3
    assert found.winner.config.temperature == found.trials.sort_values("accuracy")["temperature"].iloc[-1]
    assert (found.winner.config.evaluate_on, found.winner.config.control) == ("test", True)
    assert capsys.readouterr().out.count("A trial.") == 4
    assert repr(found) == "<Search 1: finished, 3 trials>"


def test_what_a_trial_says_cannot_steer_the_terminal(base, store, monkeypatch, capsys):
    def carry(store, home, run):
        store.fail(run.id, StudioError("No label \x1b[2J is known."))
        return iter(())

    monkeypatch.setattr(sweeps.runs, "carry", carry)
    api.search(base, {"temperature": [2.0, 9.0]}, trials=2)
    assert "No label \N{REPLACEMENT CHARACTER}[2J is known." in capsys.readouterr().out


def test_the_best_one_is_trained_three_times_as_long():
    config = parse_config({"dataset": "reviews", **TINY})
    assert sweeps.longer(config).epochs == 3 * TINY["epochs"]
    assert sweeps.longer(config.model_copy(update={"epochs": None, "training_length": 0.5})).training_length == 1.5


def test_what_cannot_be_varied_is_refused_and_a_search_without_a_winner_says_so(base, store, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be varied"):
        api.search(base, {"seed": [1, 2]})
    monkeypatch.setattr(sweeps.runs, "carry", lambda store, home, run: iter(store.finish(run.id) or ()))
    found = api.search(base, {"temperature": "1..9"}, trials=2, progress=False)
    with pytest.raises(StudioError, match="has no winner"):
        found.train_longer()
