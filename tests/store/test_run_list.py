"""The list of the runs: names, notes and tags; searched, filtered, sorted."""

import sqlite3

import pytest
from sqlite_utils import Database

from studio import events
from studio.config.reading import parse_config
from studio.errors import ConfigError
from studio.store.migrations import MIGRATIONS
from studio.store.run_list import Wanted
from studio.store.store import Store
from tests.conftest import TINY


@pytest.fixture
def config(saved):
    return parse_config({"dataset": "reviews", **TINY})


def measured(store, config, student: float, megabytes: float, milliseconds: float, teacher: float = 0.9) -> int:
    """A finished run with these figures; returns its number."""
    run = store.submit(config, key=f"{student} {megabytes} {milliseconds}", owner="me")
    values = {"teacher": (teacher, 10.0, 5.0), "student": (student, megabytes, milliseconds), "control": (0.5, 1, 1)}
    said: list[events.Event] = []
    for role, (quality, size, time) in values.items():
        said += [events.Evaluation(role=role, split="test", metric="accuracy", value=quality, low=0.1, high=1, n=50),
                 events.Evaluation(role=role, split="test", metric="f1_macro", value=0.99, n=50),
                 events.Evaluation(role=role, split="", metric="size_bytes", value=size * 1e6),
                 events.Evaluation(role=role, split="", metric="latency_ms", value=time, runtime="torch")]  # fmt: skip
    store.record(run.id, [*said, events.Verdict(outcome="better", sentence="It kept most.")])
    store.finish(run.id)
    return run.id


def ids(store: Store, **wanted) -> list[int]:
    return [one.run.id for one in store.find_runs(Wanted(**wanted))]


def test_a_run_is_found_by_every_word_that_is_told_of_it_in_any_case(store, config):
    first, second = (store.submit(config, key=key).id for key in "ab")
    store.describe_run(first, name="ÄPFEL of spring", note="after the fix", tags=["Fruit"])
    assert ids(store, search="äpfel FIX") == ids(store, search="fruit transformer-tiny") == [first]
    assert ids(store, search=f"run {second}") == [second]
    assert ids(store, search="reviews") == [second, first]
    assert ids(store, search="pears") == []


def test_what_is_left_out_of_a_description_stays(store, config):
    run = store.submit(config, key="a").id
    store.describe_run(run, name=" two\n lines ", tags=["b, a", "b", ""])
    store.describe_run(run, note="why")
    assert (store.run(run).name, store.run(run).note, store.run(run).tags) == ("two lines", "why", ("b", "a"))


@pytest.mark.parametrize("wrong", [{"name": "x" * 81}, {"tags": ["x" * 31]}, {"tags": list("abcdefghijklmnopqrstu")},
                                   {"note": "x" * 4_001}, {"name": "\x1b[31m"}])  # fmt: skip
def test_a_description_that_is_too_long_or_steers_a_terminal_is_refused(store, config, wrong):
    run = store.submit(config, key="a").id
    with pytest.raises(ConfigError, match="at most"):
        store.describe_run(run, **wrong)


def test_a_list_is_filtered_by_state_tag_and_data_and_all_must_fit(store, config, saved):
    first, second, third = (store.submit(config, key=key, owner="me").id for key in "abc")
    store.describe_run(first, tags=["good", "old"])
    store.describe_run(second, tags=["good"])
    store.request_stop(third, pause=True)
    store.stopped(third)
    assert ids(store, tags=["good"]) == [second, first]
    assert ids(store, tags=["good", "old"]) == [first]
    assert ids(store, states=["paused"]) == [third] and ids(store, states=["stopped"]) == []
    assert ids(store, dataset_ids=[saved.id + 1]) == []
    assert store.tags() == {"good": 2, "old": 1}
    assert sorted(store.states()) == ["paused", "running"]


def test_a_list_is_sorted_by_what_was_measured_and_what_was_not_comes_last(store, config):
    good = measured(store, config, 0.8, 4, 2)
    small = measured(store, config, 0.7, 1, 3)
    kept = measured(store, config, 0.75, 9, 1, teacher=0.75)
    waits = store.submit(config, key="waits").id
    assert ids(store) == [waits, kept, small, good]
    assert ids(store, order="oldest") == [good, small, kept, waits]
    assert ids(store, order="quality") == [good, kept, small, waits]
    assert ids(store, order="kept") == [kept, good, small, waits]
    assert ids(store, order="smallest") == [small, good, kept, waits]
    assert ids(store, order="fastest") == [kept, good, small, waits]
    with pytest.raises(ConfigError, match="sorted by"):
        ids(store, order="id; DROP TABLE runs")


