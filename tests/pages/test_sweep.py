"""The page of a search for settings."""

import pytest

from pages._run_pictures import setting_of
from studio import events
from studio.config.sweep import parse_sweep
from studio.service import samples, sweeps
from studio.tasks import Measure
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words, written

BASE = {"dataset": "reviews", **TINY}


def begun(home, store, trials: int = 2, **settings):
    store.request_stop(3)  # of the fixture: nothing else waits
    search = {"temperature": "1..8", "alpha": "0.1..0.9"}
    return store.add_sweep(parse_sweep({"base": BASE | settings, "search": search, "trials": trials}), "key")


def carried(home, store, sweep, value: float) -> None:
    run = sweeps.step(store, home, sweep)
    store.claim("me")
    said = [events.Evaluation(role="student", split="validation", metric="accuracy", value=value),
            events.Metrics(phase="distill", step=1, values={"accuracy": value})]  # fmt: skip
    store.record(run.id, [*said, events.Verdict(outcome="no_control", sentence="A trial.")])
    store.finish(run.id)


def test_a_search_begins_at_a_click_from_the_settings_of_a_run(app, filled):
    app = opened(app, "sweep.py", **{"from": "1"})
    app.text_input(key="range-temperature").set_value("2..4")
    app.number_input(key="mb").set_value(10.0)
    app.button(key="begin").click().run()
    assert not app.exception
    (sweep,) = filled.sweeps()
    assert sweep.config.search["temperature"].high == 4
    assert (sweep.config.target, sweep.config.base.student) == ("best under 10 MB", TINY["student"])


def test_a_range_that_cannot_be_is_told_in_words(app, filled):
    app = opened(app, "sweep.py")
    app.text_input(key="range-alpha").set_value("0.5..9")
    app.button(key="begin").click().run()
    assert "alpha must be between 0 and 1" in app.error[0].value.replace("\\", "")
    assert filled.sweeps() == []


def test_a_search_shows_its_best_trial_first_and_can_be_paused(app, filled, home):
    sweep = begun(home, filled, trials=3)
    for value in (0.6, 0.8):
        carried(home, filled, sweep, value)
    app = opened(app, "sweep.py", id="1")
    assert "Best so far: 80.0 %" in app.title[0].value.replace("\\", "")
    assert "any size and speed" in words(app)
    text = " ".join(written(app).split())
    assert text.index("80.0 %") < text.index("60.0 %")
    app.button(key="pause").click().run()
    assert filled.sweep(1).status == "paused"


def test_each_setting_that_was_varied_has_a_picture_in_which_the_best_trial_stands_out(app, filled, home):
    sweep = begun(home, filled, trials=4)
    carried(home, filled, sweep, 0.6)
    assert not drawn_in(opened(app, "sweep.py", id="1"))  # one trial is no picture
    for value in (0.8, 0.7):
        carried(home, filled, sweep, value)
    pruned = sweeps.step(filled, home, sweep)
    filled.prune(pruned.id)
    app = opened(fresh(), "sweep.py", id="1")
    assert "Since trial 2, 2 more did no better" in [one.value for one in app.header]
    (drawn,) = drawn_in(app)
    pictures = drawn.split("<figure")[1:]
    assert [picture.count('class="student"') for picture in pictures] == [1, 1]
    assert all(f"Trial 2: {words}, 80.0 %" in drawn for words in told_of(filled, 2))


def drawn_in(app) -> list[str]:
    return [one.proto.body for one in app.get("html") if 'class="ds-tried"' in one.proto.body]


def told_of(store, number: int) -> list[str]:
    """The settings of a trial as they are written."""
    (trial,) = [one for one in store.trials(1) if one.number == number - 1]
    return [setting_of(name, value) for name, value in trial.params.items()]


