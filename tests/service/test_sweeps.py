"""Searches for settings: trials in the queue, choices on validation rows, the test rows for the winner alone."""

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.config.sweep import parse_sweep
from studio.errors import AccessError, ConfigError, StoreError
from studio.service import sweeps
from studio.service.acts import Acts
from studio.service.people import Person
from studio.store.store import Store
from tests.conftest import TINY

BASE = {"dataset": "reviews", **TINY}


def search(**values):
    return parse_sweep({"base": BASE, "search": {"temperature": "1..8", "alpha": [0.2, 0.9]}, "trials": 4, **values})


def carried(store, run, value: float, milliseconds: float = 1.0) -> None:
    """The run comes to its end with these figures of its student."""
    claimed = store.claim("me")
    assert claimed.id == run.id
    end(store, run.id, value, milliseconds)


def end(store, run_id: int, value: float, milliseconds: float = 1.0) -> None:
    said: list[events.Event] = [
        events.Metrics(phase="distill", step=step, values={"accuracy": value}) for step in (1, 2)
    ]
    said += [events.Evaluation(role="student", split="validation", metric="accuracy", value=value),
             events.Evaluation(role="student", split="", metric="latency_ms", value=milliseconds),
             events.Evaluation(role="student", split="", metric="size_bytes", value=1e6),
             events.Verdict(outcome="no_control", sentence="A trial.")]  # fmt: skip
    store.record(run_id, said)
    store.finish(run_id)


@pytest.fixture
def begun(store, saved):
    def begin(**values):
        return store.add_sweep(search(**values), "key")

    return begin


def test_a_search_ends_with_a_winner_that_alone_reads_the_test_rows(home, store, begun):
    sweep = begun()
    qualities = iter((0.6, 0.9, 0.7, 0.8))
    trials = []
    while (run := sweeps.step(store, home, store.sweep(sweep.id))) and store.sweep(sweep.id).winner is None:
        trials.append(run)
        carried(store, run, next(qualities))
    assert [run.config.evaluate_on for run in trials] == ["validation"] * 4
    assert not any(run.config.control for run in trials)
    winner = store.run(store.sweep(sweep.id).winner)
    best = store.trials(sweep.id)[1].params
    assert (winner.config.temperature, winner.config.alpha) == (best["temperature"], best["alpha"])
    assert winner.config.evaluate_on == "test" and winner.config.control
    assert store.sweep(sweep.id).status == "finished"


def test_what_is_over_the_limit_cannot_win(home, store, begun):
    sweep = begun(target="best accuracy under 5 ms and 10 MB", trials=2)
    for value, milliseconds in ((0.9, 7.0), (0.6, 2.0)):
        carried(store, sweeps.step(store, home, sweep), value, milliseconds)
    winner = sweeps.step(store, home, sweep)
    assert winner.config.temperature == store.trials(sweep.id)[1].params["temperature"]


def test_where_nothing_keeps_to_the_target_it_is_told_and_nothing_is_tested(home, store, begun):
    sweep = begun(target="best under 1 kB", trials=2)
    for _ in range(2):
        carried(store, sweeps.step(store, home, sweep), 0.9)
    assert sweeps.step(store, home, sweep) is None
    assert "None of 2 students keeps to the target" in store.sweep(sweep.id).message
    assert len(store.runs()) == 2


