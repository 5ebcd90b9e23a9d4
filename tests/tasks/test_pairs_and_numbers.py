"""Two texts that are read together, and labels that are numbers."""

import math

import pandas as pd
import pytest
import torch

from studio import tasks
from studio.data.cleaning import clean, inspect
from studio.data.columns import Columns, fitting, guess_columns
from studio.data.folder import divide
from studio.data.uploads import Upload, read
from studio.errors import DataError
from studio.models.model import Problem
from studio.models.opening import build as build_model
from studio.tasks.positions import PositionLogits
from studio.tasks.regression import Numbers

PAIRS, NUMBERS = tasks.get("sentence-pair-classification"), tasks.get("regression")


def pairs(count: int = 60) -> pd.DataFrame:
    first = [f"a man plays the {'flute' if n % 2 else 'drum'} number {n}" for n in range(count)]
    second = [f"someone plays the {'flute' if n % 3 else 'drum'} number {n}" for n in range(count)]
    same = ["yes" if bool(n % 2) == bool(n % 3) else "no" for n in range(count)]
    return pd.DataFrame({"sentence1": first, "sentence2": second, "label": same}, dtype=object)


def scored(count: int = 60) -> pd.DataFrame:
    table = pairs(count).drop(columns="label")
    return table.assign(score=[f"{(n % 37) / 7:.2f}" for n in range(count)])


def test_two_columns_with_the_names_of_a_pair_are_taken_for_one():
    upload = Upload("table", pairs())
    assert fitting(upload)[0] == PAIRS.name
    assert guess_columns(upload) == Columns("sentence1", "label", pair="sentence2")


def test_a_column_of_many_fractions_is_taken_for_a_score_and_one_of_few_stars_for_classes():
    assert fitting(Upload("table", scored()))[0] == NUMBERS.name
    stars = pairs().drop(columns=["sentence2", "label"]).assign(rating=[str(n % 5 + 1) for n in range(60)])
    assert fitting(Upload("table", stars))[0] == "text-classification"


def test_a_file_of_two_sentences_and_a_score_without_a_header_is_understood(real_data):
    upload = read(real_data / "text" / "stsb" / "train.csv")
    assert fitting(upload)[0] == NUMBERS.name
    assert guess_columns(upload) == Columns("0", "2", pair="1")
    assert len(upload.table) == 5_749


def test_both_texts_of_a_pair_are_read_with_their_types():
    rows = clean(Upload("table", pairs()), Columns("sentence1", "label", pair="sentence2"), PAIRS.name)
    train = divide(rows).whole()["train"]
    model = build_model("transformer-tiny", Problem(PAIRS.name, rows.labels, train, 32))
    batch = PAIRS.encode(train, model.processor, model.network.config, 32).batch(torch.tensor([0]))
    text = model.processor.decode(batch["input_ids"][0], skip_special_tokens=True)
    assert train[0]["text"] in text
    assert train[0]["text_pair"] in text
    assert batch["token_type_ids"].unique().tolist() == [0, 1]


def test_pairs_that_differ_in_the_second_text_alone_are_no_copies():
    table = pd.DataFrame(
        {"a": ["the same"] * 20, "b": [f"text {n}" for n in range(20)], "label": ["x", "y"] * 10}, dtype=object
    )
    rows = clean(Upload("table", table), Columns("a", "label", pair="b"), PAIRS.name)
    assert inspect(rows).duplicates == 0


def test_a_score_that_is_no_number_is_named():
    table = scored()
    table.loc[3, "score"] = "high"
    with pytest.raises(DataError, match="must hold numbers, got 'high'"):
        clean(Upload("table", table), Columns("sentence1", "score", pair="sentence2"), NUMBERS.name)


def test_a_cell_of_blanks_takes_no_longer_than_to_read_it():
    """Tried from each blank anew, so many would take hours, in which no page is answered."""
    cell = "1" + " " * 1_000_000 + "x"
    assert Numbers().read(cell) == cell
    assert Numbers().read(f"$ 1{' ' * 1_000_000}%") == "1"


def test_splits_hold_low_and_high_scores_alike():
    rows = clean(Upload("table", scored(400)), Columns("sentence1", "score", pair="sentence2"), NUMBERS.name)
    means = {split: sum(part["label"]) / len(part) for split, part in divide(rows).whole().items()}
    assert max(means.values()) - min(means.values()) < 0.3
    assert sum(inspect(rows).classes.values()) == 400


def test_rows_without_a_score_add_nothing_to_the_loss():
    logits, labels = torch.tensor([[1.0], [5.0]]), torch.tensor([3.0, math.nan])
    assert NUMBERS.label_loss(logits, labels) == 4.0
    assert NUMBERS.label_loss(logits, torch.tensor([math.nan] * 2)) == 0.0


def test_the_best_state_is_the_one_with_the_smallest_errors():
    encoded = type("Rows", (), {"labels": torch.tensor([1.0, 2.0, math.nan])})()
    near = NUMBERS.targets.scores(PositionLogits.per_row(torch.tensor([[1.0], [2.1], [0.0]])), encoded)
    far = NUMBERS.targets.scores(PositionLogits.per_row(torch.tensor([[3.0], [0.1], [0.0]])), encoded)
    assert len(near) == 2
    assert near.sum() > far.sum()


def test_a_fresh_model_begins_at_the_mean_of_the_numbers():
    rows = clean(Upload("table", scored()), Columns("sentence1", "score", pair="sentence2"), NUMBERS.name)
    train = divide(rows).whole()["train"]
    model = build_model("transformer-tiny", Problem(NUMBERS.name, rows.labels, train, 32))
    encoded = NUMBERS.encode(train, model.processor, model.network.config, 32)
    with torch.no_grad():
        answers = model.network.eval()(**encoded.batch(torch.arange(20))).logits
    assert answers.mean().item() == pytest.approx(sum(train["label"]) / len(train), abs=0.5)
