"""Every way to distil as a whole run on small data: its phases, what it saves, and that its control is fair."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from studio import events
from studio.config.methods import METHODS
from studio.config.reading import parse_config, with_values
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError, StoreError
from studio.files import SUMS
from studio.home import Home
from studio.pipeline import distill as trainer
from studio.pipeline.job import Job
from studio.service import library
from studio.store.store import Store
from tests.conftest import TINY, digits, reviews

COLUMNS = Columns("text", "label")


def run(home, dataset, run_id: int = 1, replay=None, **changes):
    config = parse_config({"dataset": dataset.name, **changes})
    folder = home.dataset(dataset.id)
    return list(trainer.distill(Job(run_id=run_id, config=config, dataset=folder, home=home, replay=replay)))


def phases(said) -> list[str]:
    return [event.phase for event in said if isinstance(event, events.PhaseStarted)]


def steps(said) -> dict[str, int]:
    return {event.phase: event.steps for event in said if isinstance(event, events.PhaseFinished)}


def accuracy(said, role: str, split: str = "test") -> float:
    (found,) = (
        event.value
        for event in said
        if isinstance(event, events.Evaluation) and (event.role, event.split, event.metric) == (role, split, "accuracy")
    )
    return found


def weights(home, role: str, run_id: int = 1):
    return AutoModelForSequenceClassification.from_pretrained(home.model(run_id, role)).state_dict()


IMAGES = {"teacher": "builtin/cnn-small", "student": "builtin/cnn-tiny", "epochs": 1, "teacher_epochs": 1,
          "allow_weak_teacher": True, "onnx_times": False}  # fmt: skip


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A teacher of the texts and one of the images, which know their labels."""
    home = Home(tmp_path_factory.mktemp("teachers") / "home")
    store, found = Store(home.database), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.final_evaluation, "evaluate", lambda *_: iter(()))
        for number, (upload, columns, task, settings) in enumerate(
            (
                (reviews(), COLUMNS, "text-classification", TINY),
                (digits(), Columns("image", "label", "split"), "image-classification", IMAGES),
            )
        ):
            saved = library.save(store, home, task, clean(upload, columns, task), columns)
            run(home, saved, number, **{**settings, "control": False, "epochs": 1})
            found[task] = {"teacher": f"folder:{home.model(number, 'teacher')}"}
    return found


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "text" in method.modality])
def test_every_method_for_texts_reaches_a_verdict_or_is_refused_for_two_classes(home, saved, teachers, name):
    try:
        said = run(home, saved, **{**TINY, **teachers["text-classification"]}, **METHODS[name].values)
    except ConfigError as error:
        assert name in ("dkd", "standardized")
        assert "at least 3 classes, the data has 2" in error.message
        return
    assert isinstance(said[-2], events.Verdict)
    shown = {
        key for event in said if isinstance(event, events.Metrics) and event.phase == "distill" for key in event.values
    }
    assert {f"{term['loss']}_loss" for term in METHODS[name].values["terms"]} <= shown


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "image" in method.modality])
def test_every_method_for_images_reaches_a_verdict(home, saved_digits, teachers, name):
    said = run(home, saved_digits, **{**IMAGES, **teachers["image-classification"]}, **METHODS[name].values)
    assert isinstance(said[-2], events.Verdict)


def test_a_hard_stage_follows_the_soft_one_and_the_control_gets_its_steps_and_its_schedule_too(home, saved, untested):
    said = run(home, saved, **TINY, hard_epochs=3)
    assert phases(said) == ["prepare", "teach", "record", "distill", "harden", "control", "control-2", "evaluate"]
    taken = steps(said)
    assert (taken["control"], taken["control-2"]) == (taken["distill"], taken["harden"])
    assert taken["harden"] == taken["distill"] * 3 / 2


def test_two_teachers_teach_together_and_count_as_a_single_role(home, saved):
    said = run(home, saved, **TINY, more_teachers=["builtin/fasttext-large"], fusion="confidence")
    assert phases(said)[1:3] == ["teach", "teach-2"]
    assert home.model(1, "teacher").is_dir()
    assert home.model(1, "teacher-2").is_dir()
    size = {
        event.role: event.value
        for event in said
        if isinstance(event, events.Evaluation) and event.metric == "size_bytes"
    }
    sums = {home.model(1, role) / SUMS for role in ("teacher", "teacher-2")}
    files = [file for sum_ in sums for file in sum_.parent.iterdir() if file not in sums]
    assert size["teacher"] == sum(file.stat().st_size for file in files), "all that a folder of the studio holds"


def test_an_assistant_learns_from_the_teacher_and_teaches_the_student(home, saved, untested):
    said = run(home, saved, **TINY, assistants=["builtin/transformer-tiny"])
    assert phases(said) == ["prepare", "teach", "record", "assist", "record-2", "distill", "control", "evaluate"]
    assert home.model(1, "assistant-1").is_dir()
    assert len(list(home.teacher_outputs.glob("*/logits.npy"))) == 2


def test_a_student_born_again_is_as_large_as_its_teacher_and_starts_anew(home, saved):
    said = run(home, saved, **{**TINY, "student": "teacher/same"})
    size = {
        event.role: event.value
        for event in said
        if isinstance(event, events.Evaluation) and event.metric == "parameters"
    }
    assert size["student"] == size["teacher"]
    first = next(event for event in said if isinstance(event, events.Metrics) and event.phase == "distill")
    assert first.step == 0


