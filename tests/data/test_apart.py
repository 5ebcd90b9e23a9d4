"""Uploads are read by a process of its own, with limits of memory and time."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from studio.data import apart, uploads
from studio.errors import DataError, DeviceError, LimitError
from tests.data.test_odd_files import WANTED, rows_of
from tests.data.test_odd_workbooks import changed, workbook
from tests.data.test_uploads import png, zipped


def test_what_comes_back_is_what_was_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\none,a\ntwo, three,b\nfour,b\nfive,\n")
    here, there = uploads.read(path), apart.read(path)
    assert there.table.equals(here.table)
    assert (there.kind, there.notes, there.lines, there.refused) == (here.kind, here.notes, here.lines, here.refused)
    assert there.refused


def test_a_table_for_which_there_is_no_memory_is_refused_before_it_runs_out(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "some words,a\n" * 10_000)
    monkeypatch.setattr(apart.cgroups, "left", lambda: [1_000_000])
    with pytest.raises(LimitError, match=r"10,000 rows takes about 0\.0 GB of memory to be checked.*0\.0 GB left"):
        apart.read(path)


def test_images_come_back_to_the_byte(tmp_path):
    path = zipped(tmp_path / "images.zip", {"cat/1.png": png(1), "dog/2.png": png(200)})
    assert apart.read(path).table["image"].tolist() == [png(1), png(200)]


def test_an_error_of_the_reader_keeps_its_class_its_message_and_its_cure(tmp_path):
    path = tmp_path / "rows.pkl"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="can run code") as told:
        apart.read(path)
    assert "CSV" in told.value.cure


def test_a_file_that_takes_more_memory_than_it_may_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    path.write_text("[" + ", ".join(['{"text": "some words in a row", "label": "a"}'] * 600_000) + "]")
    monkeypatch.setattr(apart, "_memory", lambda: 500 * 1024**2)
    with pytest.raises(DataError, match="memory"):
        apart.read(path)


def test_a_file_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n")
    monkeypatch.setattr(apart, "WAITED_TIMES", 1e-4)
    with pytest.raises(LimitError, match="seconds to read"):
        apart.read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="a reader is limited on Linux alone")
def test_a_reader_that_computes_too_long_ends_and_one_that_waits_for_others_goes_on(tmp_path, monkeypatch):
    spinning = "from studio.data import apart\napart._limit(2**40, 1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", spinning], cwd=Path(apart.__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGXCPU
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n")
    told = []
    monkeypatch.setattr(subprocess, "run", lambda *_, **how: told.append(how) or done)
    with pytest.raises(LimitError, match="more than 61 seconds to read"):
        apart.read(path)
    assert json.loads(told[0]["input"])["seconds"] == 61 < told[0]["timeout"]


def test_where_there_is_no_room_for_what_is_read_that_is_said_and_not_that_the_file_is_damaged(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\none,a\n")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(apart._Writer, "write", full)
    monkeypatch.setattr(apart, "_limit", lambda *_: None)
    monkeypatch.setattr(apart.gc, "disable", lambda: None)
    monkeypatch.setattr(sys, "argv", ["apart", str(tmp_path)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"memory": 0, "seconds": 0, "path": str(path)})))
    with pytest.raises(SystemExit) as ended:
        apart.main()
    done = subprocess.CompletedProcess(["reader"], ended.value.code, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(DeviceError, match=r"no room left in .*, where files are read"):
        apart.read(path)


def test_a_file_that_kills_its_reader_is_a_data_error(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n")
    killed = subprocess.CompletedProcess(["reader"], -signal.SIGSEGV, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(DataError, match=f"status -{int(signal.SIGSEGV)}"):
        apart.read(path)
    assert os.getpid()


def test_what_a_reader_unpacks_goes_with_it_when_it_is_killed(tmp_path, monkeypatch):
    seen = []

    def killed(command, **how):
        unpacked = Path(how["env"]["TMPDIR"]) / "half"
        unpacked.mkdir()
        seen.append(unpacked)
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(apart.subprocess, "run", killed)
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(LimitError, match="took more than"):
        apart.read(tmp_path / "a.csv")
    assert not seen[0].exists()
    assert not seen[0].parent.exists()


@pytest.mark.parametrize("word", ["+" * 2_000_000, "a+a" * 600_000])
def test_a_word_of_megabytes_is_looked_through_once(tmp_path, word):
    (tmp_path / "a.csv").write_text(f"text,label\n{word}=,a\nb,c\n")
    assert len(apart.read(tmp_path / "a.csv").table) == 2  # it ends within the time that a file may take


@pytest.mark.parametrize("sign", [b"<c ", b"<mergeCell "])
def test_a_sheet_of_megabytes_of_signs_is_looked_through_once(tmp_path, sign):
    path = changed(workbook(tmp_path, Data=WANTED), "xl/worksheets/sheet1.xml",
                   lambda xml: xml.replace(b"</worksheet>", b"<!--" + sign * 700_000 + b"--></worksheet>"))  # fmt: skip
    assert rows_of(apart.read(path)) == WANTED


def test_who_brings_many_files_leaves_a_turn_to_others(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("text,label\na,b\nc,d\n")
    reading, most, others = [], [], threading.Event()
    real = subprocess.run

    def run(*args, **kwargs):
        who = apart._whose.get()
        reading.append(who)
        most.append(reading.count("mia"))
        if who == "mia":
            assert others.wait(60)  # mia's files are slow, and max is answered nevertheless
        done = real(*args, **kwargs)
        reading.remove(who)
        return done

    def bring(who):
        with apart.one_at_a_time(who):
            return apart.read(tmp_path / "a.csv")

    monkeypatch.setattr(apart.subprocess, "run", run)
    with ThreadPoolExecutor(4) as threads:
        many = [threads.submit(bring, "mia") for _ in range(3)]
        assert len(threads.submit(bring, "max").result(60).table) == 2
        others.set()
        assert [len(one.result(60).table) for one in many] == [2, 2, 2]
    assert max(most) == 1


def test_few_files_are_read_at_a_time_and_share_the_memory_that_is_free(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("text,label\na,b\nc,d\n")
    at_once, most, together = [], [], threading.Barrier(apart.TURNS)
    real = subprocess.run

    def run(*args, **kwargs):
        at_once.append(json.loads(kwargs["input"])["memory"])
        most.append(len(at_once))
        together.wait(60)  # nobody waits here for a turn that another one has
        done = real(*args, **kwargs)
        at_once.pop()
        return done

    monkeypatch.setattr(apart.subprocess, "run", run)
    monkeypatch.setattr(apart, "_free", lambda: 6 * apart.LEAST_BYTES)
    with ThreadPoolExecutor(2 * apart.TURNS) as threads:
        found = list(threads.map(lambda _: apart.read(tmp_path / "a.csv"), range(2 * apart.TURNS)))
    assert [len(one.table) for one in found] == [2] * 2 * apart.TURNS
    assert max(most) == apart.TURNS
    assert apart._memory() == 3 * apart.LEAST_BYTES
