"""What models said of each row: written whole, read back to the bit, for every kind of label."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

from studio import tasks
from studio.config.reading import parse_config
from studio.config.run import UNLABELLED
from studio.errors import DataError
from studio.kept import answers
from studio.pipeline import keeping
from studio.tasks.positions import PositionLogits
from tests.conftest import TINY

TEXTS = tasks.get("text-classification")
TAGGED = tasks.get("text-classification", multi_label=True)
SCORES = tasks.get("regression")
WORDS = tasks.get("token-classification")
TAGS = ("O", "B-place", "I-place")


class Rows(SimpleNamespace):
    """Encoded rows of which only labels and places matter."""

    def __len__(self) -> int:
        return len(self.offsets) - 1


def rows_of(labels: torch.Tensor, offsets: list[int] | None = None) -> Rows:
    places = torch.arange(len(labels) + 1) if offsets is None else torch.tensor(offsets)
    return Rows(labels=labels, offsets=places, tags=TAGS)


def kept(home, task: tasks.Task, logits: PositionLogits, rows: Rows) -> answers.Kept:
    config = parse_config({"dataset": "reviews", **TINY})
    (told,) = keeping.Keeping(home, 1, task, config)("student", "test", logits, rows)
    found = answers.opened(home, 1, "student", "test")
    assert found is not None
    assert (told.role, told.split, told.rows) == ("student", "test", len(found))
    return found


def test_of_classes_each_row_has_its_class_its_probability_and_its_loss(home):
    values = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 2, UNLABELLED, 1, 1])
    found = kept(home, TEXTS, PositionLogits.per_row(values), rows_of(labels))
    known = labels != UNLABELLED
    assert found.answers() == values.argmax(1).tolist()
    assert found.confidence == pytest.approx(values.softmax(1).amax(1).numpy())
    assert found.loss[known.numpy()] == pytest.approx(F.cross_entropy(values[known], labels[known], reduction="none"))
    assert np.isnan(found.loss[2])
    assert found.labelled.tolist() == known.tolist()
    assert found.right[known.numpy()].tolist() == (values.argmax(1) == labels)[known].tolist()
    assert not found.right[2]
    assert np.array_equal(found.logits, values.numpy())
    assert np.array_equal(found.statistics, np.stack([labels[known], values.argmax(1)[known]], axis=1))


def test_of_several_labels_a_row_is_as_sure_as_all_of_them_together(home):
    values = torch.tensor([[2.0, -1.0, 0.5], [-2.0, -2.0, -2.0]])
    labels = torch.tensor([[1, 0, 0], [0, 0, 1]])
    found = kept(home, TAGGED, PositionLogits.per_row(values), rows_of(labels))
    p = values.sigmoid()
    assert found.answers() == [[0, 2], []]
    assert found.confidence[0] == pytest.approx(float(p[0, 0] * (1 - p[0, 1]) * p[0, 2]))
    wanted = F.binary_cross_entropy_with_logits(values, labels.float(), reduction="none").sum(1)
    assert found.loss == pytest.approx(wanted.numpy())
    assert TAGGED.targets.measure(found.statistics)["accuracy"] == 0


def test_of_numbers_an_answer_has_no_probability_and_a_row_is_right_when_it_is_near(home):
    values = torch.tensor([[1.0], [5.0], [2.0]])
    found = kept(home, SCORES, PositionLogits.per_row(values), rows_of(torch.tensor([1.2, 1.0, 2.0])))
    assert found.answers() == [1.0, 5.0, 2.0]
    assert np.isnan(found.confidence).all()
    assert found.loss == pytest.approx([0.04, 16.0, 0.0], abs=1e-6)
    assert found.right.tolist() == [True, False, True]


def test_of_words_a_row_is_right_when_its_entities_are_and_unseen_words_count_for_nothing(home):
    nan = float("nan")
    values = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [0, 3.0, 0], [nan, nan, nan], [1.0, 0, 0]])
    labels = torch.tensor([0, 1, 1, 0, 1])
    found = kept(home, WORDS, PositionLogits(values, torch.tensor([0, 2, 4, 5])), rows_of(labels, [0, 2, 4, 5]))
    assert found.answers() == [[0, 1], [1, 0], [0]]
    assert found.right.tolist() == [True, True, False]
    best = values.softmax(1).amax(1)
    assert found.confidence == pytest.approx([float(best[0] * best[1]), float(best[2]), float(best[4])])
    losses = F.cross_entropy(values.nan_to_num(), labels, reduction="none")
    assert found.loss == pytest.approx([float(losses[:2].mean()), float(losses[2]), float(losses[4])])
    assert found.offsets.tolist() == [0, 2, 4, 5]
    assert np.array_equal(found.logits_of(0), values[:2].numpy())
    assert found.statistics.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 1]]


def test_where_there_are_too_many_logits_they_are_left_out_and_everything_else_is_kept(home, monkeypatch):
    monkeypatch.setattr(answers, "MOST_VALUES", 5)
    found = kept(home, TEXTS, PositionLogits.per_row(torch.randn(3, 2)), rows_of(torch.tensor([0, 1, 1])))
    assert not found.has_logits
    assert len(found.loss) == 3


def test_a_run_without_kept_answers_has_none_and_a_damaged_file_is_named(home):
    assert answers.opened(home, 1, "teacher") is None
    assert answers.of_run(home, 1) == {}
    file = answers.place(home, 1, "teacher", "test")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"ARROW1\0\0 torn")
    with pytest.raises(DataError, match="teacher of run 1 cannot be read"):
        answers.opened(home, 1, "teacher")


def test_a_file_of_another_program_is_no_kept_answer(home):
    file = answers.place(home, 1, "teacher", "test")
    file.parent.mkdir(parents=True)
    batch = pa.RecordBatch.from_pydict({"a": [1]})
    with pa.ipc.new_file(str(file), batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match="cannot be read"):
        answers.opened(home, 1, "teacher")


def test_whole_numbers_take_as_few_bytes_as_they_need_and_come_back_as_they_were(home):
    values, labels = torch.zeros(2, 300), torch.tensor([299, 7])
    values[0, 299] = values[1, 130] = 1
    found = kept(home, TEXTS, PositionLogits.per_row(values), rows_of(labels))
    assert found.statistics.dtype == np.int16
    assert found.statistics.tolist() == [[299, 299], [7, 130]]


def test_reading_opens_neither_torch_nor_datasets():
    code = "import sys, studio.kept.answers, studio.kept.rows; print({'torch', 'datasets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