def test_the_best_one_is_trained_longer_at_a_click_and_once(app, filled, home):
    sweep = begun(home, filled)
    for value in (0.6, 0.8):
        carried(home, filled, sweep, value)
    winner = sweeps.step(filled, home, sweep)
    for window in (app, fresh()):
        opened(window, "sweep.py", id="1").button(key="longer").click().run()
    longer = [run for run in filled.runs() if run.config.epochs == 3 * winner.config.epochs]
    assert [run.name for run in longer] == ["Search 1, winner, trained longer"]
    assert "trained once more now" in words(opened(fresh(), "sweep.py", id="1"))
    said = [events.Evaluation(role="student", split="test", metric="accuracy", value=0.75, low=0.7, high=0.8, n=100)]
    filled.record(winner.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
    filled.set_sweep(1, "finished")
    assert "reaches **75.0 %** on the test rows" in words(opened(fresh(), "sweep.py", id="1"))
    assert opened(fresh(), "sweep.py", id="1").title[0].value.replace("\\", "").startswith("Best: 80.0")


def before(home, store, value: float) -> int:
    """A finished run with the settings that the search begins from, whose student came so far on validation rows."""
    store.request_stop(3)
    run = store.submit(parse_sweep({"base": BASE, "search": {"alpha": "0.1..0.9"}}).base, key="before", owner="me")
    looks = [
        events.Metrics(phase="distill", step=step, values={"accuracy": one})
        for step, one in ((1, value - 0.1), (2, value))
    ]
    store.record(run.id, [*looks, events.Verdict(outcome="no_control", sentence="So it was.")])
    store.finish(run.id)
    return run.id


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.3, "has 30.0 % on the same validation rows, the best trial 80.0 %: more than such a value may be off by"),
     (0.79, "has 79.0 % on the same validation rows, the best trial 80.0 %: so small a gain may be chance"),
     (0.8, "No trial did better than run {run}, from which it began: 80.0 % on the same validation rows")],
)  # fmt: skip
def test_a_search_says_whether_it_did_better_than_the_run_it_began_from(app, filled, home, value, said):
    run = before(home, filled, value)
    sweep = begun(home, filled)
    for one in (0.6, 0.8):
        carried(home, filled, sweep, one)
    shown = words(opened(app, "sweep.py", id="1")).replace("\\", "").replace("\N{NO-BREAK SPACE}", " ")
    assert said.format(run=run) in shown
    winner = sweeps.step(filled, home, sweep)
    filled.claim("me")
    filled.record(winner.id, [events.Verdict(outcome="better", sentence="So it is.")])
    filled.finish(winner.id)
    links = {link.proto.label: link.proto.query_string for link in opened(fresh(), "sweep.py", id="1").get("page_link")}
    assert links[f"Compare the winner with run {run} on the test rows"] == f"runs={run}%2C{winner.id}"


def test_of_a_measure_that_is_no_share_two_numbers_do_not_say_that_a_gain_holds(app, filled, home, monkeypatch):
    loss = Measure("accuracy", "Loss", "", unit="number", interval="bootstrap", lower=True)
    monkeypatch.setattr(sweeps, "measure", lambda store, sweep: loss)
    run, sweep = before(home, filled, -2.5), begun(home, filled)
    carried(home, filled, sweep, -2.0)
    said = words(opened(app, "sweep.py", id="1")).replace("\\", "")
    assert f"Run {run}, from which it began, has 2.500 on the same validation rows, the best trial 2.000" in said
    assert "another seed would tell whether it holds" in said and "off by" not in said


def test_trials_that_are_equally_good_are_told_as_such(app, filled, home):
    sweep = begun(home, filled, trials=3)
    for value in (0.8, 0.8):
        carried(home, filled, sweep, value)
    title = opened(app, "sweep.py", id="1").title[0].value.replace("\\", "")
    assert title == "2 trials share the best value: 80.0 % in accuracy on validation rows, so far"


