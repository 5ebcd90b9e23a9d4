"""Whole or not there: what a reader finds whatever happens to the writer."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from studio import files
from studio.errors import of_system
from studio.files import whole, whole_file


def filled(folder, text):
    (folder / "deep").mkdir()
    (folder / "first.txt").write_text(text)
    (folder / "deep" / "second.txt").write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


NEW = {"first.txt": "new", "deep/second.txt": "new"}


def test_a_folder_is_not_there_before_its_block_ends_and_whole_after(tmp_path):
    target = tmp_path / "made" / "model"
    with whole(target) as part:
        assert part.parent.parent == target.parent
        filled(part, "new")
        assert not target.exists()
    assert content(target) == NEW
    assert list(target.parent.iterdir()) == [target], "nothing is left beside it"


def test_a_folder_that_is_there_is_replaced_with_all_its_files(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with whole(target) as part:
        filled(part, "new")
        assert content(target) == {"old.txt": "old"}
    assert content(target) == NEW
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, kind):
    target, fresh = tmp_path / "model", tmp_path / "fresh"
    target.mkdir()
    (target / "old.txt").write_text("old")
    for folder in (target, fresh):
        with pytest.raises(kind), whole(folder) as part:
            filled(part, "new")
            raise kind
    assert content(target) == {"old.txt": "old"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_as_one_whatever_the_library_says_that_wrote(tmp_path, monkeypatch):
    def write():
        with files.whole(tmp_path / "model"):
            raise RuntimeError("unexpected pos 2223104 vs 2222992")  # what torch makes of it

    with pytest.raises(RuntimeError, match="unexpected pos"):
        write()
    left = SimpleNamespace(free=4096)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: left)
    with pytest.raises(OSError, match="No space left on device"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_new_file_comes_whole_and_never_over_another_one(tmp_path):
    target = tmp_path / "out" / "answers.csv"
    with files.new_file(target) as part:
        part.write_text("half")
        assert not target.exists()
    assert content(tmp_path) == {"out/answers.csv": "half"}
    with pytest.raises(FileExistsError), files.new_file(target):
        pytest.fail("it was opened")
    with pytest.raises(FileExistsError), files.new_file(tmp_path / "late.csv") as part:
        part.write_text("mine")
        (tmp_path / "late.csv").write_text("somebody else's")
    assert (tmp_path / "late.csv").read_text() == "somebody else's"


def test_a_file_is_replaced_in_one_move(tmp_path):
    target = tmp_path / "state.pt"
    target.write_text("old")
    with whole_file(target) as part, part.open("w") as opened:
        opened.write("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_no_file_is_an_error_and_the_old_one_stays(tmp_path):
    target = tmp_path / "state.pt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(target):
        pass
    assert target.read_text() == "old"


def test_of_two_writers_the_one_that_ends_last_is_there_whole(tmp_path):
    target = tmp_path / "model"
    with whole(target) as last:
        filled(last, "last")
        with whole(target) as first:
            filled(first, "first")
        assert set(content(target).values()) == {"first"}
    assert content(target) == {"first.txt": "last", "deep/second.txt": "last"}


def test_many_writers_at_once_leave_one_of_their_folders_whole(tmp_path):
    target, failed = tmp_path / "model", []

    def write(text):
        try:
            for _ in range(10):
                with whole(target) as part:
                    filled(part, text)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(content(target)) == 2
    assert len(set(content(target).values())) == 1, "two writers' files stand in one folder"
    assert list(tmp_path.iterdir()) == [target]


def test_every_file_and_folder_is_synced_before_the_move_and_the_new_name_after(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(opened):
        place = Path(f"/proc/self/fd/{opened}").readlink()
        synced.append((os.path.relpath(place, tmp_path), (tmp_path / "model").exists()))
        real(opened)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not tell which file a number stands for")
    monkeypatch.setattr(os, "fsync", fsync)
    with whole(tmp_path / "model") as part:
        filled(part, "new")
        room = part.parent.name
    before = {place for place, moved in synced if not moved}
    names = ("model", "model/first.txt", "model/deep", "model/deep/second.txt")
    assert before >= {f"{room}/{name}" for name in names}
    assert synced[-1] == (".", True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell which file a number is")
def test_a_new_file_is_synced_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(opened):
        synced.append((Path(f"/proc/self/fd/{opened}").readlink().name, (tmp_path / "a.csv").exists()))
        real(opened)

    monkeypatch.setattr(os, "fsync", fsync)
    with files.new_file(tmp_path / "a.csv") as part:
        part.write_text("answers")
    assert synced == [("a.csv", False), (tmp_path.name, True)]


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from studio.files import whole
with whole(Path(sys.argv[1])) as part:
    (part / "first.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from studio import files
target, moment, exchanges = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchanges"
passed = 0
def counted(step):
    def called(*values):
        global passed
        for part in (None, step):
            if passed == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
            answer = part and part(*values)
        return answer
    return called
if not exchanges:
    files._exchange = lambda one, other: False
os.rename, os.replace, files._exchange = map(counted, (os.rename, os.replace, files._exchange))
with files.whole(target) as part:
    (part / "first.txt").write_text("new")
"""


