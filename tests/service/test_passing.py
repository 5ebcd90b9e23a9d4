"""Nobody fills the disk with what waits: of a person few things stay, and nothing new is begun on a full disk."""

import shutil
from types import SimpleNamespace

import pytest

from studio.config.reading import parse_config
from studio.data.columns import Columns
from studio.errors import DiskError
from studio.service import passing
from studio.service.acts import Acts
from studio.service.passing import room
from studio.service.people import local
from tests.conftest import TINY

ADA, EVE = "ada@example.org", "eve@example.org"


def filled(home, owner, size=10):
    folder = room(home, home.uploads, size, owner)
    (folder / "file").write_bytes(bytes(size))
    return folder


def test_of_a_person_few_things_wait_and_the_oldest_goes_first(home):
    others = [filled(home, EVE), filled(home, None)]
    mine = [filled(home, ADA) for _ in range(passing.MOST + 2)]
    assert [folder.is_dir() for folder in mine] == [False, False] + passing.MOST * [True]
    assert all(folder.is_dir() for folder in others)


def test_what_waits_of_a_person_takes_no_more_than_so_many_bytes(home, monkeypatch):
    monkeypatch.setattr(passing, "MOST_BYTES", 3_000)
    mine = [filled(home, ADA, 1_000) for _ in range(4)]
    assert [folder.is_dir() for folder in mine] == [False, False, True, True]  # who it belongs to takes some, too


@pytest.fixture
def nearly_full(home, monkeypatch):
    home.make()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10**12, used=0, free=1.2e9))


def test_what_would_take_the_last_of_the_disk_is_not_taken_in(home, nearly_full):
    room(home, home.uploads, 10**8, ADA)
    with pytest.raises(DiskError, match=r"nearly full \(1,200 MB left\)"):
        room(home, home.uploads, 10**9, ADA)


def test_nothing_new_is_begun_on_a_disk_that_is_nearly_full(home, store, saved, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10**12, used=0, free=0.9e9))
    acts = Acts(local(), home, store)
    deeds = [
        lambda: acts.start(parse_config({"dataset": "reviews", **TINY}), key="k"),
        lambda: acts.save("more", None, Columns("text", "label")),
        lambda: acts.correct(1, "more"),
        lambda: acts.convert(1),
        lambda: acts.keep_answers(1),
        lambda: acts.measure_learning_curve(1),
        lambda: acts.answer_file(1, "student", "a.csv", b"text"),
        lambda: acts.export(1, home.root / "a.zip"),
        lambda: acts.export_cascade(1, 0.5, {}, home.root / "a.zip"),
    ]
    for deed in deeds:
        with pytest.raises(DiskError, match="nothing new is begun"):
            deed()
    assert acts.rename("reviews", "films").name == "films"
