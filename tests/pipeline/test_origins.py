"""Models from elsewhere stay as they were until their run is done; what nobody reads may change."""

import os
import shutil
from types import SimpleNamespace

import pytest

from studio import files
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.models import saving
from studio.pipeline import origins
from tests.conftest import TINY
from tests.distill.test_training import model, problem  # noqa: F401  fixtures


@pytest.fixture
def checked(model, tmp_path, monkeypatch):  # noqa: F811
    """(the teacher's folder, what checks it, which files were read for it)."""
    monkeypatch.setattr(origins, "YOUNG_SECONDS", -1)
    folder, read, real = saving.save(model, tmp_path / "teacher").folder, [], files.checksum
    monkeypatch.setattr(files, "checksum", lambda file: read.append(file.name) or real(file))
    opened = SimpleNamespace(network=model.network, processor=model.processor, folder=folder)
    config = parse_config({"dataset": "reviews", **TINY, "teacher": f"folder:{folder}"})
    checkpoints = tmp_path / "checkpoints"

    models = SimpleNamespace(teachers=(opened,), line=(None,))

    def check():
        origins.require_unchanged(config, models, checkpoints, tmp_path / "known.json", writes=True)

    check()
    (checkpoints / "distill.pt").touch()
    return folder, check, read


def test_a_file_that_no_model_reads_may_come_and_change(checked):
    folder, check, _ = checked
    for text in ("one", "another"):
        (folder / "notes.txt").write_text(text)
        (folder / "training_args.json").write_text(f'["{text}"]')
        check()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_file_that_is_read_may_not(checked, name):
    folder, check, _ = checked
    with (folder / name).open("a") as opened:
        opened.write(" ")
    with pytest.raises(ModelError, match=rf"has changed since this run began: {name} is another\."):
        check()


def test_a_file_that_stays_as_it_is_is_read_once(checked):
    _, check, read = checked
    assert "model.safetensors" in read
    read.clear()
    check()
    assert read == []


def test_other_bytes_of_the_same_size_and_time_are_noticed(checked):
    folder, check, _ = checked
    file = folder / "model.safetensors"
    before, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelError, match=r"model\.safetensors is another"):
        check()


def test_a_file_written_a_moment_ago_is_read_again(checked, monkeypatch):
    folder, check, read = checked
    monkeypatch.setattr(origins, "YOUNG_SECONDS", 3600)
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes())
    check()
    read.clear()
    check()
    assert read == ["config.json"]


def test_checksums_that_cannot_be_read_are_made_anew(checked, tmp_path):
    _, check, read = checked
    (tmp_path / "known.json").write_text("[")
    read.clear()
    check()
    assert "model.safetensors" in read


def test_at_the_end_a_run_knows_whose_files_changed_while_it_went_on(checked):
    folder, _, _ = checked
    teacher, checkpoints, known = f"folder:{folder}", folder.parent / "checkpoints", folder.parent / "known.json"
    config = parse_config({"dataset": "reviews", **TINY, "teacher": teacher})

    def changed():
        opened = SimpleNamespace(
            network=SimpleNamespace(config=SimpleNamespace(compact=None)), processor=None, folder=folder
        )
        return origins.changed(config, SimpleNamespace(teachers=(opened,), line=(None,)), checkpoints, known)

    assert changed() == ()
    (folder / "notes.txt").write_text("nobody reads them")
    assert changed() == ()
    with (folder / "config.json").open("a") as opened:
        opened.write(" ")
    assert changed() == (teacher,)
    shutil.rmtree(folder)
    assert changed() == (teacher,)
