"""What is examined of a finished run on request: layers, robustness, other data, embeddings."""

import shutil

import numpy as np
import pandas as pd
import pytest

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.errors import DataError, ExportError, ModelError, StoreError
from studio.evaluate import metrics
from studio.events import Verdict
from studio.home import Home
from studio.kept import answers, embeddings, examined
from studio.pipeline import elsewhere, layers, predict, robustness
from studio.pipeline import embeddings as embedding
from studio.pipeline.answers import Elsewhere, Layers, Robustness
from studio.pipeline.distill import distill
from studio.pipeline.job import Job
from studio.service import library, questions, runs
from studio.store.store import Store
from tests.conftest import TINY, reviews


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    """A job that has been done."""
    home = Home(tmp_path_factory.mktemp("examined") / "home")
    columns = Columns("text", "label")
    saved = library.save(
        Store(home.database), home, "reviews", clean(reviews(), columns, "text-classification"), columns
    )
    job = Job(
        run_id=1,
        config=parse_config({"dataset": "reviews", "task": "text-classification", **TINY}),
        dataset=home.dataset(saved.id),
        home=home,
    )
    for _ in distill(job):
        pass
    return job


def test_unchanged_inputs_get_the_numbers_of_the_verdict_and_every_model_has_its_curves(job):
    found = robustness.examine(job)
    known = answers.of_run(job.home, 1)
    assert {curve.role for curve in found.curves} == {"teacher", "student", "control"}
    for curve in found.curves:
        right = known[curve.role].right
        assert curve.values[0] == pytest.approx(right.mean())
        assert curve.low[0] < curve.values[0] < curve.high[0] or right.mean() in (0, 1)
        assert len(curve.values) == len(curve.levels) == len(curve.low)
    at = {(curve.role, level): value for curve in found.curves if curve.corruption == "typos"
          for level, value in zip(curve.levels, curve.values, strict=True)}  # fmt: skip
    gaps = {gap.level: gap for gap in found.gaps if gap.corruption == "typos"}
    assert set(gaps) == {0.02, 0.05, 0.1, 0.2}
    for level, gap in gaps.items():
        student, teacher = (at[role, 0] - at[role, level] for role in ("student", "teacher"))
        assert gap.difference == pytest.approx(student - teacher)
        assert 0 < gap.p_value <= 1
    assert found.rows == len(known["student"])


def test_what_the_student_loses_more_is_tested_at_all_levels_together(job, monkeypatch):
    monkeypatch.setattr(metrics, "lost_more", lambda *_: (0.5, 0.01))
    gaps = robustness.examine(job).gaps
    assert [gap.p_value for gap in gaps] == pytest.approx([min(1.0, 0.01 * len(gaps))] * len(gaps))


def test_a_control_that_cannot_be_opened_is_told_and_one_that_the_run_never_had_is_left_out(job, tmp_path):
    shutil.copytree(job.home.root, tmp_path / "home")
    there = job.model_copy(update={"home": Home(tmp_path / "home")})
    control = there.home.model(1, "control")
    weights = control / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError):
        list(predict.open_roles(there, load(job.dataset)))
    shutil.rmtree(control)
    assert [role for role, _ in predict.open_roles(there, load(job.dataset))] == ["teacher", "student"]


def test_layers_are_compared_on_validation_rows_and_every_one_with_every_one(job):
    found = layers.examine(job)
    assert (len(found.alike), len(found.alike[0])) == (len(found.teacher), len(found.student)) == (2, 1)
    assert found.rows == len(answers.of_run(job.home, 1, "validation")["student"])


def test_a_models_layers_are_its_own(job, monkeypatch):
    monkeypatch.setattr("studio.pipeline.predict.open_role", asked_twice("teacher"))
    alike = np.array(layers.examine(job).alike)
    assert np.diag(alike) == pytest.approx(1, abs=1e-3)


