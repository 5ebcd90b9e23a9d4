"""Data in which a row can have any number of labels."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from studio import tasks
from studio.config.reading import parse_config
from studio.config.run import UNLABELLED
from studio.data.cleaning import clean, inspect
from studio.data.columns import Columns, guess_separator
from studio.data.folder import fingerprint, load
from studio.data.uploads import Upload
from studio.distill import objective
from studio.distill.losses import multi_label_soft_target_loss, soft_target_loss
from studio.distill.objective import Distillation
from studio.errors import ConfigError
from studio.evaluate import metrics
from studio.models.features import Outputs
from studio.service import export, library, samples
from studio.service.runtime import new_owner
from studio.tasks import labels
from studio.tasks.classes import BETWEEN
from studio.tasks.labels import multi_label_loss
from tests.conftest import BAD, GOOD, TINY
from tests.distill.test_ways import phases, run

COLUMNS = Columns("text", "label", None, "|")
FASTTEXT = {**TINY, "teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny"}


def tagged(rows: int = 160, unlabelled: int = 20) -> Upload:
    """Texts about the things that their labels name; some about both, some without a label."""
    texts, cells = [], []
    for number in range(rows):
        names = [("service",), ("food",), ("food", "service")][number % 3]
        words = {"service": GOOD[number % 5], "food": BAD[number % 5]}
        texts.append(f"row {number} " + " ".join(words[name] for name in names))
        cells.append("" if number >= rows - unlabelled else " | ".join(names))
    return Upload("table", pd.DataFrame({"text": texts, "label": cells}, dtype=object))


@pytest.fixture
def dataset(store, home):
    return library.save(store, home, "tagged", clean(tagged(), COLUMNS, "text-classification"), COLUMNS)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_the_sigmoid_form_equals_its_definition():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    total = 0.0
    for s_row, t_row in zip(student.tolist(), teacher.tolist(), strict=True):
        for s, t in zip(s_row, t_row, strict=True):
            p, q = sigmoid(t / 3), sigmoid(s / 3)
            total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    expected = 9 * total / 6
    assert multi_label_soft_target_loss(student, teacher, 3.0).item() == pytest.approx(expected)


def test_the_sigmoid_form_has_the_right_gradient_and_none_where_both_agree():
    student = torch.randn(5, 3, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(5, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: multi_label_soft_target_loss(x, teacher, 2.0), (student,))
    assert multi_label_soft_target_loss(teacher, teacher, 2.0).item() == pytest.approx(0)


def test_the_label_loss_equals_its_definition_and_leaves_out_rows_that_nobody_labelled():
    logits = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    found = multi_label_loss(logits, torch.tensor([[1, 0], [UNLABELLED, UNLABELLED]]))
    assert found.item() == pytest.approx(-math.log(sigmoid(1.0)) - math.log(1 - sigmoid(-2.0)))
    assert multi_label_loss(logits, torch.full((2, 2), UNLABELLED)).item() == 0.0


def test_for_two_classes_of_one_label_it_is_the_soft_target_loss_of_that_label():
    """A sigmoid of x is a softmax of (x, 0): so one label is two classes."""
    student, teacher = torch.randn(2, 7, 1, dtype=torch.float64)
    pairs = [torch.cat([one, torch.zeros_like(one)], -1) for one in (student, teacher)]
    expected = soft_target_loss(*pairs, 2.0)
    assert multi_label_soft_target_loss(student, teacher, 2.0).item() == pytest.approx(expected.item())


def test_the_objective_takes_the_sigmoid_form_where_a_row_can_have_any_number_of_labels():
    student, teacher = Outputs(torch.randn(4, 3)), Outputs(torch.randn(4, 3))
    table = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 1], [UNLABELLED] * 3])
    config = parse_config({"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "alpha": 0.4,
                           "terms": "soft_target"})  # fmt: skip
    soft = multi_label_soft_target_loss(student.logits, teacher.logits, 4.0)
    label = multi_label_loss(student.logits, table)
    task = tasks.get("text-classification", multi_label=True)
    found = Distillation(config, task)(student, teacher, table).total
    assert found.item() == pytest.approx((0.4 * soft + 0.6 * label).item())
    hard = objective.hard_labels(task)(student, teacher, table, 0.0).total
    assert hard.item() == pytest.approx(multi_label_loss(student.logits, (teacher.logits > 0).long()).item())


def test_exact_match_and_macro_f1_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 2, (2, 200, 5))
    rows = np.concatenate([truth, predicted], axis=1)
    accuracy, f1 = metrics.quality(tasks.get("text-classification", True), "student", "test", rows, list("abcde"))
    assert accuracy.value == pytest.approx(accuracy_score(truth, predicted))
    assert f1.value == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert f1.low < f1.value < f1.high


def test_cells_become_labels_whatever_their_order_and_spaces(dataset):
    assert dataset.labels == ["food", "service"]
    assert dataset.multi_label
    rows = clean(tagged(), COLUMNS, "text-classification")
    assert set(rows.table["label"]) == {"", "food", "service", f"food{BETWEEN}service"}
    report = inspect(rows)
    assert report.unlabelled == 20
    assert report.classes == {"food": 93, "service": 93}


def test_a_saved_data_set_is_the_same_after_it_is_opened(home, dataset):
    opened = load(home.dataset(dataset.id))
    assert opened.multi_label
    assert sorted(map(tuple, {tuple(one) for one in opened.dict["train"]["label"]})) == [(), (0,), (0, 1), (1,)]
    assert fingerprint({split: [rows] for split, rows in opened.dict.items()}, opened.labels) == dataset.fingerprint


def test_the_separator_is_guessed_where_labels_come_again_and_not_in_plain_labels():
    assert guess_separator(tagged().table["label"]) == "|"
    assert guess_separator(["Paris, France", "Rome, Italy"] * 20) is None


def test_a_whole_run_on_texts_with_several_labels_learns_them(home, dataset):
    names = {"teacher": "builtin/fasttext-large", "student": "builtin/fasttext-small", "learning_rate": 2e-2,
             "teacher_learning_rate": 2e-2}  # fmt: skip
    said = run(home, dataset, **{**TINY, **names, "epochs": 30, "teacher_epochs": 30, "hard_epochs": 2, "auto": True})
    assert phases(said) == [
        "prepare",
        "teach",
        "record",
        "tune",
        "distill",
        "harden",
        "control",
        "control-2",
        "evaluate",
    ]
    found = {(one.role, one.metric): one.value for one in said if getattr(one, "kind", "") == "evaluation"}
    assert found["student", "accuracy"] > 0.8
    assert found["student", "f1_macro"] > 0.9


def test_a_loss_for_exactly_one_class_is_refused_when_the_run_is_asked_for(store, dataset):
    with pytest.raises(ConfigError, match=r"dist compares classes of which exactly one is right"):
        store.submit(parse_config({"dataset": "tagged", **TINY, "terms": "dist"}), key="a")


TAYLOR = {"do": "prune", "ratio": 0.5, "units": ["heads"], "importance": "taylor"}


@pytest.mark.parametrize(
    ("models", "plan", "titles"),
    [
        (TINY, [TAYLOR, "distill"], ["Prune 50 % of heads", "Distil"]),
        (FASTTEXT, ["distill", "quantize:int8"], ["Distil", "Quantize to int8"]),
    ],
)
def test_a_plan_works_on_texts_with_several_labels(home, dataset, models, plan, titles):
    said = run(home, dataset, **{**models, "plan": plan})
    told = [one for one in said if getattr(one, "kind", "") == "milestone"]
    assert [one.title for one in told][2:] == titles


def test_images_with_several_labels_are_learned_too(home, store):
    digits = samples.rows_of("images", None)[0].table.iloc[::2]

    def tags(digit: str) -> str:
        return "|".join([("even", "odd")[int(digit) % 2], *(["large"] if int(digit) > 4 else [])]) if digit else ""

    multi_label = digits["label"].map(tags)
    columns = Columns("image", "label", "split", "|")
    rows = clean(Upload("images", digits.assign(label=multi_label)), columns, "image-classification")
    saved = library.save(store, home, "digits", rows, columns)
    settings = {"teacher": "builtin/cnn-tiny", "student": "builtin/cnn-tiny", "teacher_epochs": 6, "epochs": 4,
                "batch_size": 16, "learning_rate": 1e-2, "teacher_learning_rate": 1e-2, "onnx_times": False,
                "control": False}  # fmt: skip
    said = run(home, saved, **settings, terms="soft_target, attention_transfer", augment="crop")
    accuracy = next(one for one in said if getattr(one, "kind", "") == "evaluation" and one.role == "student")
    assert accuracy.value > 0.4  # nobody's guess: the most frequent combination makes up 30 %


def test_the_model_card_asks_for_all_labels_above_one_half(home, store, dataset, tmp_path):
    settings = {**TINY, "teacher": "builtin/fasttext-small", "epochs": 1, "control": False}
    wanted = store.submit(parse_config({"dataset": "tagged", **settings}), key="a", owner=new_owner())
    run(home, dataset, wanted.id, **settings)
    written = export.student_zip(home, store, wanted.id, tmp_path / "student.zip")
    import zipfile

    with zipfile.ZipFile(written) as archive:
        card = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("README.md"))
        config = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("config.json"))
    assert "sigmoid()" in card
    assert "multi_label_classification" in config


def test_what_is_certain_is_a_share_between_nothing_and_everything():
    logits = torch.tensor([[0.0, 0.0, 0.0], [50.0, -50.0, 50.0]])
    assert labels.multi_label_certainty(logits).flatten().tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_a_teacher_that_learned_one_label_a_row_is_taught_anew_for_several(home, store, dataset):
    one = Columns("text", "label")
    table = tagged().table
    table = table[~table["label"].str.contains("|", regex=False)].reset_index(drop=True)
    plain = library.save(store, home, "plain", clean(Upload("table", table), one, "text-classification"), one)
    assert plain.labels == dataset.labels
    run(home, plain, 1, **FASTTEXT)
    assert "teach" in phases(run(home, dataset, 2, **{**FASTTEXT, "teacher": "run:1/teacher"}))
    assert "teach" not in phases(run(home, dataset, 3, **{**FASTTEXT, "teacher": "run:2/teacher"}))