def test_a_shrinking_student_loses_layers_step_by_step_and_its_control_gets_all_steps(home, saved, untested):
    said = run(
        home,
        saved,
        **{**TINY, "teacher": "builtin/transformer-base", "student": "teacher/1-layer"},
        assistants="teacher/3-layers, teacher/2-layers",
        chain="shrinking",
    )
    assert phases(said) == ["prepare", "teach", "record", "assist", "assist-2", "distill", "control", "evaluate"]
    taken = steps(said)
    assert taken["control"] == taken["assist"] + taken["assist-2"] + taken["distill"]
    config = AutoModelForSequenceClassification.from_pretrained(home.model(1, "assistant-2")).config
    assert config.num_hidden_layers == 2


def test_what_is_chosen_automatically_is_said_with_its_reason_and_costs_as_much_as_the_student_at_most(home, saved):
    models = {"teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny"}
    said = run(home, saved, **{**TINY, **models, "epochs": 40}, auto=True)
    assert "tune" in phases(said)
    (choice,) = (event for event in said if isinstance(event, events.Choice))
    assert len(choice.tried) > 9
    assert choice.reason
    taken = steps(said)
    assert taken["tune"] <= taken["distill"]


def test_the_pilots_leave_the_students_own_start_as_it_was(home, saved, untested):
    start = []
    for auto, run_id in ((False, 1), (True, 2)):
        said = run(home, saved, run_id, **TINY, auto=auto)
        found = (
            event
            for event in said
            if isinstance(event, events.Metrics) and event.phase == "distill" and event.step == 0
        )
        start.append(next(found).values["accuracy"])
    assert start[0] == start[1]


def test_more_texts_make_as_many_views_as_are_asked_for(home, saved, untested):
    run(home, saved, **{**TINY, "epochs": 6}, augment="word_dropout, word_replacement", views=3)
    assert len(list(home.teacher_outputs.glob("*/logits.npy"))) == 3


def test_more_images_are_made_for_student_and_teacher(home, saved_digits):
    said = run(
        home, saved_digits, **{**IMAGES, "epochs": 2}, augment="flip,crop,jitter,mixup,cutmix", teacher_augment="crop"
    )
    assert isinstance(said[-2], events.Verdict)
    assert len(list(home.teacher_outputs.glob("*/logits.npy"))) == 2


def test_a_change_for_images_on_texts_is_refused(home, saved):
    with pytest.raises(ConfigError, match=r"flip does not change data for text-classification.*word_dropout"):
        run(home, saved, **TINY, augment="flip")


@pytest.fixture
def later(store, home):
    """Reviews that arrive after those of `saved`."""
    table = reviews(220).table.iloc[120:].reset_index(drop=True)
    return library.save(store, home, "later", clean(Upload("table", table), COLUMNS, "text-classification"), COLUMNS)


def test_a_student_goes_on_with_new_data_and_is_measured_on_old_and_new_apart(home, saved, later):
    run(home, saved, **TINY)
    before = len(list(home.teacher_outputs.glob("*/logits.npy")))
    names = {**TINY, "teacher": "run:1/teacher", "student": "run:1/student"}
    said = run(home, later, 2, replay=home.dataset(saved.id), **names)
    assert {event.split for event in said if isinstance(event, events.Evaluation) and event.metric == "accuracy"} == {
        "test",
        "test of the old data",
    }
    assert len(list(home.teacher_outputs.glob("*/logits.npy"))) == before + 1
    assert any(isinstance(event, events.Log) and "on disk" in event.message for event in said)


def test_data_with_other_labels_cannot_be_gone_on_with(home, saved, saved_digits):
    with pytest.raises(DataError, match="do not have the same labels"):
        run(home, saved, replay=home.dataset(saved_digits.id), **TINY)


def test_replaying_the_new_data_itself_or_what_is_not_there_is_refused_when_it_is_asked_for(store, saved):
    config = parse_config({"dataset": "reviews", **TINY, "replay": "reviews"})
    with pytest.raises(ConfigError, match="names the new data itself"):
        store.submit(config, key="a")
    with pytest.raises(StoreError, match="no data set 'older'"):
        store.submit(with_values(config, replay="older"), key="b")


def test_without_any_label_a_teacher_that_knows_them_can_teach_and_there_is_no_control(home, store, saved):
    run(home, saved, **TINY)
    table = reviews(120).table.assign(split="")
    table.loc[:79, ["label", "split"]] = ["", "train"]
    table.loc[80:99, "split"], table.loc[100:, "split"] = "validation", "test"
    columns = Columns("text", "label", "split")
    none = library.save(store, home, "none", clean(Upload("table", table), columns, "text-classification"), columns)
    said = run(home, none, 2, **{**TINY, "teacher": "run:1/teacher"})
    assert phases(said) == ["prepare", "record", "distill", "evaluate"]
    (verdict,) = (event for event in said if isinstance(event, events.Verdict))
    assert verdict.outcome in ("no_control", "not_learned", "weak_teacher")  # so few rows may teach nothing
    assert "control" not in {event.role for event in said if isinstance(event, events.Evaluation)}
    with pytest.raises(DataError, match="No training row has a label"):
        run(home, none, 3, **TINY)


def test_the_same_seed_gives_the_same_student_with_projectors_views_and_all(home, saved, untested):
    names = {**TINY, "student": "builtin/transformer-tiny", "terms": "soft_target, hint", "augment": "word_dropout"}
    for run_id in (1, 2):
        run(home, saved, run_id, **names)
    first, second = (weights(home, "student", run_id) for run_id in (1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