def test_a_search_goes_on_after_a_kill_at_any_place_without_a_trial_twice(home, store, begun, monkeypatch):
    sweep = begun()
    monkeypatch.setattr(sweeps, "_queue", lambda *told: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # killed between the decision and the queue
        sweeps.step(store, home, sweep)
    monkeypatch.undo()
    again = Store(store.path)
    decided = again.trials(sweep.id)
    run = sweeps.step(again, home, sweep)
    assert [trial.params for trial in again.trials(sweep.id)] == [trial.params for trial in decided]
    assert sweeps.step(again, home, sweep).id == run.id  # it waits: nothing else is queued
    assert len(again.runs()) == 1


def test_trials_that_an_open_studio_has_taken_are_waited_for(home, store, begun, monkeypatch):
    sweep, qualities = begun(trials=2), iter((0.6, 0.9, 0.8))
    first = sweeps.step(store, home, sweep)
    store.claim("an open studio")
    taken = [first.id]

    def take_the_next(seconds):
        end(store, taken[-1], next(qualities))
        sweeps.advance(store, home)
        if (following := store.claim("an open studio")) is not None:
            taken.append(following.id)

    monkeypatch.setattr(sweeps.time, "sleep", take_the_next)
    assert [run.id for run in sweeps.carried(home, store, sweep.id)] == taken
    assert (len(taken), store.sweep(sweep.id).winner) == (3, taken[-1])


def test_a_run_that_another_process_takes_first_is_left_to_it(store, saved, monkeypatch):
    run = store.submit(parse_config(BASE), key="k")
    looked = store.run(run.id)
    store.claim("another")
    monkeypatch.setattr(store, "run", lambda number: looked)  # as it was a moment ago
    with pytest.raises(StoreError):
        store.resume(run.id, owner="me")
    monkeypatch.undo()
    assert store.run(run.id).owner == "another"


def test_trials_learn_from_the_teachers_that_the_first_one_trained(home, store, begun):
    sweep = begun(base={"dataset": "reviews", **TINY, "more_teachers": ["builtin/transformer-tiny"]})
    first = sweeps.step(store, home, sweep)
    assert sweeps.step(store, home, sweep).id == first.id  # the second one waits for that teacher
    for role in ("teacher", "teacher-2"):
        home.model(first.id, role).mkdir(parents=True)
    carried(store, first, 0.5)
    second = sweeps.step(store, home, sweep).config
    assert (second.teacher, *second.more_teachers) == (f"run:{first.id}/teacher", f"run:{first.id}/teacher-2")


def test_a_search_among_teachers_borrows_none(home, store, begun):
    sweep = begun(search={"teacher": ["builtin/transformer-small", "builtin/fasttext-small"]})
    first = sweeps.step(store, home, sweep)
    home.model(first.id, "teacher").mkdir(parents=True)
    carried(store, first, 0.5)
    assert sweeps.step(store, home, sweep).config.teacher.startswith("builtin/")


def test_a_trial_that_is_below_the_median_is_stopped_and_one_above_is_not(home, store, begun):
    sweep = begun(trials=10)
    for value in (0.6, 0.7, 0.8, 0.9):
        carried(store, sweeps.step(store, home, sweep), value)
    for value, stops in ((0.85, False), (0.3, True)):
        run = sweeps.step(store, home, sweep)
        store.claim("me")
        said = [events.Metrics(phase="distill", step=1, values={"accuracy": value})]

        def told(run=run, said=said):
            store.record(run.id, said)
            yield from said

        list(sweeps.watched(store, run, told()))
        assert store.stop_requested(run.id) is stops
        (store.stopped if stops else store.finish)(run.id)
    assert [trial.pruned for trial in store.trials(sweep.id)] == [False] * 5 + [True]


def test_the_setting_that_decides_is_told(store, begun):
    sweep = begun(search={"temperature": "1..8", "weight_decay": "0..1"}, trials=40)
    found = []
    for number in range(30):
        params = {"temperature": 1 + 7 * (number * 7 % 30) / 30, "weight_decay": (number * 11 % 30) / 30}
        trial = sweeps.TrialRow(number, params, number, False)
        found.append(sweeps.Tried(trial, None, value=params["temperature"] / 10, milliseconds=1, size_bytes=1))
    told = sweeps.importance(sweep.config, found)
    assert told["temperature"] > 0.8 and sum(told.values()) == pytest.approx(1)
    assert sweeps.importance(sweep.config, found[:3]) == {}


def test_the_sampler_learns_from_what_was_tried(store, begun):
    sweep = begun(search={"temperature": "1..8"}, trials=100)
    found = []
    for number in range(40):
        temperature = 1 + 7 * (number * 7 % 40) / 40
        trial = sweeps.TrialRow(number, {"temperature": temperature}, number, False)
        found.append(sweeps.Tried(trial, None, value=-abs(temperature - 6), milliseconds=1, size_bytes=1))
    asked = [sweeps.study(sweep.config, found[: 40 - few]).ask(sweeps.distributions(sweep.config)) for few in range(8)]
    assert sum(4.5 < trial.params["temperature"] < 7.5 for trial in asked) >= 6


def test_three_failures_in_a_row_end_a_search(home, store, begun):
    sweep = begun(trials=10)
    for _ in range(3):
        run = sweeps.step(store, home, sweep)
        store.claim("me")
        store.fail(run.id, ConfigError("It is wrong."))
    sweeps.advance(store, home)
    assert store.sweep(sweep.id).status == "failed"
    assert "It is wrong" in store.sweep(sweep.id).message


def test_a_search_is_paused_with_its_trial_and_goes_on_with_it(home, store, begun):
    sweep = begun()
    acts = Acts(Person("ada", "admin"), home, store)
    run = sweeps.step(store, home, sweep)
    acts.pause_search(sweep.id)
    assert (store.run(run.id).status, store.sweeps_that_go_on()) == ("stopped", [])
    acts.pause_search(sweep.id, False)
    assert (store.run(run.id).status, store.sweeps_that_go_on()) == ("queued", [sweep.id])


def test_a_viewer_begins_no_search_and_a_member_pauses_her_own_alone(home, store, saved):
    people = {name: Person(name, role, f"{name}@example.org") for name, role in
              (("vi", "viewer"), ("ada", "member"), ("eve", "member"))}  # fmt: skip
    with pytest.raises(AccessError):
        Acts(people["vi"], home, store).search(search(), key="a")
    sweep = Acts(people["ada"], home, store).search(search(), key="a")
    with pytest.raises(AccessError):
        Acts(people["eve"], home, store).pause_search(sweep.id)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"search": {"temprature": "1..2"}}, "cannot be varied"),
        ({"search": {"dataset": ["a", "b"]}}, "cannot be varied"),
        ({"search": {"alpha": "0.1..1.5"}}, "alpha must be between 0 and 1"),
        ({"search": {"alpha": "0.9..0.1"}}, "to a higher one"),
        ({"search": {"learning_rate": "0..0.1:log"}}, "begins above 0"),
        ({"search": {"alpha": [0.5]}}, "two values or more"),
        ({"search": {}}, "search"),
        ({"trials": 1}, "trials"),
        ({"target": "under 5 parsecs"}, "target must be like"),
    ],
)
def test_a_search_that_cannot_be_is_told_in_words(values, told):
    with pytest.raises(ConfigError, match=told):
        search(**values)


def test_settings_of_whole_numbers_stay_whole(home, store, begun):
    sweep = begun(search={"batch_size": "8..64", "epochs": "1..9"})
    run = sweeps.step(store, home, sweep)
    assert isinstance(run.config.batch_size, int) and 8 <= run.config.batch_size <= 64
    assert run.config == parse_config(run.config.model_dump(mode="json"))
