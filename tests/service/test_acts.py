"""Every deed is allowed to those whom it is for, and stands in the audit log."""

import sqlite3

import pytest

from studio.config.reading import parse_config
from studio.config.sweep import SweepConfig
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import AccessError, DataError, StoreError
from studio.events import Verdict
from studio.pipeline.answers import Layers
from studio.service import calibrated
from studio.service.acts import Acts
from studio.service.people import Person
from tests.conftest import TINY, reviews

CONFIG = parse_config({"dataset": "reviews", **TINY})
SEARCH = SweepConfig(base=CONFIG, search={"temperature": (1.0, 2.0)})


@pytest.fixture
def acts(home, store):
    """What a person of a role does."""

    def of(role, name="ada"):
        return Acts(Person(f"{name}@example.org", role, f"{name}@example.org"), home, store)

    return of


def said(store):
    return [(entry.who.partition("@")[0], entry.what, entry.about) for entry in reversed(store.audit())]


def test_the_teacher_of_a_run_that_took_a_ready_one_is_that_ready_one(acts, home, store, saved):
    ready = {**TINY, "teacher": "folder:/models/large"}
    acts("admin").start(parse_config({"dataset": "reviews", **ready}), key="first")
    borrowed = {"dataset": "reviews", **TINY, "teacher": "run:1/teacher"}
    assert acts("admin").start(parse_config(borrowed), key="second").config.teacher == "folder:/models/large"
    search = SweepConfig(base=parse_config(borrowed), search={"temperature": (1.0, 2.0)})
    assert acts("admin").search(search, key="third").config.base.teacher == "folder:/models/large"
    home.model(1, "teacher").mkdir(parents=True)
    assert acts("admin").start(parse_config(borrowed), key="fourth").config.teacher == "run:1/teacher"


@pytest.mark.parametrize(
    "deed",
    [
        lambda acts: acts.start(CONFIG, key="another"),
        lambda acts: acts.stop(1),
        lambda acts: acts.resume(1),
        lambda acts: acts.take_back(1),
        lambda acts: acts.move(1, 0),
        lambda acts: acts.archive(1),
        lambda acts: acts.describe(1, name="mine"),
        lambda acts: acts.delete_run(1),
        lambda acts: acts.save("more", None, None),
        lambda acts: acts.add(None),
        lambda acts: acts.rename("reviews", "mine"),
        lambda acts: acts.delete_dataset("reviews"),
        lambda acts: acts.measure_learning_curve(1),
        lambda acts: acts.examine(1, Layers),
        lambda acts: acts.examine_elsewhere(1, 1),
        lambda acts: acts.keep_answers(1),
        lambda acts: acts.convert(1),
        lambda acts: acts.answer_file(1, "student", "a.csv", b""),
        lambda acts: acts.call_version(acts.store.dataset("reviews"), "reviews"),
        lambda acts: acts.judge(1, ("student", "control"), "first", "text"),
        lambda acts: acts.mark(1, "train", 0, "good"),
        lambda acts: acts.unmark(1, "train", 0),
        lambda acts: acts.correct(1, "mine"),
        lambda acts: acts.add_rows(1, None, "mine"),
        lambda acts: acts.calibrate(1, 2.0),
        lambda acts: acts.export_cascade(1, 0.5, {}, None),
        lambda acts: acts.search(SEARCH, key="one"),
        lambda acts: acts.pause_search(1),
        lambda acts: next(acts.have_answered([], None, None)),
        lambda acts: acts.export(1, None),
        lambda acts: acts.push(1, "ada/mine"),
        lambda acts: acts.delete_teacher_outputs("0" * 32),
        lambda acts: acts.tidy(),
    ],
)
def test_a_viewer_changes_nothing_and_nothing_is_noted(acts, store, saved, deed):
    acts("admin").start(CONFIG, key="one")
    acts("admin").search(SEARCH, key="one")
    before = store.run(1), store.datasets(), store.audit()
    with pytest.raises(AccessError):
        deed(acts("viewer"))
    assert (store.run(1), store.datasets(), store.audit()) == before


def test_a_member_changes_what_is_hers_alone_and_an_admin_everything(acts, store, saved):
    ada, bob, admin = acts("member"), acts("member", "bob"), acts("admin", "root")
    run = ada.start(CONFIG, key="one")
    assert run.made_by == "ada@example.org"
    for deed in (bob.stop, bob.resume, bob.archive, bob.delete_run, bob.take_back, lambda one: bob.push(one, "a/b")):
        with pytest.raises(AccessError, match=r"belongs to ada@example\.org"):
            deed(run.id)
    with pytest.raises(AccessError, match="belongs to nobody who signed in"):
        ada.delete_dataset("reviews")
    ada.stop(run.id)
    ada.resume(run.id)
    ada.stop(run.id, pause=True)
    admin.archive(run.id)
    admin.delete_run(run.id)
    admin.rename("reviews", "mine")
    admin.delete_dataset("mine")
    assert said(store) == [
        ("ada", "start", "run 1"), ("ada", "stop", "run 1"), ("ada", "resume", "run 1"), ("ada", "pause", "run 1"),
        ("root", "archive", "run 1"), ("root", "delete", "run 1"),
        ("root", "rename", "data set 1, 'reviews' to 'mine'"), ("root", "delete", "data set 1, 'mine'"),
    ]  # fmt: skip


