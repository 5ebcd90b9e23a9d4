"""The studio in Python: docs/api.md as it stands, and what it promises."""

import io
import re
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from studio import api, errors, events
from studio.api import training
from studio.config.reading import parse_config
from studio.errors import ConfigError, DataError, ExportError, ModelError, StoreError
from tests.conftest import BAD, GOOD, TINY, reviews

GUIDE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
SMALL = {
    "teacher": "builtin/fasttext-small",
    "student": "builtin/fasttext-tiny",
    "epochs": 2,
    "teacher_epochs": 2,
    "max_length": 16,
    "allow_weak_teacher": True,
    "onnx_times": False,
    "progress": False,
}


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    """A folder with reviews.csv, in which a person works."""
    monkeypatch.chdir(tmp_path)
    reviews().table.to_csv("reviews.csv", index=False)
    return tmp_path


def test_several_columns_are_one_input_and_what_was_left_out_is_written(place, home):
    rows = reviews().table.assign(title="film")
    rows.loc[3, ["title", "text"]] = ""
    rows.to_csv("films.csv", index=False)
    data = api.load_dataset("films.csv", input=["title", "text"], refused="out.csv")
    assert data.columns["input"] == "title + text"
    assert all(text.startswith("film\n") for text in data.head()["text"])
    assert Path("out.csv").read_text().splitlines()[1].startswith("5,no input,")


def test_every_example_of_the_guide_runs_and_keeps_its_promises(place, capsys):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(compile(code, "docs/api.md", "exec"), names)
    run = names["run"]
    assert run.status == "finished"
    assert run.verdict.startswith("The student is")
    assert set(run.evaluations["role"]) == {"teacher", "student", "control", "baseline"}
    assert names["data"].splits == {"train": 72, "validation": 12, "test": 36}
    assert "did you mean epochs?" in capsys.readouterr().out
    answers = run.student.predict(["a lovely thing", "a dull thing"])
    assert [set(answer) for answer in answers] == [{"label", "score"}] * 2
    assert [answer["label"] for answer in answers] == ["good", "bad"]
    assert (place / "student.zip").is_file()
    answered = pd.read_csv(place / "answers.csv")
    assert list(answered.columns) == ["text", "label", "predicted_label", "predicted_score"]
    assert list(answered["text"]) == list(reviews().table["text"])
    test = run.dataset.head(1000, "test")
    for model in (run.student, run.teacher, run.control):
        measured = model.evaluations.query("metric == 'accuracy' and split == 'test'")["value"].item()
        labels = [answer["label"] for answer in model.predict(list(test["text"]))]
        assert np.mean(labels == test["label"]) == pytest.approx(measured)


def test_the_same_content_is_the_same_data_set_wherever_it_comes_from(place):
    frame = reviews().table
    saved = api.load_dataset(frame)
    rows = datasets.Dataset.from_pandas(frame)
    assert api.load_dataset(frame.copy()) == saved
    assert api.load_dataset("reviews.csv") == saved
    assert api.load_dataset(rows) == saved
    assert len(api.datasets()) == 1


def test_other_content_gets_a_name_of_its_own_and_nothing_is_overwritten(place):
    first = api.load_dataset("reviews.csv")
    reviews(60).table.to_csv("reviews.csv", index=False)
    second = api.load_dataset("reviews.csv")
    assert (first.name, second.name) == ("reviews", "reviews 2")
    with pytest.raises(DataError, match="already, with other content"):
        api.load_dataset(reviews(80).table, name="reviews")
    assert sum(api.load_dataset(first.name).splits.values()) == 120


def test_classes_of_the_datasets_library_come_by_their_names_and_splits_stay(place):
    features = datasets.Features(review=datasets.Value("string"), tone=datasets.ClassLabel(names=["bad", "good"]))

    def part(count, offset):
        rows = [(f"row {n + offset} {(BAD, GOOD)[n % 2][n % 5]}", n % 2) for n in range(count)]
        return datasets.Dataset.from_dict(
            {"review": [row[0] for row in rows], "tone": [row[1] for row in rows]}, features
        )

    data = datasets.DatasetDict(train=part(40, 0), dev=part(10, 100), test=part(10, 200), unsupervised=part(6, 300))
    saved = api.load_dataset(data, input="review", label="tone")
    assert saved.splits == {"train": 46, "validation": 10, "test": 10}
    assert saved.labels == ["bad", "good"]
    assert saved.report["unlabelled"] == 6
    with pytest.raises(DataError, match="'oddments' is neither for training"):
        api.load_dataset(datasets.DatasetDict(train=part(40, 0), oddments=part(10, 100)))


def test_a_folder_with_a_table_for_each_split_keeps_the_splits(place):
    (place / "corpus").mkdir()
    for name, rows in (("train", slice(0, 80)), ("valid", slice(80, 100)), ("test", slice(100, 120))):
        reviews().table[rows].to_csv(place / "corpus" / f"{name}.csv", index=False)
    assert api.load_dataset("corpus").splits == {"train": 80, "validation": 20, "test": 20}


@pytest.fixture
def picture():
    def draw(bright: bool, noise: int) -> Image.Image:
        shade = np.random.default_rng(noise).integers(0, 80, (8, 8)) + (150 if bright else 10)
        return Image.fromarray(shade.astype(np.uint8))

    return draw