def test_of_a_measure_that_is_better_the_lower_it_is_the_nearest_to_its_teacher_kept_most(store, config):
    near, far = (measured(store, config, value, 1, 1, teacher=-1.5) for value in (-1.6, -4.0))
    share = measured(store, config, 0.8, 1, 1)
    assert ids(store, order="kept") == [near, share, far]
    assert ids(store, order="quality") == [share, near, far]


def test_a_page_of_a_list_begins_where_the_one_before_ended(store, config):
    made = [store.submit(config, key=str(number)).id for number in range(5)]
    pages = [[one.run.id for one in store.find_runs(Wanted(), limit=2, skip=skip)] for skip in (0, 2, 4)]
    assert [run for page in pages for run in page] == made[::-1]
    assert store.count_found(Wanted()) == 5


def test_a_summary_holds_the_measure_that_decides_and_not_the_others(store, config):
    run = measured(store, config, 0.8, 4, 2)
    (listed,) = store.find_runs(Wanted())
    assert listed.run.id == run
    assert (listed.summary.student, listed.summary.teacher, listed.summary.control) == (0.8, 0.9, 0.5)
    assert (listed.summary.student_bytes, listed.summary.student_ms, listed.summary.rows) == (4e6, 2, 50)


def test_of_several_seeds_the_summary_tells_the_mean(store, config):
    run = store.submit(config, key="seeds", owner="me")
    said = [events.Evaluation(role="student", split="test", metric="accuracy", value=value, seed=seed)
            for value, seed in ((0.9, 0), (0.7, 1), (0.8, None))]  # fmt: skip
    store.record(run.id, [*said, events.Verdict(outcome="no_control", sentence="So it is.")])
    assert store.find_runs(Wanted())[0].summary.student == 0.8


def test_a_run_that_never_read_its_test_rows_has_no_quality_in_its_summary(store, config):
    run = store.submit(config, key="trial", owner="me")
    said = [events.Evaluation(role=role, split="validation", metric="accuracy", value=0.5, n=80)
            for role in ("teacher", "student")]  # fmt: skip
    for role, value in (("teacher", 1e6), ("student", 4e3)):
        said += [events.Evaluation(role=role, split="", metric=metric, value=value)
                 for metric in ("parameters", "size_bytes")]  # fmt: skip
    store.record(run.id, [*said, events.Verdict(outcome="no_control", sentence="So it is.")])
    found = store.find_runs(Wanted())[0].summary
    assert (found.teacher, found.student, found.student_bytes) == (None, None, 4e3)


def test_a_number_that_is_none_ends_no_run(store, config):
    run = store.submit(config, key="nan", owner="me")
    said = [events.Evaluation(role="student", split="test", metric="accuracy", value=value) for value in (0.5, "nan")]
    store.record(run.id, [*said, events.Verdict(outcome="no_control", sentence="So it is.")])
    assert store.find_runs(Wanted())[0].summary.student == 0.5


def test_runs_whose_settings_are_damaged_are_listed_and_sorted_with_the_others(store, config):
    run = store.submit(config, key="a").id
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE runs SET config = 'no json'")
    assert ids(store, order="name") == [run] and ids(store, search="reviews") == []


def test_a_run_that_is_deleted_takes_its_summary_along(store, config):
    run = measured(store, config, 0.8, 4, 2)
    store.delete(run)
    assert store.summaries([run]) == {}


def test_runs_of_an_older_home_have_a_summary_and_no_name(store, config):
    run = measured(store, config, 0.8, 4, 2)
    with sqlite3.connect(store.path) as connection:
        connection.executescript(
            "DROP TRIGGER summary_of_verdict; DROP TABLE summaries; DROP INDEX runs_listed;"
            "ALTER TABLE runs DROP COLUMN name; ALTER TABLE runs DROP COLUMN note; ALTER TABLE runs DROP COLUMN tags;"
            f"DELETE FROM _sqlite_migrations WHERE name = '{newest()}'"
        )
    again = Store(store.path)
    assert again.find_runs(Wanted())[0].summary.student == 0.8
    assert again.run(run).name == ""


def newest() -> str:
    known = [migration.name for migration in MIGRATIONS.pending(Database(memory=True))]
    return next(name for name in known if name.endswith("named_and_found"))
