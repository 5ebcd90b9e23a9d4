import json
import math
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from studio import events
from studio.config.reading import parse_config, with_values
from studio.errors import ConfigError, DataError, StoreError
from studio.store.store import Store
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
    with pytest.raises(StoreError, match="number as large"):
        store.run(2**63)
    with pytest.raises(StoreError, match=r"no data set 'else'.*'reviews'"):
        store.submit(with_values(config, dataset="else"), key="k")


def test_a_run_whose_task_does_not_fit_the_data_is_refused(store, config):
    with pytest.raises(ConfigError, match="task must be text-classification"):
        store.submit(with_values(config, task="image-classification"), key="k")


def test_a_data_set_is_found_by_name_and_by_id(store, saved):
    assert store.dataset("reviews") == store.dataset(saved.id) == store.dataset(str(saved.id))


def test_a_name_that_is_taken_by_other_content_is_never_overwritten(store, saved):
    same = {"name": "reviews", "task": saved.task, "labels": [], "splits": {}, "columns": {}, "report": {}}
    assert store.add_dataset(**same, fingerprint=saved.fingerprint).id == saved.id
    with pytest.raises(DataError, match="with other content"):
        store.add_dataset(**same, fingerprint="other")


HALF = {"name": "half", "task": "text-classification", "labels": [], "splits": {}, "columns": {}, "report": {}}


def test_a_data_set_whose_files_are_not_written_yet_is_not_listed(store):
    store.add_dataset(**HALF, fingerprint="f")
    assert store.datasets() == []


def test_of_two_who_save_under_one_name_at_once_the_slower_is_told(store):
    slower = store.add_dataset(**HALF, fingerprint="a")
    faster = store.add_dataset(**HALF, fingerprint="b")
    store.dataset_ready(faster.id)
    with pytest.raises(DataError, match="saved at the same time"):
        store.dataset_ready(slower.id)
    assert [row.id for row in store.datasets()] == [faster.id]


def test_a_name_that_eight_threads_ask_for_at_once_is_given_without_an_error(store):
    given, ready = [], threading.Barrier(8)

    def ask():
        ready.wait()
        given.append(store.add_dataset(**HALF, fingerprint="f").id)

    in_threads(8, ask)
    assert len(given) == 8


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
        after |= {(point.phase, point.name): point.step for point in new}
    assert sorted((point.phase, point.step) for point in read) == sorted(
        (p, s) for p in ("distill", "control") for s in range(50)
    )
    assert store.curve(run.id, after) == []


def test_a_curve_that_comes_later_at_a_step_that_was_read_is_not_missed(store, config):
    run = store.submit(config, key="k")
    store.record(run.id, [events.Metrics(phase="distill", step=10, values={"loss": 1.0})])
    store.record(run.id, [events.Metrics(phase="distill", step=10, values={"accuracy": 0.9})])
    assert [point.name for point in store.curve(run.id, {("distill", "loss"): 10})] == ["accuracy"]


def test_a_reader_beside_a_writer_gets_every_point_once_and_in_its_order(store, config):
    run = store.submit(config, key="k")
    done = threading.Event()

    def write():
        for step in range(300):
            store.record(run.id, [events.Metrics(phase="distill", step=step, values={"loss": 1.0})])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read, after, last = [], {}, False
    while not last:
        last = done.is_set()
        new = store.curve(run.id, after)
        read += [point.step for point in new]
        after |= {(point.phase, point.name): point.step for point in new}
    writer.join()
    assert read == list(range(300))


def test_device_use_and_logs_are_read_by_cursor_and_are_no_curves(store, config):
    run = store.submit(config, key="k")
    for second in (0, 2, 4):
        use = events.DeviceUse(seconds=second, values={"memory_bytes": 5.0})
        store.record(run.id, [use, events.Log(message=f"at {second}")])
    assert [point.step for point in store.device_use(run.id, after=0)] == [2, 4]
    first = store.logs(run.id)[0]
    assert [line.message for line in store.logs(run.id, after_id=first.id)] == ["at 2", "at 4"]
    assert store.curve(run.id) == []