def test_what_a_search_cannot_compare_it_says_with_what_would_tell(app, filled, home, monkeypatch):
    carried(home, filled, begun(home, filled, seed=77), 0.6)
    assert "No finished run has the settings that this search began from" in words(opened(app, "sweep.py", id="1"))
    run = before(home, filled, 0.5)
    filled.set_sweep(1, "finished")
    sweep = filled.add_sweep(parse_sweep({"base": BASE, "search": {"alpha": "0.1..0.9"}, "trials": 2}), "other")
    carried(home, filled, sweep, 0.6)
    monkeypatch.setattr(sweeps, "SAME_VALUE", -1.0)  # a trial whose curve does not tell its value
    shown = words(opened(fresh(), "sweep.py", id=str(sweep.id)))
    assert f"Run {run}, from which it began, has no value on these validation rows" in shown


def test_names_that_the_studio_gave_are_in_the_readers_language_and_those_of_people_stay(app, filled, home):
    sweep = begun(home, filled)
    run = sweeps.step(filled, home, sweep)
    filled.describe_run(1, name="Search of my own, winner")
    app.context = {"locale": "zh-CN"}
    app = opened(app, "all_runs.py")
    links = [link.proto.label for link in app.get("page_link")]
    assert "**搜索 1，第 1 次试验**" in links and "**Search of my own, winner**" in links
    page = fresh()
    page.context = {"locale": "zh-CN"}
    assert opened(page, "run.py", run=str(run.id)).title[0].value == "搜索 1，第 1 次试验"


@pytest.mark.parametrize("demo", samples.NAMES.values())
def test_the_names_of_the_studios_own_data_are_in_the_readers_language_and_are_stored_as_they_were(
    app, filled, saved, demo
):
    filled.rename_dataset(saved.id, f"{demo} 2")
    app.context = {"locale": "zh-CN"}
    shown = words(opened(app, "data.py"))
    assert "演示：" in shown and demo not in shown
    page = fresh()
    page.context = {"locale": "zh-CN"}
    page = opened(page, "new_run.py")
    assert [one.startswith("演示：") for one in page.selectbox(key="dataset").options] == [True]
    assert filled.dataset(f"{demo} 2").id == saved.id


def test_a_search_that_is_not_there_is_told_in_words(app, filled):
    assert "no search 99" in opened(app, "sweep.py", id="99").error[0].value.replace("\\", "")
    assert "Search for better settings" in words(opened(fresh(), "sweep.py", id="x" * 30))


def test_a_search_that_goes_on_says_which_trial_waits_or_is_trained_and_how_far_chance_reaches(app, filled, home):
    sweep = begun(home, filled, trials=3)
    assert opened(app, "sweep.py", id="1").title[0].value == "No trial is over yet"
    carried(home, filled, sweep, 0.6)
    run = sweeps.step(filled, home, sweep)
    app = opened(fresh(), "sweep.py", id="1")
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert links["Trial 2 is being trained"] == f"run={run.id}"
    rows = filled.dataset("reviews").splits["validation"]
    assert f"On {rows} rows a value may be off by about" in words(app)
    assert "waits" in written(app)
    filled.claim("me")
    assert "is trained now" in written(app.run())


def test_a_trial_behind_another_run_says_that_it_waits(app, filled, home):
    filled.claim("me")  # the third run of the fixture is carried out
    sweep = filled.add_sweep(parse_sweep({"base": BASE, "search": {"alpha": "0.1..0.9"}, "trials": 2}), "key")
    sweeps.step(filled, home, sweep)
    links = [link.proto.label for link in opened(app, "sweep.py", id="1").get("page_link")]
    assert "Trial 1 waits: 1 other run comes first" in links


def test_a_search_without_a_result_says_so_in_its_title(app, filled, home):
    begun(home, filled)
    filled.set_sweep(1, "failed", "3 trials failed one after another. The last one: The disk is full.")
    assert opened(app, "sweep.py", id="1").title[0].value == "No trial came to a result"