def asked_twice(role):
    from studio.pipeline import predict

    open_role = predict.open_role

    def opened(config, run_id, _role, *others):
        return open_role(config, run_id, role, *others)

    return opened


def test_rows_of_other_data_are_asked_and_other_labels_are_refused(job):
    store = Store(job.home.database)
    columns = Columns("text", "label")
    rows = clean(new_reviews(), columns, "text-classification")
    other = library.save(store, job.home, "new ones", rows, columns)
    asked = job.model_copy(update={"other": job.home.dataset(other.id)})
    found = elsewhere.examine(asked)
    assert (found.dataset, found.rows, found.known) == ("new ones", other.splits["test"], 0)
    assert set(found.values) == {"teacher", "student", "control"}
    table = pd.DataFrame({"text": [f"text {n}" for n in range(40)], "label": ["x", "y"] * 20}, dtype=object)
    strange = clean(Upload("table", table), columns, "text-classification")
    third = library.save(store, job.home, "strange", strange, columns)
    with pytest.raises(DataError, match="other labels than reviews"):
        elsewhere.examine(job.model_copy(update={"other": job.home.dataset(third.id)}))


def new_reviews() -> Upload:
    upload = reviews(80)
    upload.table["text"] = [f"unlike the others: {text}" for text in upload.table["text"]]
    return upload


def test_rows_of_other_data_that_the_run_has_seen_while_it_learned_test_nothing(job):
    store, columns = Store(job.home.database), Columns("text", "label")
    mine = load(job.dataset).dict
    learned = [text for name in ("train", "validation") for text in mine[name]["text"]]
    both = pd.concat([reviews().table, new_reviews().table], ignore_index=True)
    both["text"] = both["text"].str.upper()
    mixed = clean(Upload("table", both), columns, "text-classification")
    other = library.save(store, job.home, "mixed", mixed, columns)
    asked = job.model_copy(update={"other": job.home.dataset(other.id)})
    seen = {text.upper() for text in learned} & set(load(asked.other).dict["test"]["text"])
    found = elsewhere.examine(asked)
    assert found.known == len(seen) > 0
    assert found.rows == other.splits["test"] - len(seen)
    replayed = asked.model_copy(update={"replay": _only(job, columns, new_reviews().table["text"], new_reviews())})
    assert elsewhere.examine(replayed).rows < found.rows
    began_there = asked.model_copy(update={"earlier": (replayed.replay,)})
    assert elsewhere.examine(began_there).rows == elsewhere.examine(replayed).rows
    with pytest.raises(DataError, match="have seen all"):
        elsewhere.examine(job.model_copy(update={"other": _only(job, columns, learned)}))


def test_what_earlier_runs_have_learned_counts_where_a_run_begins_with_their_models(job, monkeypatch):
    store, columns, made = Store(job.home.database), Columns("text", "label"), []
    for count, models in ((40, {}), (50, {"teacher": "run:%d/teacher"}), (60, {"student": "run:%d/student"})):
        rows = clean(reviews(count), columns, "text-classification")
        library.save(store, job.home, f"of {count}", rows, columns)
        begun = {"dataset": f"of {count}"} | {name: value % made[-1].id for name, value in models.items()}
        made.append(store.submit(job.config.model_copy(update=begun), key=f"of {count}", owner="me"))
    store.record(made[-1].id, [Verdict(outcome="better", sentence="So it is.")])
    asked = []
    monkeypatch.setattr(questions, "_ask", lambda program, kind, job, *others: asked.append(job) or kind(
        dataset="reviews", rows=1, known=0, values={}))  # fmt: skip
    questions.elsewhere(job.home, store, made[-1].id, 1)
    assert asked[0].earlier == tuple(sorted(job.home.dataset(one.dataset_id) for one in made[:2]))


def _only(job, columns, texts, source=None):
    """Data of these texts alone, with labels as they were."""
    table = (source or reviews()).table
    rows = clean(Upload("table", table[table["text"].isin(texts)]), columns, "text-classification")
    saved = library.save(Store(job.home.database), job.home, f"only {len(texts)}", rows, columns)
    return job.home.dataset(saved.id)


