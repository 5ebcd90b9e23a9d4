"""Home: the demos, and what runs, waits and is over."""

from studio.config.reading import parse_config
from tests.conftest import TINY
from tests.pages.conftest import opened, words


def test_home_shows_both_demos_and_the_latest_verdict(app, filled):
    app = opened(app, "home.py")
    assert {button.key for button in app.button} >= {"demo-text", "demo-images"}
    assert "The student kept 97 % of it" in words(app).replace("\\", "")


def test_a_click_on_a_demo_queues_its_run(app, store):
    app = opened(app, "home.py")
    app.button(key="demo-images").click().run()
    assert not app.exception
    assert app.title[0].value == "Run 1"
    assert [run.config.dataset for run in store.runs()] == ["Demo: handwritten digits"]


def test_a_paused_run_waits_to_be_resumed_and_is_not_among_those_that_are_over(app, filled):
    paused = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="paused", owner="me")
    filled.request_stop(paused.id, True)
    filled.stopped(paused.id)
    app = opened(app, "home.py")
    assert [header.value for header in app.header] == [
        "Try a demo", "Active runs", "Paused", "Recent runs", "Your own data"
    ]  # fmt: skip
    links = [link.proto.label for link in app.get("page_link")]
    assert links.count("Resume") == 1
    assert links.count("See the results") == 1


def test_own_data_can_be_added_after_the_first_run_too(app, filled):
    app = opened(app, "home.py")
    assert "Add data" in [link.proto.label for link in app.get("page_link")]