def test_a_value_that_is_not_finite_is_left_out_and_ends_nothing(store, config):
    run = store.submit(config, key="k")
    said = events.Metrics(phase="distill", step=1, values={"loss": 1.0, "label_loss": math.inf, "accuracy": math.nan})
    store.record(run.id, [events.from_json(events.to_json(said))])
    assert [(point.name, point.value) for point in store.curve(run.id)] == [("loss", 1.0)]


def test_results_come_back_as_the_events_that_they_were(store, config):
    run = store.submit(config, key="k")
    said = [
        events.Evaluation(role="teacher", split="test", metric="parameters", value=12.0),
        events.Comparison(
            first="student", second="control", split="test", difference=0.1, low=0.0, high=0.2, p_value=0.04, n=50
        ),
        events.Confusion(role="student", split="test", labels=["a", "b"], counts=[[1, 2], [3, 4]]),
    ]
    store.record(run.id, said)
    assert [*store.evaluations(run.id), *store.comparisons(run.id), *store.confusions(run.id)] == said


def test_a_phase_that_goes_on_is_listed_and_counted_on_the_run(store, config):
    run = store.submit(config, key="k", owner="me")
    store.record(
        run.id,
        [
            events.PhaseStarted(phase="prepare"),
            events.PhaseFinished(phase="prepare", seconds=2.0, steps=1),
            events.PhaseStarted(phase="distill", total=50),
            events.Progress(phase="distill", step=7, total=50, detail="half way"),
        ],
    )
    now = store.run(run.id)
    assert (now.phase, now.step, now.total, now.detail) == ("distill", 7, 50, "half way")
    assert [(one.name, one.seconds) for one in store.phases(run.id)] == [("prepare", 2.0), ("distill", None)]


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
            events.Verdict(
                outcome="better",
                sentence="It was worth it.",
                cautions=(events.Caution(code="leak", sentence="Rows leak.", cure="Remove them."),),
                next_step=events.NextStep(code="train_longer", label="Train twice as long", changes={"epochs": 8}),
            ),
        ],
    )
    store.finish(run.id)
    shown = store.show(run.id)
    assert shown["id"] == run.id
    assert shown["status"] == "finished"
    assert shown["config"]["task"] == "text-classification"
    assert shown["phases"] == [{"name": "distill", "seconds": 1.5, "steps": 7}]
    assert shown["evaluations"] == [
        {
            "role": "student",
            "split": "test",
            "metric": "accuracy",
            "value": 0.9,
            "low": 0.8,
            "high": 0.95,
            "n": 100,
            "note": "",
            "runtime": "",
            "threads": None,
            "device": "",
            "seed": None,
            "spread": None,
        }
    ]
    assert (shown["outcome"], shown["verdict"]) == ("better", "It was worth it.")
    assert shown["cautions"] == [{"code": "leak", "sentence": "Rows leak.", "cure": "Remove them.", "next_step": None}]
    assert shown["next_step"] == {"code": "train_longer", "label": "Train twice as long", "changes": {"epochs": 8}}
    assert json.loads(json.dumps(shown)) == shown


def test_a_lease_belongs_to_one_owner_until_it_is_released(store):
    assert store.hold_lease("trainer", "first")
    assert not store.hold_lease("trainer", "second")
    assert store.hold_lease("trainer", "first")
    assert store.lease("trainer").beat == 1
    store.release_lease("trainer", "first")
    assert store.hold_lease("trainer", "second")


def test_a_lease_is_taken_from_one_that_is_gone_and_from_nobody_else(store):
    store.hold_lease("trainer", "first")
    assert not store.hold_lease("trainer", "third", instead_of="second")
    assert store.hold_lease("trainer", "third", instead_of="first")
    assert not store.hold_lease("trainer", "fourth", instead_of="first")


