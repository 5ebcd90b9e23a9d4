from collections import Counter

from studio.config.run import UNLABELLED
from studio.data.folder import load
from studio.service import people, samples
from studio.service.acts import Acts


def test_the_support_messages_are_many_varied_and_without_copies(store, home):
    saved = samples.add(store, home, "text")
    dataset = load(home.dataset(saved.id))
    texts = [text for rows in dataset.dict.values() for text in rows["text"]]
    assert len(texts) >= 1_000
    assert len(dataset.labels) >= 8
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
