"""Versions of data sets: what came out of what, and the same run on the new one."""

import sqlite3

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.service import library
from studio.store.versions import way
from tests.conftest import TINY, reviews
from tests.pages.conftest import fresh, opened, words


@pytest.fixture
def newer(home, store, saved):
    """The reviews with ten more rows, as their second version."""
    columns = Columns("text", "label")
    row = library.save(store, home, "reviews 2", clean(reviews(130), columns, "text-classification"), columns)
    store.add_version(row.id, saved.id, {"added": 10})
    return row


def finished(store, dataset: str):
    run = store.submit(parse_config({"dataset": dataset, **TINY}), key=dataset, owner="me")
    said = [
        events.Evaluation(role=role, split="test", metric="accuracy", value=0.8, n=50)
        for role in ("teacher", "student")
    ]
    store.record(run.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
    store.finish(run.id)
    return run


def test_versions_are_counted_and_the_first_one_needs_no_word(store, saved, newer):
    assert [(one.dataset_id, one.number) for one in store.versions(newer.id)] == [(saved.id, 1), (newer.id, 2)]
    assert store.newer_version(saved.id).dataset_id == newer.id
    assert store.newer_version(newer.id) is None
    store.add_version(newer.id, saved.id, {"added": 99})
    assert store.version(newer.id).change == {"added": 10}
    store.delete_dataset(newer.id)
    assert store.newer_version(saved.id) is None


def test_a_version_of_a_version_is_of_the_same_family(home, store, saved, newer):
    columns = Columns("text", "label")
    third = library.save(store, home, "reviews 3", clean(reviews(140), columns, "text-classification"), columns)
    assert store.add_version(third.id, newer.id, {}).number == 3
    assert store.newer_version(saved.id).dataset_id == third.id


def test_a_run_goes_again_on_the_new_version_at_a_click_and_once(app, store, saved, newer):
    run = finished(store, "reviews")
    for window in (app, fresh()):
        window = opened(window, "results.py", run=str(run.id))
        assert "10 rows added" in words(window)
        window.button(key=f"again-on-{run.id}").click().run()
    again = [one for one in store.runs() if one.dataset_id == newer.id]
    assert len(again) == 1 and again[0].config.student == run.config.student


def test_the_comparison_says_what_changed_between_versions(app, store, saved, newer):
    first, second = finished(store, "reviews"), finished(store, "reviews 2")
    app = opened(app, "compare.py", runs=f"{first.id},{second.id}")
    assert "is version 2: 10 rows added" in words(app).replace("\\", "")


def test_a_data_set_says_which_version_it_is(app, store, saved, newer):
    text = words(opened(app, "data.py")).replace("\\", "")
    assert "Version 2 of “reviews”: 10 rows added" in text and "newer version: “reviews 2”" in text


def other_version(home, store, of, more: int, change: dict[str, int]):
    """One more version, with so many rows more than the reviews."""
    columns, name = Columns("text", "label"), f"reviews with {more} more"
    row = library.save(store, home, name, clean(reviews(120 + more), columns, "text-classification"), columns)
    store.add_version(row.id, of.id, change)
    return row


def test_what_changed_is_told_against_what_a_version_was_made_of(app, home, store, saved, newer):
    side = other_version(home, store, saved, 1, {"added": 1})
    runs = [finished(store, name).id for name in ("reviews", "reviews 2", side.name)]
    for pair, told in (
        ((1, 2), ["is version 2: 10 rows added.", "is version 3: 1 row added against version 1."]),
        ((0, 2), ["is version 3: 1 row added against version 1."]),
    ):
        seen = words(opened(fresh(), "compare.py", runs=",".join(str(runs[place]) for place in pair))).replace("\\", "")
        assert all(one in seen for one in told) and seen.count("is version") == len(told)
    assert "1 row added against version 1" in words(opened(app, "data.py")).replace("\\", "")


def test_a_run_is_told_all_that_was_added_since_its_data(app, home, store, saved, newer):
    other_version(home, store, newer, 11, {"added": 1})
    run = finished(store, "reviews")
    assert "11 rows added" in words(opened(app, "results.py", run=str(run.id)))


def test_a_version_that_goes_leaves_its_change_to_those_that_were_made_of_it(home, store, saved, newer):
    third = other_version(home, store, newer, 11, {"added": 1})
    store.delete_dataset(newer.id)
    assert (store.version(third.id).parent, store.version(third.id).change) == (saved.id, {"added": 11})


def test_versions_of_an_older_home_are_made_of_the_one_before(home, store, saved, newer):
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE versions SET parent = NULL")
    family = store.versions(saved.id)
    assert [one.dataset_id for one in way(family, newer.id)] == [saved.id, newer.id]
    assert store.version(newer.id).parent is None