@pytest.mark.parametrize(
    "stored", ['{"dataset": "reviews", "epochs": -3, "colour": "red"}', "[1, 2]", "not JSON", "{}"]
)
def test_settings_that_cannot_be_read_are_told_in_their_own_row_and_hurt_no_other(store, config, stored):
    broken, sound = (store.submit(config, key=key).id for key in ("broken", "sound"))
    store._db.execute("UPDATE runs SET config = ? WHERE id = ?", [stored, broken])
    other, row = store.runs()
    assert (other.id, other.unreadable, other.config.epochs) == (sound, "", config.epochs)
    assert f"cannot read the settings of run {broken}" in row.unreadable == row.message
    assert row.config.dataset in ("reviews", "unknown")
    assert store.show(broken)["error"] is None
    assert store.users_of_dataset(store.dataset("reviews")) == [broken, sound]
    store.rename_dataset(1, "renamed")
    assert store.run(sound).config.dataset == "renamed"
    assert store.claim("me").id == broken


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "studio.db"
    path.write_bytes(b"my thesis, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="Nothing was changed"):
        Store(path)
    assert path.read_bytes() == before


def closed(store):
    """The store's file when everyone has closed it."""
    store._db.close()
    return store.path


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(store):
    store._db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('studio', 'm999_future', '')"
    )
    store._db.execute("PRAGMA journal_mode = DELETE")
    path = closed(store)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer version of the studio \(m999_future\)"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_that_is_damaged_in_the_middle_is_refused_and_left_as_it_is(store):
    for number in range(200):
        store.dataset_ready(store.add_dataset(**HALF | {"name": f"n{number}"}, fingerprint="f" * 500).id)
    path = closed(store)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="Nothing was changed"):
        Store(path)
    assert path.read_bytes() == damaged


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "studio.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="belongs to another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_home_that_cannot_be_made_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"cannot be used.*Set STUDIO_HOME"):
        Store(tmp_path / "file" / "studio.db")


def test_several_processes_can_make_the_database_at_once(tmp_path):
    script = "import pathlib, sys; from studio.store.store import Store; Store(pathlib.Path(sys.argv[1])).runs()"
    command = [sys.executable, "-c", script, str(tmp_path / "studio.db")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [one.communicate()[1] for one in started] == [b"", b"", b""]


def test_what_was_recorded_outlives_a_process_that_is_killed(store, config):
    run = store.submit(config, key="k", owner="me")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from studio import events; from studio.store.store import Store\n"
        "store = Store(Path(sys.argv[1])); store.record(int(sys.argv[2]), [events.Log(message='kept')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.path), str(run.id)], check=False)
    assert [line.message for line in Store(store.path).logs(run.id)] == ["kept"]


def test_a_reader_does_not_wait_for_a_writer(store, config):
    run = store.submit(config, key="k")
    writer = sqlite3.connect(store.path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET step = 99")
    assert store.run(run.id).step == 0
    writer.rollback()
    writer.close()


def test_a_run_that_waits_can_be_put_at_any_place_of_the_queue(store, config):
    one, two, three = (store.submit(config, key=str(number)).id for number in range(3))
    assert store.queue() == [one, two, three]
    store.move(three, 0)
    assert store.queue() == [three, one, two]
    store.move(three, 1)
    assert store.queue() == [one, three, two]
    store.move(one, 5)
    assert store.queue() == [three, two, one]
    late = store.submit(config, key="late").id
    assert store.queue() == [three, two, one, late], "one that comes later waits behind all"
    assert store.claim("me").id == three
    store.move(three, 0)
    assert store.queue() == [two, one, late]


def test_a_home_is_made_for_its_owner_alone(home):
    Store(home.database)
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_a_home_that_was_there_before_is_closed_to_others_where_it_is_the_studios_own(home):
    home.root.mkdir(mode=0o755)
    Store(home.database)
    assert home.root.stat().st_mode & 0o777 == 0o700
    home.root.chmod(0o755)
    Store(home.database)
    assert (home.root.stat().st_mode & 0o777, home.exposed()) == (0o700, None)
    home.root.chmod(0o2775)
    Store(home.database)
    assert (home.root.stat().st_mode & 0o7777, home.exposed()) == (0o2770, None), "a group was let in by somebody"


def test_a_home_with_other_things_in_it_keeps_its_mode_and_that_is_told(home):
    home.root.mkdir(mode=0o755)
    (home.root / "letter.txt").write_text("of somebody")
    home.make()
    assert home.root.stat().st_mode & 0o777 == 0o755
    assert "chmod 700" in home.exposed()


def test_the_logins_that_were_ended_are_known_for_as_long_as_their_cookies_are_taken(store, monkeypatch):
    store.note("ada@example.org", "sign out", "one")
    store.note("ada@example.org", "login", "two")
    assert store.logins_over(1) == {"one"}
    now = time.time()
    monkeypatch.setattr("studio.store.audit.time.time", lambda: now + 25 * 3600)
    assert store.logins_over(1) == set()
