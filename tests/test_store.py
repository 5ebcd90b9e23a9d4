import sqlite3
import threading

import pytest

from studio import events
from studio.config import parse_config
from studio.errors import ConfigError, DataError, StoreError
from studio.store import Store
from tests.conftest import TINY


@pytest.fixture
def config(saved):
    return parse_config({"dataset": "reviews", **TINY})


def in_threads(count, work):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_request_key_makes_one_run_also_from_eight_threads(store, config):
    ids = []
    in_threads(8, lambda: ids.append(store.submit(config, key="one click").id))
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert len(store.runs()) == 1


def test_every_queued_run_is_claimed_by_exactly_one_thread_oldest_first(store, config):
    made = [store.submit(config, key=str(number)).id for number in range(20)]
    claimed = []

    def claim():
        while (run := store.claim("someone")) is not None:
            claimed.append(run.id)

    in_threads(6, claim)
    assert sorted(claimed) == made
    assert len(claimed) == 20


def test_a_run_on_an_unknown_data_set_is_refused_with_the_names_that_exist(store, config):
    with pytest.raises(StoreError, match=r"no data set 'else'.*'reviews'"):
        store.submit(config.with_values(dataset="else"), key="k")


def test_a_run_whose_task_does_not_fit_the_data_is_refused(store, config):
    with pytest.raises(ConfigError, match="task must be text-classification"):
        store.submit(config.with_values(task="image-classification"), key="k")


def test_a_data_set_is_found_by_name_and_by_id(store, saved):
    assert store.dataset("reviews") == store.dataset(saved.id) == store.dataset(str(saved.id))


def test_a_name_that_is_taken_by_other_content_is_never_overwritten(store, saved):
    same = {"name": "reviews", "task": saved.task, "labels": [], "splits": {}, "columns": {}, "report": {}}
    assert store.add_dataset(**same, fingerprint=saved.fingerprint).id == saved.id
    with pytest.raises(DataError, match="with other content"):
        store.add_dataset(**same, fingerprint="other")


def test_a_data_set_whose_files_are_not_written_yet_is_not_listed(store):
    store.add_dataset(
        name="half", task="text-classification", labels=[], splits={}, fingerprint="f", columns={}, report={}
    )
    assert store.datasets() == []


def test_a_curve_read_by_cursor_has_no_gap_and_no_point_twice(store, config):
    run = store.submit(config, key="k")
    read, after = [], {}
    for start in range(0, 50, 5):
        for phase in ("distill", "control"):
            batch = [
                events.Metrics(phase=phase, step=step, values={"loss": 1.0 / (step + 1)})
                for step in range(start, start + 5)
            ]
            store.record(run.id, batch)
        new = store.curve(run.id, after)
        read += new
        for point in new:
            after[point.phase] = max(after.get(point.phase, -1), point.step)
    assert sorted((point.phase, point.step) for point in read) == sorted(
        (p, s) for p in ("distill", "control") for s in range(50)
    )
    assert store.curve(run.id, after) == []


def test_events_are_written_all_or_none(store, config):
    run = store.submit(config, key="k")
    broken = events.Log.model_construct(kind="log", message=object(), level="info")
    with pytest.raises(sqlite3.Error):
        store.record(run.id, [events.Log(message="first"), broken])
    assert store.logs(run.id) == []


def test_a_run_ends_once(store, config):
    run = store.submit(config, key="k", owner="me")
    store.finish(run.id)
    store.stopped(run.id)
    assert store.run(run.id).status == "finished"


def test_stopping_a_queued_run_ends_it_at_once(store, config):
    run = store.submit(config, key="k")
    store.request_stop(run.id)
    assert store.run(run.id).status == "stopped"
    assert store.claim("me") is None


def test_show_gives_what_other_programs_rely_on(store, config):
    run = store.submit(config, key="k", owner="me")
    store.record(
        run.id,
        [
            events.PhaseStarted(phase="distill"),
            events.PhaseFinished(phase="distill", seconds=1.5, steps=7),
            events.Evaluation(role="student", split="test", metric="accuracy", value=0.9, low=0.8, high=0.95, n=100),
            events.Verdict(outcome="better", sentence="It was worth it."),
        ],
    )
    store.finish(run.id)
    shown = store.show(run.id)
    assert shown["id"] == run.id
    assert shown["status"] == "finished"
    assert shown["config"]["task"] == "text-classification"
    assert shown["phases"] == [{"name": "distill", "seconds": 1.5, "steps": 7}]
    assert shown["evaluations"] == [
        {"role": "student", "split": "test", "metric": "accuracy", "value": 0.9, "low": 0.8, "high": 0.95, "n": 100}
    ]
    assert shown["verdict"] == "It was worth it."


def test_a_lease_belongs_to_one_owner_until_it_is_released(store):
    assert store.hold_lease("trainer", "first", 60)
    assert not store.hold_lease("trainer", "second", 60)
    assert store.hold_lease("trainer", "first", 60)
    store.release_lease("trainer", "first")
    assert store.hold_lease("trainer", "second", 60)


def test_a_lease_that_ran_out_can_be_taken(store):
    store.hold_lease("trainer", "first", -1)
    assert store.hold_lease("trainer", "second", 60)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "studio.db"
    path.write_bytes(b"my thesis, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="Nothing was changed"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused(store):
    store._db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('studio', 'm999_future', '')"
    )
    with pytest.raises(StoreError, match="newer version"):
        Store(store.path)


def test_a_reader_does_not_wait_for_a_writer(store, config):
    run = store.submit(config, key="k")
    writer = sqlite3.connect(store.path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET step = 99")
    assert store.run(run.id).step == 0
    writer.rollback()
    writer.close()