def test_images_from_a_folder_and_from_a_frame_are_the_same_data(place, picture):
    names, images = [], []
    for number in range(40):
        name = ("dark", "light")[number % 2]
        (place / "pictures" / name).mkdir(parents=True, exist_ok=True)
        picture(number % 2 == 1, number).save(place / "pictures" / name / f"{number:02}.png")
    for file in sorted((place / "pictures").rglob("*.png")):
        names.append(file.parent.name)
        images.append(Image.open(io.BytesIO(file.read_bytes())))
    folder = api.load_dataset("pictures")
    assert folder.task == "image-classification"
    assert folder.labels == ["dark", "light"]
    frame = api.load_dataset(pd.DataFrame({"photo": images, "label": names}))
    assert frame.splits == folder.splits
    run = api.distill(
        folder,
        teacher="builtin/mlp-64",
        student="builtin/mlp-16",
        epochs=2,
        teacher_epochs=2,
        allow_weak_teacher=True,
        progress=False,
    )
    asked = [images[0], place / "pictures" / "light" / "01.png", (place / "pictures" / "dark" / "00.png").read_bytes()]
    answers = run.student.predict(asked)
    assert len(answers) == 3
    assert answers[0] == answers[2]
    with pytest.raises(DataError, match="Input 0 holds no image"):
        run.student.predict([b"no image"])


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"epoch": 3}, ConfigError, "did you mean epochs?"),
        ({"alpha": 2}, ConfigError, "alpha must be between 0 and 1, got 2"),
        ({"dataset": "other"}, ConfigError, "the data comes first"),
        ({"teacher": "builtin/none"}, ConfigError, "builtin/none is not made for text-classification"),
    ],
)
def test_a_wrong_setting_raises_at_once_and_makes_no_run(place, settings, error, told):
    with pytest.raises(error, match=re.escape(told)):
        api.distill("reviews.csv", **SMALL | settings)
    assert api.runs() == []


def test_a_source_that_is_none_is_told_with_what_there_is(place):
    api.load_dataset("reviews.csv")
    with pytest.raises(DataError, match=r"neither a file nor a saved data set 'revues'.*'reviews'"):
        api.load_dataset("revues")
    with pytest.raises(DataError, match="cannot be made of int"):
        api.load_dataset(7)
    with pytest.raises(DataError, match="saved already; label cannot change it"):
        api.load_dataset("reviews", label="text")


def test_a_run_that_fails_raises_its_own_error_and_is_kept(place):
    with pytest.raises(ModelError, match="no folder /nowhere") as raised:
        api.distill("reviews.csv", **SMALL | {"teacher": "folder:/nowhere"})
    assert "api.run(1)" in raised.value.__notes__[0]
    assert api.run(1).status == "failed"
    assert str(api.run(1).error) == str(raised.value)
    with pytest.raises(ModelError):
        api.run(1).student.predict(["a"])


def test_an_interrupted_run_comes_back_stopped_with_its_student_and_goes_on(place, monkeypatch, capsys):
    def impatient(said, *_):
        for event in said:
            if isinstance(event, events.Metrics) and event.phase == "distill":
                raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(training, "_follow", impatient)
        run = api.distill("reviews.csv", **TINY | {"epochs": 40, "control": False})
    assert run.status == "stopped"
    assert run.verdict is None
    assert "Its student so far is kept. To resume: run.resume()" in capsys.readouterr().err
    assert len(run.student.predict(["the lovely thing"])) == 1
    with pytest.raises(ModelError, match="made without a control"):
        _ = run.control
    assert run.resume(progress=False) == run
    assert run.status == "finished"
    with pytest.raises(StoreError, match="finished"):
        run.resume()


def test_another_home_holds_its_own_data_and_runs(place, monkeypatch):
    def at_once(store, home, run):
        store.finish(run.id)
        yield events.Log(message=str(home.root))

    monkeypatch.setattr(training.service_runs, "carry", at_once)
    data = api.load_dataset("reviews.csv", home=place / "other")
    run = api.distill(data, **SMALL)
    assert run.status == "finished"
    assert api.runs() == []
    assert api.runs(home=place / "other") == [run]
    assert (place / "other" / "studio.db").is_file()
    with pytest.raises(DataError, match="kept in"):
        api.distill(data, **SMALL, home=place / "third")


def test_a_data_set_in_use_cannot_be_deleted_and_its_runs_follow_it_to_its_new_name(place, store):
    data, other = api.load_dataset("reviews.csv"), api.load_dataset(reviews(60).table, name="more")
    config = parse_config({"dataset": "more", "replay": "reviews", **TINY})
    store.request_stop(store.submit(config, key="k").id)
    for used in (data, other):
        with pytest.raises(StoreError, match="used by run 1"):
            used.delete()
    assert (data.rename("opinions").name, other.rename("news").name) == ("opinions", "news")
    assert (api.run(1).config.replay, api.run(1).config.dataset) == ("opinions", "news")
    assert api.run(1).dataset.name == "news"
    with pytest.raises(DataError, match="named 'news' already"):
        data.rename("news")
    api.run(1).delete()
    data.delete()
    assert [left.name for left in api.datasets()] == ["news"]


@pytest.mark.parametrize("inputs", ["one text", [3], [None]])
def test_what_is_no_list_of_texts_is_refused(place, saved, store, inputs):
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(DataError, match=r"list of inputs|must be a text"):
        api.run(1).student.predict(inputs)


def test_an_export_does_not_overwrite(place, saved, store):
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(ExportError, match="no student yet"):
        api.run(1).export("student.zip")


def test_the_guide_names_every_error_that_there_is():
    named = set(re.findall(r"`(\w+Error)`", GUIDE)) | {"StudioError", "WorkerDiedError"}
    assert {kind.__name__ for kind in errors._family(errors.StudioError)} <= named


def test_it_opens_without_the_heavy_libraries():
    heavy = {"torch", "transformers", "datasets"}
    script = f"import sys, studio.api; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
