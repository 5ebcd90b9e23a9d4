"""What is on disk is listed with who uses it, and goes when it has had its time."""

import os
import re
import time
from pathlib import Path

import pytest

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ConfigError, StoreError, WorkerError
from studio.home import PASSING
from studio.machine.identity import new_owner
from studio.service import housekeeping, library, questions, runs
from tests.conftest import TINY, reviews

DAY = 24 * 3600


def outputs(home, letter, size, days_ago=0.0, kept=""):
    folder = home.teacher_outputs / f"{letter * 32}{kept}"
    folder.mkdir(parents=True)
    (folder / "logits.npy").write_bytes(bytes(size))
    os.utime(folder, (0, time.time() - days_ago * DAY))
    return folder


def test_what_is_on_disk_is_listed_by_size_with_what_uses_it(store, home, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    home.model(run.id, "student").mkdir(parents=True)
    (home.model(run.id, "student") / "model.safetensors").write_bytes(bytes(10**7))
    outputs(home, "a", 10**6)
    found = housekeeping.kept(store, home)
    assert [one.kind for one in found] == ["models", "teacher outputs", "data sets"]
    assert (found[0].title, found[0].bytes) == (f"Run {run.id}", 10**7)
    assert found[2].used_by == (f"run {run.id}",)


@pytest.mark.parametrize("kept", ["", "-4-most", "-0.5-64", "-tokens"])
def test_teacher_outputs_that_nobody_has_read_for_long_go_and_others_stay(store, home, kept):
    old, young = outputs(home, "a", 1000, 91, kept), outputs(home, "b", 1000, 89, kept)
    assert housekeeping.tidy(store, home) == 1000
    assert (old.exists(), young.exists()) == (False, True)


def test_over_the_quota_those_go_first_that_were_not_read_for_longest(store, home, monkeypatch):
    monkeypatch.setenv("STUDIO_TEACHER_OUTPUTS_GB", "0.0000025")
    kept = [outputs(home, letter, 1000, days_ago) for letter, days_ago in (("a", 3), ("b", 1), ("c", 2))]
    housekeeping.tidy(store, home)
    assert [folder.exists() for folder in kept] == [False, True, True]


def test_while_a_run_goes_on_teacher_outputs_stay_that_were_read_since_it_began(store, home, saved, monkeypatch):
    monkeypatch.setenv("STUDIO_TEACHER_OUTPUTS_GB", "0")
    before, since = outputs(home, "a", 1000, days_ago=1), outputs(home, "b", 1000, days_ago=-1)
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())
    assert housekeeping.tidy(store, home) == 1000
    assert (before.exists(), since.exists()) == (False, True)
    with pytest.raises(StoreError, match="A run goes on"):
        housekeeping.delete_teacher_outputs(store, home, since.name)


def test_teacher_outputs_that_a_run_begins_to_read_while_others_are_looked_at_stay(store, home, saved, monkeypatch):
    monkeypatch.setenv("STUDIO_TEACHER_OUTPUTS_GB", "0")
    old, listed = outputs(home, "a", 1000, days_ago=1), housekeeping.teacher_outputs

    def read_meanwhile(home):
        found = listed(home)
        store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())
        behind = time.time() - 1.9  # as a file system of whole seconds, and a clock of ticks, may stamp it
        os.utime(old, (behind, behind))
        return found

    monkeypatch.setattr(housekeeping, "teacher_outputs", read_meanwhile)
    assert housekeeping.tidy(store, home) == 0
    assert old.exists()


@pytest.mark.parametrize("kind", ["uploads", "downloads"])
def test_uploads_and_downloads_go_a_day_after_they_were_written(store, home, kind):
    place = getattr(home, kind)
    for name, days_ago, file_days_ago in (("old", 1.1, 1.1), ("young", 0.9, 0.9), ("growing", 1.1, 0.1)):
        folder = place / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(500))
        for path, days in ((folder / "file", file_days_ago), (folder, days_ago)):
            os.utime(path, (0, time.time() - days * DAY))
    assert {one.kind for one in housekeeping.kept(store, home)} == {kind}
    assert housekeeping.tidy(store, home) == 500
    assert sorted(folder.name for folder in place.iterdir()) == ["growing", "young"]