def test_what_is_written_on_a_run_is_noted_without_the_words(acts, store, saved):
    acts("member").start(CONFIG, key="hers")
    acts("member").describe(1, note="a secret", tags=["odd"])
    assert (store.run(1).note, store.run(1).tags) == ("a secret", ("odd",))
    assert said(store)[-1] == ("ada", "describe", "run 1: note, tags")


def test_a_data_set_belongs_to_who_saved_it(acts, store):
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    saved = acts("member").save("mine", rows, Columns("text", "label"))
    assert saved.made_by == store.dataset("mine").made_by == "ada@example.org"
    with pytest.raises(AccessError):
        acts("member", "bob").rename("mine", "yours")
    assert acts("member").rename("mine", "ours").name == "ours"


@pytest.mark.parametrize(
    "models",
    [
        {"teacher": "folder:/secret"},
        {"student": "folder:/secret"},
        {"more_teachers": ["folder:/secret"]},
        {"augment": ["masked_word"], "masked_model": "folder:/secret"},
    ],
)
def test_only_an_admin_opens_a_folder_that_is_not_named_for_all(acts, saved, monkeypatch, models):
    config = parse_config({"dataset": "reviews", **TINY, **models})
    with pytest.raises(AccessError, match="folder:/secret is elsewhere"):
        acts("member").start(config, key="one")
    monkeypatch.setenv("STUDIO_MODEL_FOLDERS", "/models")
    with pytest.raises(AccessError, match="folder:/secret is elsewhere"):
        acts("member").start(config, key="one")
    acts("admin").require_models(config)
    monkeypatch.setenv("STUDIO_MODEL_FOLDERS", "/models:/secret")
    acts("member").require_models(config)


def three_of(acts, saved):
    columns = Columns("text", "label")
    rows = [clean(reviews(count), columns, "text-classification") for count in (120, 130, 140)]
    return saved, *(acts("member").save(f"reviews {len(one.table)}", one, columns) for one in rows[1:])


def test_a_data_set_is_called_a_version_by_its_owner_and_once(acts, store, saved):
    first, second, third = three_of(acts, saved)
    with pytest.raises(AccessError, match=r"belongs to ada@example\.org"):
        acts("member", "bob").call_version(second, first.id)
    assert acts("member").call_version(second, first.id).number == 2
    assert acts("member").call_version(third, second.id).number == 3
    for row, of in ((first, third), (first, second), (second, third), (third, third), (first, first)):
        with pytest.raises(DataError, match="among versions already"):
            acts("admin").call_version(row, of.id)
    assert [one.number for one in store.versions(first.id)] == [1, 2, 3]


def test_a_version_with_as_many_rows_says_no_number_of_rows(acts, store, saved):
    other = reviews()
    other.table["text"] = other.table["text"].str.replace("thing", "film")
    columns = Columns("text", "label")
    second = acts("member").save("films", clean(other, columns, "text-classification"), columns)
    assert sum(second.splits.values()) == sum(saved.splits.values())
    assert acts("member").call_version(second, saved.id).change == {}


def test_a_search_with_a_folder_of_models_goes_on_at_the_word_of_an_admin_alone(acts, store, saved, monkeypatch):
    secret = SEARCH.model_copy(update={"base": CONFIG.model_copy(update={"teacher": "folder:/secret"})})
    monkeypatch.setenv("STUDIO_MODEL_FOLDERS", "/secret")
    sweep = acts("member").search(secret, key="one")
    acts("member").pause_search(sweep.id)
    monkeypatch.delenv("STUDIO_MODEL_FOLDERS")
    with pytest.raises(AccessError, match="folder:/secret is elsewhere"):
        acts("member").pause_search(sweep.id, paused=False)
    assert store.sweep(sweep.id).status == "paused"
    acts("admin").pause_search(sweep.id, paused=False)


def test_only_the_owner_of_a_run_that_is_done_changes_what_its_download_says(acts, home, store, saved):
    run = acts("member").start(CONFIG, key="one")
    for deed in (lambda one: one.calibrate(run.id, 2.0), lambda one: one.measure_learning_curve(run.id)):
        with pytest.raises(StoreError, match="has no verdict"):
            deed(acts("member"))
    store.record(run.id, [Verdict(outcome="better", sentence="So it is.")])
    with pytest.raises(AccessError, match=r"belongs to ada@example\.org"):
        acts("member", "bob").calibrate(run.id, 2.0)
    with pytest.raises(StoreError, match="no run 99"):
        acts("admin").calibrate(99, 2.0)
    assert not home.run(99).exists()
    acts("member").calibrate(run.id, 2.0)
    assert calibrated.read(home, run.id) == 2.0


def test_folders_of_models_are_an_admins_in_a_learning_curve_too(acts, store, saved):
    run = acts("admin").start(parse_config({"dataset": "reviews", **TINY, "teacher": "folder:/secret"}), key="one")
    store.record(run.id, [Verdict(outcome="better", sentence="So it is.")])
    with pytest.raises(AccessError, match="folder:/secret is elsewhere"):
        acts("member").measure_learning_curve(run.id)


def test_the_audit_log_can_only_be_added_to(store):
    store.note("ada", "login")
    with sqlite3.connect(store.path) as other:
        for sql in ("UPDATE audit SET who = 'bob'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.DatabaseError, match="can only be added to"):
                other.execute(sql)
    assert [entry.who for entry in store.audit()] == ["ada"]