@pytest.mark.parametrize("manner", ["exchanges", "puts aside"])
def test_a_writer_killed_at_any_step_of_the_move_leaves_one_of_the_two_folders(tmp_path, manner):
    gone, ended = 0, False
    for moment in range(12):
        root = tmp_path / str(moment)
        target = root / "runs" / "model"
        target.mkdir(parents=True)
        (target / "first.txt").write_text("old")
        done = subprocess.run([sys.executable, "-c", KILLED_AT, str(target), str(moment), manner], check=False)
        gone += not target.exists()
        files.recover(root)
        assert content(target) in ({"first.txt": "old"}, {"first.txt": "new"}), moment
        ended = done.returncode == 0
        if ended:
            break
    assert ended, "there was a moment after the last step"
    assert gone == 0 or manner == "puts aside"


def test_nothing_is_taken_back_over_what_is_there(tmp_path):
    target, room = tmp_path / "runs" / "model", tmp_path / "runs" / f"model{files.MARK}x"
    (room / "old-0").mkdir(parents=True)
    assert files.recover(tmp_path) == [target]
    (room / "old-1").mkdir()
    assert files.recover(tmp_path) == []
    assert (room / "old-1").exists()


def test_what_a_killed_writer_left_is_no_target_and_is_deleted_a_day_later(tmp_path):
    target = tmp_path / "model"
    subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    [left] = tmp_path.iterdir()
    assert left != target
    assert files.is_partial(left / "model" / "first.txt")
    with whole(target) as part:
        filled(part, "new")
    assert left.exists(), "a part that is this young may be another writer's"
    os.utime(left, (0, 0))
    with whole(target) as part:
        filled(part, "new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_that_is_a_pattern_deletes_nobody_elses_parts(tmp_path):
    other = tmp_path / f"modela{files.MARK}x"
    other.mkdir()
    os.utime(other, (0, 0))
    with whole(tmp_path / "model[a]"):
        pass
    assert other.exists()


def test_a_file_that_is_taken_away_while_a_folder_is_weighed_counts_nothing(tmp_path, monkeypatch):
    (tmp_path / "there").write_text("four")
    monkeypatch.setattr(files, "inside", lambda folder: [folder / "there", folder / "gone"])
    assert files.size(tmp_path) == 4


def test_a_disk_that_is_full_is_named_by_what_was_to_be_written(tmp_path):
    """A write that fails says no file of its own."""
    with pytest.raises(OSError) as error, whole_file(tmp_path / "kept" / "model"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(of_system(error.value)).startswith(f"The disk that holds {tmp_path / 'kept' / 'model'} is full.")
