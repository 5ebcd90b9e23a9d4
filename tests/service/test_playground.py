"""The playground: one process that keeps a run's models open, and what it does when that process does not answer."""

import shutil
import sys

import pandas as pd
import pytest
from datasets import load_from_disk

from studio import files
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import DataError, LimitError, ModelError, WorkerError
from studio.events import Evaluation
from studio.home import Home
from studio.pipeline import playground as program
from studio.pipeline.answers import Question
from studio.pipeline.distill import distill
from studio.service import library, playground
from studio.service.playground import Playground
from studio.service.predict import open_model, predict_file
from studio.service.questions import convert
from studio.service.runs import carry
from studio.store.store import Store
from tests.conftest import TINY, reviews

BASELINE = ("baseline", "accuracy", "test")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with a finished run, trained once."""
    home = Home(tmp_path_factory.mktemp("trained") / "home")
    store, columns = Store(home.database), Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    for _ in carry(store, home, run, lambda job, stop: distill(job)):
        pass
    return home


@pytest.fixture
def home(trained, tmp_path, monkeypatch):
    """A copy of it for each test."""
    shutil.copytree(trained.root, tmp_path / "home")
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    return Home.from_environment()


@pytest.fixture
def run(store):
    return store.run(1)


@pytest.fixture
def here(home, monkeypatch):
    """A playground whose process is this one."""
    opened = program.Opened()
    monkeypatch.setattr(
        Playground, "_exchange", lambda self, line, tell=None: program.answered(line, opened).model_dump_json()
    )
    return Playground(home)


def talking(home, monkeypatch, code, seconds=20.0):
    """A playground whose process is this little program."""
    monkeypatch.setattr(playground, "PROGRAM", (sys.executable, "-c", code))
    return Playground(home, seconds)


def test_all_models_of_a_run_answer_as_predict_does(here, store, home, run):
    found = here.ask(store, run.id, "a wonderful film")
    assert [said.role for said in found.said] == ["teacher", "student", "control", "baseline"]
    for said in found.said[:3]:
        (answer,) = open_model(store, home, run.id, said.role).predict(["a wonderful film"])
        assert said.answer["label"] == answer["label"]
        label, share = next(iter(said.shares.items()))
        assert (label, share) == (answer["label"], pytest.approx(answer["score"]))
        assert sum(said.shares.values()) == pytest.approx(1)


def test_where_the_teacher_is_gone_the_others_answer_and_it_is_told(here, store, home, run):
    shutil.rmtree(home.model(run.id, "teacher"))
    found = here.ask(store, run.id, "a wonderful film")
    assert [said.role for said in found.said] == ["student", "control", "baseline"]
    assert "no trained teacher" in found.missing["teacher"]


def test_where_no_model_is_left_the_reason_is_told(here, store, home, run, monkeypatch):
    for role in ("teacher", "student", "control"):
        shutil.rmtree(home.model(run.id, role))
    monkeypatch.setattr(playground, "asked_roles", lambda *_: ["teacher"])
    with pytest.raises(ModelError, match="no trained teacher"):
        here.ask(store, run.id, "a wonderful film")


def test_an_input_of_another_kind_is_refused_in_words(here, store, run):
    with pytest.raises(DataError, match="text"):
        here.ask(store, run.id, 7)


def test_a_file_that_is_no_image_is_told_before_a_model_is_asked(home, store, saved_digits, monkeypatch):
    run = store.submit(parse_config({"dataset": saved_digits.name, "teacher": "builtin/cnn-small",
                                     "student": "builtin/cnn-tiny", "task": saved_digits.task}), key="d")  # fmt: skip
    monkeypatch.setattr(Playground, "_exchange", lambda *_: pytest.fail("it was asked"))
    for damaged in (b"", b"hello", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(DataError, match="no image"):
            Playground(home).ask(store, run.id, damaged)


def test_a_model_stays_open_until_others_need_its_room(home, run, store, saved):
    question = Question(home=home, run_id=run.id, config=run.config, roles=[], labels=saved.labels)
    opened = program.Opened()
    assert opened.of(question, "student") is opened.of(question, "student")
    opened.of(question, "control")
    assert len(opened.known) == 2
    opened.most_bytes = 1
    opened.of(question, "control")
    assert [role for _, _, role in opened.known] == ["control"]


def test_the_models_of_a_run_that_has_learned_on_are_opened_anew(home, run, store, saved):
    question = Question(home=home, run_id=run.id, config=run.config, roles=[], labels=saved.labels)
    opened = program.Opened()
    before = [opened.of(question, role) for role in ("student", "control")]
    student = home.model(run.id, "student")
    with files.whole(student) as part:
        shutil.copytree(home.model(run.id, "control"), part, dirs_exist_ok=True)
    after = [opened.of(question, role) for role in ("student", "control")]
    assert not any(one is other for one, other in zip(before, after, strict=True))
    assert len(opened.known) == 2


def test_a_process_that_ended_is_told_and_the_next_question_starts_another(home, store, run, monkeypatch):
    ending = talking(home, monkeypatch, "raise SystemExit(3)")
    with pytest.raises(WorkerError, match=r"process ended.*playground\.log"):
        ending.ask(store, run.id, "good")
    reply = '{"result": {"said": [], "device": "cpu"}}'
    ending._process._command = (sys.executable, "-c", f"input(); print({reply!r}, flush=True); input()")
    assert ending.ask(store, run.id, "good").device == "cpu"
    ending.close()


def test_what_is_left_of_an_answer_that_nobody_waits_for_is_not_the_next_ones(home, store, run, monkeypatch):
    part, whole = (
        '{"kind":"partial","role":"student","text":"for Ada"}',
        '{"result": {"said": [], "device": "Ada"}}',
    )
    slow = talking(home, monkeypatch, f"input(); print({part!r}, flush=True); print({whole!r}, flush=True); input()")

    class Left(BaseException):
        """As Streamlit ends a page that is asked for anew."""

    def leave(part):
        raise Left

    with pytest.raises(Left):
        slow.ask(store, run.id, "good", leave)
    slow._process._command = (sys.executable, "-c", f"input(); print({whole.replace('Ada', 'Bob')!r})")
    assert slow.ask(store, run.id, "good").device == "Bob"
    slow.close()


def test_a_process_that_hangs_is_ended(home, store, run, monkeypatch):
    hanging = talking(home, monkeypatch, "import time; time.sleep(600)", seconds=0.2)
    with pytest.raises(WorkerError, match=r"no answer within 0\.2 s"):
        hanging.ask(store, run.id, "good")
    assert hanging._process._process is None


def test_an_image_travels_as_its_bytes(home, run):
    question = Question(
        home=home, run_id=1, config=run.config, roles=["student"], labels=["a", "b"], image=b"\x89PNG\xff\x00"
    )
    assert Question.model_validate_json(question.model_dump_json()).image == b"\x89PNG\xff\x00"


def test_a_batch_gets_the_answers_that_each_of_its_rows_gets_alone(here, store, run):
    texts = ["a wonderful film", "the dull thing was poor", "so warm"]
    alone = [here.ask(store, run.id, text).said[1] for text in texts]
    found = here.batch(store, run.id, "student", texts, shares=True)
    for said, answer, shares in zip(alone, found.answers, found.shares, strict=True):
        assert answer["label"] == said.answer["label"]
        assert shares == pytest.approx(said.shares, abs=1e-5)
    assert here.batch(store, run.id, "student", texts).shares == []


def test_a_batch_of_a_model_that_is_not_there_is_told(here, store, home, run):
    shutil.rmtree(home.model(run.id, "student"))
    with pytest.raises(ModelError, match="no student"):
        here.batch(store, run.id, "student", ["a"])


def test_the_baseline_answers_as_the_verdict_measured_it(here, store, home, run):
    rows = load_from_disk(home.dataset(run.dataset_id))["test"]
    found = here.batch(store, run.id, "baseline", rows["text"][:])
    labels = store.dataset("reviews").labels
    right = [answer["label"] == labels[label] for answer, label in zip(found.answers, rows["label"], strict=True)]
    (known,) = (one for one in store.evaluations(run.id) if (one.role, one.metric, one.split) == BASELINE)
    assert sum(right) / len(right) == pytest.approx(known.value)


def test_the_student_in_int8_is_asked_where_it_was_made(here, store, home, run, answered_here):
    convert(home, store, run.id)
    said = {one.role: one for one in here.ask(store, run.id, "a wonderful film").said}
    assert list(said) == ["teacher", "student", "int8", "control", "baseline"]
    assert said["int8"].shares == pytest.approx(said["student"].shares, abs=0.05)


def test_a_student_that_was_measured_before_it_learned_can_be_asked_as_it_was(store, home, run):
    assert "untouched" not in playground.asked_roles(home, store, run.id)
    store.record(run.id, [Evaluation(role="untouched", split="test", metric="accuracy", value=0.5, n=9)])
    assert playground.asked_roles(home, store, run.id)[-2:] == ["untouched", "baseline"]


def test_a_file_is_answered_by_the_models_that_are_open(here, store, home, run, tmp_path):
    (tmp_path / "new.csv").write_text("text\n" + "\n".join(f"a fine thing {n}" for n in range(70)) + "\n,\n")
    told = []
    scored = predict_file(
        store, home, run.id, tmp_path / "new.csv", tmp_path / "out.csv",
        ask=lambda values: here.stream(store, run.id, "student", values),
        tell=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    written = pd.read_csv(tmp_path / "out.csv")
    (answer,) = open_model(store, home, run.id, "student").predict(["a fine thing 69"])
    assert written["label"].iloc[69] == answer["label"]
    assert told[-1] == (scored.rows, scored.rows)


def test_nobody_lets_the_others_wait_for_a_text_of_megabytes(here, store, run, monkeypatch):
    monkeypatch.setattr(Playground, "_exchange", lambda *_: pytest.fail("the models were asked"))
    long = "good " * 50_000
    asks = (here.ask, here.why, lambda store, run_id, text: list(here.stream(store, run_id, "student", ["a", text])))
    for ask in asks:
        with pytest.raises(LimitError, match="A text has 250,000 characters; at most 200,000 are asked"):
            ask(store, run.id, long)


def test_an_image_is_no_larger_than_others_wait_for(monkeypatch):
    monkeypatch.setattr(playground, "LARGEST_IMAGE", 1_000_000)
    playground._require_short([bytes(1_000_000)])
    with pytest.raises(LimitError, match="An image has 3 MB; at most 1 MB are asked"):
        playground._require_short([b"x", bytes(3_000_000)])


def test_long_texts_and_large_images_are_asked_few_at_a_time(monkeypatch):
    monkeypatch.setattr(playground, "MOST_LETTERS", 10)
    assert list(playground._some(["a" * 6, ["b" * 2, "c"], b"d" * 4, "e" * 20, "f"])) == [
        ["a" * 6, ["b" * 2, "c"]], [b"d" * 4], ["e" * 20], ["f"],
    ]  # fmt: skip
    assert [len(some) for some in playground._some(["a"] * 70)] == 7 * [10]
    monkeypatch.setattr(playground, "MOST_LETTERS", 1_000)
    assert [len(some) for some in playground._some(["a"] * 70)] == [64, 6]
