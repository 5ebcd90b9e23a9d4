"""A disk that is full, a folder that is read-only or gone: one true sentence, and nothing is lost."""

import errno
import shutil
import sqlite3
from collections import namedtuple

import pytest

from studio import cli, events
from studio.config.reading import parse_config
from studio.errors import DiskError, of_system
from studio.machine.identity import new_owner
from studio.service.ownership import INTERRUPTED
from studio.service.runs import carry
from studio.store import connection
from studio.store.store import Store
from tests.conftest import TINY

Usage = namedtuple("Usage", "total used free")


def fill(store):
    """From now on SQLite gets no more room, as on a disk that is full."""
    [[pages]] = store._db.conn.execute("PRAGMA page_count").fetchall()
    store._db.conn.execute(f"PRAGMA max_page_count = {pages}")


def many_points():
    return [events.Metrics(phase="distill", step=step, values={"loss": 1.0}) for step in range(5_000)]


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())


def test_a_run_that_was_submitted_and_one_that_finished_are_on_the_disk_before_anybody_is_told(store, saved):
    """What SQLite syncs of its log at a commit, it says by this number; 2 is all, 1 is nothing."""
    levels, execute = [], store._db.execute

    def watched(sql, *values):
        if sql.startswith(("INSERT INTO runs", "UPDATE runs SET status = ?, finished_at")):
            levels.append(execute("PRAGMA synchronous").fetchone()[0])
        return execute(sql, *values)

    store._db.execute = watched
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())
    store.finish(run.id)
    assert levels == [2, 2]
    assert execute("PRAGMA synchronous").fetchone()[0] == 1


def test_a_full_disk_is_called_one_and_what_was_recorded_stays(store, run):
    store.record(run.id, [events.Log(message="before")])
    fill(store)
    with pytest.raises(DiskError, match=r"The disk that holds .* is full\. Free some space"):
        store.record(run.id, many_points())
    assert [line.message for line in store.logs(run.id)] == ["before"]
    assert store.curve(run.id) == []


def test_a_disk_without_any_room_is_called_full_and_not_broken(monkeypatch, store, home):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    assert "reports an error" in connection.in_words(error, home.database).message
    monkeypatch.setattr(connection.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 0))
    assert "is full" in connection.in_words(error, home.database).message


def test_a_run_that_meets_a_full_disk_is_no_failed_run_it_goes_on_when_there_is_room(store, home, run):
    def execute(job, stop):
        yield from many_points()
        yield events.Log(message="that was it")

    fill(store)
    with pytest.raises(DiskError, match="is full"):
        list(carry(store, home, run, execute))
    assert store.run(run.id).status == "running"
    store._db.conn.execute("PRAGMA max_page_count = 1000000")
    store.take_back(lambda owner: owner == run.owner, INTERRUPTED)
    list(carry(store, home, store.claim(new_owner()), execute))
    assert store.run(run.id).status == "finished"
    assert len(store.curve(run.id)) == 5_000


def test_a_folder_that_cannot_be_written_to_is_not_called_a_damaged_database(store, run):
    store._db.conn.execute("PRAGMA query_only = ON")
    with pytest.raises(DiskError, match="cannot be written to: the folder or its disk is read-only"):
        store.request_stop(run.id)


def test_a_home_that_was_removed_is_called_gone_and_is_used_again_when_it_is_back(store, home, run, tmp_path):
    with sqlite3.connect(home.database) as copied, sqlite3.connect(tmp_path / "copy.db") as copy:
        copied.backup(copy)
    shutil.rmtree(home.root)
    with pytest.raises(DiskError, match=r"folder .* is gone\. Bring it back"):
        store.record(run.id, many_points())
    with pytest.raises(DiskError, match="is gone"):
        store.runs()
    assert "is gone" in home.trouble()
    home.root.mkdir()
    shutil.copy(tmp_path / "copy.db", home.database)
    store.record(run.id, many_points())
    assert len(Store(home.database).curve(run.id)) == 5_000


def test_a_database_on_a_full_disk_is_not_called_damaged_when_it_is_opened(store, home, monkeypatch):
    from studio.store import database as module

    def full(db):
        db.conn.execute("PRAGMA max_page_count = 1")
        db.conn.execute("CREATE TABLE more (text)")

    monkeypatch.setattr(module.MIGRATIONS, "apply", full)
    with pytest.raises(DiskError, match="is full"):
        Store(home.database)


def test_a_home_tells_when_its_disk_is_full_or_read_only(store, home, monkeypatch):
    assert home.trouble() is None
    monkeypatch.setattr("studio.home.shutil.disk_usage", lambda _: Usage(10**9, 10**9 - 5_000_000, 5_000_000))
    assert "is full (5 MB left): free some space" in home.trouble()
    monkeypatch.setattr("studio.home._is_read_only", lambda _: True)
    assert "is read-only" in home.trouble()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk that holds /somewhere is full. Free"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not"),
    ],
)
def test_the_terminal_tells_what_the_system_says_of_a_disk_in_a_sentence(monkeypatch, capsys, number, words):
    def broken():
        raise OSError(number, "its own words", "/somewhere")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert words in capsys.readouterr().err.replace("\n", " ")
    assert of_system(OSError(errno.ECHILD, "its own words")) is None
