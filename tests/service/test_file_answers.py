"""Whole files answered beside the pages."""

import threading

import pytest

from studio.config.reading import parse_config
from studio.errors import LimitError
from studio.service import file_answers
from studio.service.file_answers import MOST_WAITING, FileDesk
from studio.service.playground import Playground
from tests.conftest import TINY


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")


@pytest.fixture
def held(monkeypatch):
    """Answers come when the test lets them."""
    may = threading.Event()

    def stream(self, store, run_id, role, values):
        may.wait(60)
        yield [{"label": "good", "score": 0.5} for _ in values]

    monkeypatch.setattr(Playground, "stream", stream)
    return may


def over(one):
    """Once its thread is done."""
    for thread in threading.enumerate():
        if thread.name == f"answers {one.id[:6]}":
            thread.join(20)
    return one


def test_a_file_is_answered_while_nobody_waits_and_only_its_owner_sees_it(home, store, run, held):
    desk = FileDesk(home)
    one = desk.begin(store, run.id, "student", "films.csv", b"text\na\nb\n", "ada")
    assert not one.is_over
    held.set()
    assert over(one).state == "finished"
    assert one.answers.read_text().splitlines() == ["text,label,score", "a,good,0.5", "b,good,0.5"]
    assert (one.done, one.total, one.scored.rows) == (2, 2, 2)
    assert one.folder.parent == home.downloads, "what is there is cleaned up"
    assert desk.of(run.id, "ada") == [one]
    assert desk.of(run.id, "bob") == desk.of(run.id + 1, "ada") == []


def test_what_is_wrong_with_a_file_is_kept_for_the_page(home, store, run, held):
    held.set()
    one = over(FileDesk(home).begin(store, run.id, "student", "empty.csv", b"other,columns\n1,2\n", None))
    assert one.state == "failed"
    assert "no column" in str(one.error)


def test_one_that_is_stopped_leaves_no_answers_and_too_many_are_refused(home, store, run, held):
    desk = FileDesk(home)
    files = [desk.begin(store, run.id, "student", "a.csv", b"text\na\n", None) for _ in range(MOST_WAITING)]
    with pytest.raises(LimitError, match="being answered already"):
        desk.begin(store, run.id, "student", "a.csv", b"text\na\n", None)
    for one in files:
        one.stop.set()
    held.set()
    assert {over(one).state for one in files} == {"stopped"}
    assert not any(one.folder.exists() for one in files)


def test_one_persons_files_take_no_place_from_anothers(home, store, run, held, monkeypatch):
    monkeypatch.setattr(file_answers, "MOST_KEPT", 2)
    desk = FileDesk(home)
    hers = [desk.begin(store, run.id, "student", "a.csv", b"text\na\n", "ada") for _ in range(MOST_WAITING)]
    his = desk.begin(store, run.id, "student", "a.csv", b"text\na\n", "bob")
    held.set()
    for one in (*hers, his):
        left = sorted(file.name for file in over(one).folder.iterdir())
        assert left == ["about.json", "answers.csv"], "what was brought is gone"
    last = over(desk.begin(store, run.id, "student", "a.csv", b"text\na\n", "ada"))
    assert len(desk.of(run.id, "ada")) == 2 and last in desk.of(run.id, "ada")
    assert sum(one.folder.exists() for one in hers) == 1
    assert desk.of(run.id, "bob") == [his] and his.answers.is_file()


def test_files_are_answered_one_after_another(home, store, run, monkeypatch):
    going, most, started = [], [], threading.Event()

    def stream(self, store, run_id, role, values):
        going.append(role)
        most.append(len(going))
        started.wait(0.05)  # another one that may come in comes in meanwhile
        going.pop()
        yield [{"label": "good", "score": 0.5} for _ in values]

    monkeypatch.setattr(Playground, "stream", stream)
    desk = FileDesk(home)
    files = [desk.begin(store, run.id, "student", "a.csv", b"text\na\n", "ada") for _ in range(3)]
    assert {over(one).state for one in files} == {"finished"}
    assert most == [1, 1, 1]


def test_answers_that_had_their_day_are_not_offered(home, store, run, held):
    held.set()
    desk = FileDesk(home)
    one = over(desk.begin(store, run.id, "student", "a.csv", b"text\na\n", "ada"))
    one.answers.unlink()
    assert desk.of(run.id, "ada") == []


def test_answers_are_found_again_by_who_brought_the_file_after_the_studio_was_restarted(home, store, run, held):
    held.set()
    one = over(FileDesk(home).begin(store, run.id, "student", "films.csv", b"text,note\na,1\n,2\n", "ada"))
    again = FileDesk(home)
    (found,) = again.of(run.id, "ada")
    assert (found.id, found.name, found.role, found.begun) == (one.id, "films.csv", "student", one.begun)
    assert (found.state, found.scored.rows, found.scored.empty) == ("finished", 2, 1)
    assert found.answers.read_text().startswith("text,note,label")
    assert again.of(run.id, "bob") == []


def test_of_a_file_that_a_restart_cut_off_the_owner_is_told_to_bring_it_again(home, store, run, held):
    desk = FileDesk(home)
    one = desk.begin(store, run.id, "student", "films.csv", b"text\na\n", "ada")
    (found,) = FileDesk(home).of(run.id, "ada")
    assert found.is_over and "Bring the file again" in str(found.error.cure)
    one.stop.set()
    held.set()
    over(one)


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"scored": 3}'])
def test_what_nobody_can_read_beside_answers_keeps_no_desk_from_opening(home, written):
    folder = home.downloads / "x"
    folder.mkdir(parents=True)
    (folder / file_answers.ABOUT).write_text(written)
    assert FileDesk(home).of(1, None) == []