def test_nothing_is_examined_before_the_verdict_since_a_paused_student_learns_on(job, monkeypatch):
    store = Store(job.home.database)
    run = store.submit(job.config, key="paused", owner="me")
    asked = []
    monkeypatch.setattr(questions, "_ask", lambda *of: asked.append(of))
    for end in (lambda: None, lambda: store.stopped(run.id)):
        end()
        for ask in (
            lambda: questions.examine(job.home, store, run.id, Layers),
            lambda: questions.elsewhere(job.home, store, run.id, run.dataset_id),
            lambda: questions.keep(job.home, store, run.id),
        ):
            with pytest.raises(StoreError, match="has no verdict"):
                ask()
    assert not asked


def test_the_files_of_a_student_that_learns_on_are_made_anew(job):
    store = Store(job.home.database)
    run = store.submit(job.config, key="goes on", owner="me")
    with pytest.raises(ExportError, match="is running: its student is not ready"):
        questions.convert(job.home, store, run.id)
    job.home.onnx(run.id).mkdir(parents=True)
    assert list(runs.carry(store, job.home, run, execute=lambda job, stop: (event for event in ()))) == []
    assert not job.home.onnx(run.id).exists()


def test_a_rows_nearest_by_the_teachers_embedding_is_itself_where_it_is_among_them(job):
    told = embedding.examine(job)
    train, test = (embeddings.opened(job.home, 1, split) for split in ("train", "test"))
    assert (len(train), len(test), train.shape[1]) == (told.training, told.test, told.width)
    assert [embeddings.nearest(train[row], train, 1)[0] for row in range(5)] == list(range(5))


def test_what_was_found_is_kept_and_a_damaged_file_is_made_anew(job, monkeypatch):
    store = Store(job.home.database)
    run = store.submit(job.config, key="one", owner="me")
    store.record(run.id, [Verdict(outcome="better", sentence="So it is.")])
    store.finish(run.id)
    asked = []

    def ask(program, kind, job, *others):
        asked.append(program)
        return Layers(teacher=["1"], student=["1"], alike=[[0.5]], rows=9)

    monkeypatch.setattr(questions, "_ask", ask)
    for _ in range(2):
        assert questions.examine(job.home, store, run.id, Layers).alike == [[0.5]]
    (job.home.kept(run.id) / "layers.json").write_text("{")
    assert questions.examine(job.home, store, run.id, Layers).rows == 9
    assert asked == ["layers", "layers"]
    assert examined.read(job.home, run.id, Robustness) is None


@pytest.mark.parametrize("of", [Layers, Elsewhere])
def test_a_run_that_is_deleted_while_it_is_examined_leaves_no_folder(job, monkeypatch, of):
    store = Store(job.home.database)
    store.submit(job.config, key="first", owner="me")  # the job's own number is not given again
    run = store.submit(job.config, key=f"deleted {of}", owner="me")
    store.record(run.id, [Verdict(outcome="better", sentence="So it is.")])
    store.finish(run.id)

    def deleted(*asked):
        runs.delete(job.home, store, run.id)
        return Layers(teacher=["1"], student=["1"], alike=[[0.5]], rows=9)

    monkeypatch.setattr(questions, "_ask", deleted)
    with pytest.raises(StoreError, match="no run"):
        if of is Layers:
            questions.examine(job.home, store, run.id, Layers)
        else:
            questions.elsewhere(job.home, store, run.id, run.dataset_id)
    assert not job.home.run(run.id).exists()


def test_a_student_that_is_gone_is_told(job):
    shutil.move(job.home.model(1, "student"), job.home.root / "aside")
    with pytest.raises(ModelError, match="no student"):
        robustness.examine(job)
    shutil.move(job.home.root / "aside", job.home.model(1, "student"))
