"""Home: the demos, and what runs, waits and is over."""

from studio import events
from studio.config.reading import parse_config
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words, written


def headings(app):
    return [heading.value for heading in (*app.header, *app.subheader)]


def test_home_shows_both_demos_and_the_latest_verdict_in_three_numbers(app, filled):
    app = opened(app, "home.py")
    assert {button.key for button in app.button} >= {"demo-text", "demo-images"}
    drawn = " ".join(written(app).split())
    assert "✓ The teacher helped" in drawn
    assert "100 % of the teacher’s accuracy kept 1 × no smaller on disk 1 × no faster" in drawn


def test_the_picture_has_the_figures_of_the_latest_finished_run_and_those_of_the_demo_before(app, store, saved):
    first = written(opened(app, "home.py"))
    assert "3.7 MB · 90.6 %" in first and "The demo with messages." in first
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    told = {"teacher": (0.9, 8e6), "student": (0.6, 2e6)}
    store.record(run.id, [
        events.Evaluation(role=role, split="test", metric=metric, value=value, n=50)
        for role, values in told.items()
        for metric, value in zip(("accuracy", "size_bytes"), values, strict=True)
    ])  # fmt: skip
    store.record(run.id, [events.Verdict(outcome="no_control", sentence="Good.")])
    store.finish(run.id)
    app = opened(fresh(), "home.py")
    (picture,) = [one.proto.body for one in app.get("html") if 'class="ds-shrink"' in one.proto.body]
    assert "--wide:240;" in picture and "--wide:120;" in picture  # a quarter of the area
    assert "--level:90%" in picture and "--level:60%" in picture
    assert "8 MB · 90.0 %" in written(app)
    assert "From run 1, reviews." in written(app) and "The demo with messages." not in written(app)


def test_a_click_on_a_demo_queues_its_run(app, store):
    app = opened(app, "home.py")
    app.button(key="demo-images").click().run()
    assert not app.exception
    assert "Run 1 · just now" in words(app)
    assert [run.config.dataset for run in store.runs()] == ["Demo: handwritten digits"]


def test_a_paused_run_waits_to_be_resumed_and_is_not_among_the_results(app, filled):
    paused = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="paused", owner="me")
    filled.request_stop(paused.id, True)
    filled.stopped(paused.id)
    app = opened(app, "home.py")
    assert headings(app)[:3] == ["Running now", "Continue", "Latest results"]
    links = [link.proto.label for link in app.get("page_link")]
    assert f"Resume: run {paused.id}" in links
    assert [link for link in links if link.startswith("Results of")] == ["Results of run 1"]


def test_a_trial_that_its_search_has_stopped_is_nothing_to_continue(app, filled):
    trial = parse_config({"dataset": "reviews", **TINY, "evaluate_on": "validation"})
    run = filled.submit(trial, key="trial", owner="me")
    filled.request_stop(run.id)
    filled.stopped(run.id)
    links = [link.proto.label for link in opened(app, "home.py").get("page_link")]
    assert "See what went wrong: run 2" in links and f"Open: run {run.id}" not in links


def test_a_running_run_has_one_bar_for_the_whole(app, filled):
    app = opened(app, "home.py")
    assert "Running now" in headings(app)
    assert [one for one in app.get("html") if 'class="ds-bar"' in one.proto.body]
    assert "waits for its turn" in words(app).replace("\\", "")


def test_own_data_can_be_added_after_the_first_run_too(app, filled):
    app = opened(app, "home.py")
    assert app.button(key="own-data").label == "Bring your data"


def test_an_empty_studio_tells_its_three_steps_and_has_one_primary_button(app, store):
    app = opened(app, "home.py")
    assert "For example: ✓ The teacher helped" in " ".join(written(app).split())  # nobody takes it for a result
    assert headings(app) == ["How it works", "1 · Bring data", "2 · Say how small", "3 · Read the verdict"]
    assert [button.key for button in app.button if button.proto.type == "primary"] == ["own-data"]


def test_the_guide_explains_a_good_and_a_bad_verdict_and_every_word_of_a_result(app, store):
    app = opened(app, "guide.py")
    drawn = written(app)
    for word in ("Control", "Macro F1", "95 % interval", "Baseline"):
        assert word in drawn
    assert {"Temperature", "Alpha", "Prune ratio"} < set(headings(app))
    assert words(app).count("What to do:") == 3