def test_what_a_killed_writer_left_and_folders_of_deleted_runs_and_data_go_after_a_day(store, home, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    number = store.submit(parse_config({"dataset": "reviews", **TINY}), key="deleted", owner=new_owner()).id
    store.stopped(number)
    store.delete(number)
    columns = Columns("text", "label")
    data = library.save(store, home, "others", clean(reviews(), columns, "text-classification"), columns)
    library.delete(store, home, data.id)
    left = [home.run(number) / "onnx", home.dataset(data.id), home.run(run.id) / "onnx.part-x1"]
    young = [home.run(run.id) / "onnx.part-x2"]
    of_another_database = [home.run(number + 1) / "student", home.dataset(data.id + 1)]
    kept = [home.run(run.id) / "student", home.root / "runs" / "of a person", *of_another_database]
    for folder in (*left, *young, *kept):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_bytes(bytes(100))
    old = time.time() - 2 * DAY
    for folder in (*left, *kept):
        for path in (folder / "file", folder, folder.parent):
            os.utime(path, (old, old))
    assert housekeeping.tidy(store, home) == 300
    assert not any(folder.exists() for folder in left)
    assert all(folder.exists() for folder in (*young, *kept, home.dataset(saved.id)))


@pytest.mark.parametrize("name", ["../datasets", "zz", "a" * 32, ""])
def test_only_teacher_outputs_are_deleted_by_name(store, home, saved, name):
    with pytest.raises(StoreError, match="There are no teacher outputs"):
        housekeeping.delete_teacher_outputs(store, home, name)
    assert home.dataset(saved.id).is_dir()


def test_a_limit_that_is_no_number_is_named(store, home, monkeypatch):
    monkeypatch.setenv("STUDIO_TEACHER_OUTPUTS_GB", "lots")
    with pytest.raises(ConfigError, match="STUDIO_TEACHER_OUTPUTS_GB must be a number from 0 on, got 'lots'"):
        housekeeping.tidy(store, home)


def test_folders_that_a_killed_process_left_among_the_temporary_ones_go_after_a_day(store, home, tmp_path, monkeypatch):
    monkeypatch.setattr(housekeeping.tempfile, "gettempdir", lambda: str(tmp_path))
    places = [tmp_path / f"{PASSING}old", tmp_path / f"{PASSING}new", tmp_path / "of-others"]
    for place in places:
        place.mkdir()
        (place / "0.arrow").write_bytes(bytes(1000))
    for place in (places[0], places[2]):
        os.utime(place, (0, time.time() - 2 * DAY))
    assert housekeeping.tidy(store, home) == 1000
    assert [place.exists() for place in places] == [False, True, True]


def test_folders_that_stay_are_made_where_they_are_cleaned_up():
    project = Path(housekeeping.__file__).parents[2]
    code = [file for part in ("studio", "pages") for file in (project / part).rglob("*.py")]
    makers = {file.relative_to(project).as_posix() for file in code if "mkdtemp(" in file.read_text(encoding="utf-8")}
    assert makers == {"studio/files.py"}


def test_temporary_folders_can_be_told_by_their_name_but_those_that_a_server_or_a_cluster_keeps_for_long():
    studio = Path(housekeeping.__file__).parents[1]
    makes, is_named = re.compile(r"TemporaryDirectory\("), re.compile(r"TemporaryDirectory\(prefix=PASSING\)")
    texts = {file.relative_to(studio).as_posix(): file.read_text(encoding="utf-8") for file in studio.rglob("*.py")}
    others = {name for name, text in texts.items() if len(makes.findall(text)) > len(is_named.findall(text))}
    assert others == {"cli/server.py", "executors/ray.py", "executors/ray_train.py"}


@pytest.mark.parametrize("ask", [questions.convert, questions.keep])
def test_a_run_that_is_deleted_while_a_process_writes_for_it_leaves_no_folder(store, home, saved, monkeypatch, ask):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())
    store.stopped(run.id)
    monkeypatch.setattr(questions, "with_verdict", store_run := lambda store, run_id: store.run(run_id))
    assert store_run(store, run.id).is_over

    def written_late(*_):
        runs.delete(home, store, run.id)
        home.onnx(run.id).mkdir(parents=True)
        raise WorkerError("To convert did not work.", "Go on.")

    monkeypatch.setattr(questions, "_ask", written_late)
    with pytest.raises(StoreError, match="There is no run"):
        ask(home, store, run.id)
    assert not home.run(run.id).exists()
