from collections import Counter

import pytest

from studio.config.references import ModelReference
from studio.config.run import UNLABELLED
from studio.data import uploads
from studio.data.folder import load
from studio.models import opening
from studio.models.model import Problem
from studio.service import library, people, samples
from studio.service.acts import Acts


def test_the_support_messages_are_many_varied_and_without_copies():
    table = uploads.read(samples.MESSAGES, header=True).table
    texts = table["text"].tolist()
    assert len(texts) >= 1_000
    assert table["intent"].nunique() >= 8
    assert len({" ".join(text.lower().split()) for text in texts}) == len(texts)
    starts = Counter(tuple(text.lower().split()[:3]) for text in texts)
    assert starts.most_common(1)[0][1] < len(texts) / 40


def test_both_demos_keep_labels_on_few_training_rows_and_on_all_test_rows(store, home):
    for demo, labelled in samples.LABELLED.items():
        dataset = load(home.dataset(samples.add(store, home, demo).id))
        assert sum(label != UNLABELLED for label in dataset.dict["train"]["label"]) == labelled
        assert UNLABELLED not in dataset.dict["test"]["label"][:]


def test_starting_a_demo_twice_makes_two_runs_on_one_data_set(store, home):
    acts = Acts(people.local(), home, store)
    first, second = samples.start(acts, "images"), samples.start(acts, "images")
    assert first.id != second.id
    assert first.dataset_id == second.dataset_id


def test_a_demo_has_its_own_rows_where_its_name_stands_for_others(store, home, saved):
    library.rename(store, home, saved.id, samples.NAMES["text"])
    added = samples.add(store, home, "text")
    assert added.id != saved.id
    assert added.name.startswith(samples.NAMES["text"])
    assert samples.add(store, home, "text").id == added.id


@pytest.mark.parametrize("demo", samples.NAMES)
def test_the_teacher_of_a_demo_knows_its_labels_and_may_be_opened_by_everybody(store, home, demo):
    row = samples.add(store, home, demo)
    config = samples.config(demo, row.name)
    reference = ModelReference.parse(config.teacher)
    assert people.may_open(reference.path)
    problem = Problem(row.task, row.labels, load(home.dataset(row.id)).dict["train"], config.max_length)
    assert opening.open_folder(reference.path, problem).knows_labels
