"""Token classification: schemes, words and pieces, entity F1 as others count it."""

import numpy as np
import pandas as pd
import pytest
import torch

from studio import tasks
from studio.data.cleaning import clean
from studio.data.columns import Columns, guess_columns, guess_task
from studio.data.folder import divide
from studio.data.uploads import Upload, read
from studio.errors import DataError
from studio.models.model import Problem
from studio.models.opening import build as build_model
from studio.tasks.entities import entities, iob2
from studio.tasks.positions import PositionLogits
from studio.tasks.tokens import words_of

TASK = tasks.get("token-classification")
COLUMNS = Columns("words", "tags")
GOLD = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC", "O"]
SCHEMES = {
    "IOB1": ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC", "O"],
    "IOB2": GOLD,
    "BIOES": ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC", "O"],
    "BILOU": ["B-PER", "L-PER", "O", "U-LOC", "B-LOC", "L-LOC", "O"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_becomes_the_same_tags(scheme):
    assert iob2(SCHEMES[scheme]) == GOLD


def test_two_entities_of_one_type_side_by_side_stay_two_in_bioes():
    assert list(entities(["S-LOC", "S-LOC", "B-LOC", "E-LOC"])) == [("LOC", 0, 1), ("LOC", 1, 2), ("LOC", 2, 4)]


def test_entity_f1_is_that_of_nervaluate():
    nervaluate = pytest.importorskip("nervaluate")
    generator = np.random.default_rng(0)
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    true = [iob2(generator.choice(names, 12).tolist()) for _ in range(60)]
    found = [iob2([tag if generator.random() < 0.8 else generator.choice(names) for tag in row]) for row in true]
    theirs = nervaluate.Evaluator(true, found, tags=["PER", "LOC"], loader="list").evaluate()["overall"]["strict"]
    rows = [
        (len(set(entities(a)) & set(entities(b))), len(list(entities(b))), len(list(entities(a))))
        for a, b in zip(true, found, strict=True)
    ]
    ours = TASK.targets.measure(np.array(rows))
    assert ours["f1"] == pytest.approx(theirs.f1)
    assert ours["precision"] == pytest.approx(theirs.precision)
    assert ours["recall"] == pytest.approx(theirs.recall)


CONLL = (
    "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\nGerman JJ B-MISC\ncalls NNS O\n\n"
    "Peter NNP B-PER\nBlackburn NNP I-PER\n"
)


def test_a_conll_file_is_read_by_sentences_with_its_last_column_for_tags(tmp_path):
    file = tmp_path / "news.conll"
    file.write_text(CONLL)
    upload = read(file)
    assert upload.kind == "words"
    assert upload.table["words"].tolist() == ["EU rejects German calls", "Peter Blackburn"]
    assert upload.table["tags"].tolist() == ["B-ORG O B-MISC O", "B-PER I-PER"]
    assert guess_task(upload) == TASK.name


def test_a_line_without_a_tag_is_told_by_its_number(tmp_path):
    file = tmp_path / "news.conll"
    file.write_text("EU B-ORG\nrejects O\nGerman\n")
    with pytest.raises(DataError, match="line 3"):
        read(file)


def test_words_and_tags_in_json_lines_are_read_too(tmp_path):
    file = tmp_path / "news.jsonl"
    file.write_text('{"tokens": ["New", "York"], "ner_tags": ["B-LOC", "I-LOC"]}\n' * 12)
    upload = read(file)
    assert guess_task(upload) == TASK.name
    assert guess_columns(upload) == Columns("tokens", "ner_tags")


def test_a_row_whose_tags_are_fewer_than_its_words_is_left_out_with_its_line():
    tags = ["B-LOC I-LOC", *["B-LOC I-LOC I-LOC"] * 12]
    table = pd.DataFrame({"words": ["New York City"] * 13, "tags": tags}, dtype=object)
    rows = clean(Upload("words", table, lines=range(7, 20)), COLUMNS, TASK.name)
    assert [(refused.reason, refused.lines) for refused in rows.refused] == [("not as many tags as words", (7,))]
    assert len(rows.table) == 12


def sentences(count: int = 40) -> Upload:
    words = [f"{name} lives in {place}" for name in ("Ada", "Bob") for place in ("Rome", "New York")] * (count // 4)
    tags = ["B-PER O O B-LOC" if "Rome" in text else "B-PER O O B-LOC I-LOC" for text in words]
    numbered = [f"{text} {number}" for number, text in enumerate(words)]
    return Upload("words", pd.DataFrame({"words": numbered, "tags": [f"{row} O" for row in tags]}, dtype=object))


@pytest.fixture
def problem() -> Problem:
    rows = clean(sentences(), COLUMNS, TASK.name)
    return Problem(TASK.name, rows.labels, divide(rows).whole()["train"], 16)


def test_a_position_is_a_word_whose_logits_stand_at_its_first_piece(problem):
    model = build_model("transformer-tiny", problem)
    encoded = TASK.encode(problem.rows, model.processor, model.network.config, 16)
    rows = torch.tensor([3, 0])
    batch = encoded.batch(rows)
    logits = torch.randn(*batch["input_ids"].shape, len(problem.labels))
    positions = encoded.positions(logits, rows)
    place = 0
    for number, row in enumerate(rows.tolist()):
        words = problem.rows[row]["words"]
        ids = model.processor(words, is_split_into_words=True).word_ids()
        for word in range(len(words)):
            assert torch.equal(positions.logits[place], logits[number, ids.index(word)])
            assert positions.labels[place] == problem.rows[row]["label"][word]
            assert positions.row[place] == number
            place += 1
    assert place == len(positions.logits)
    assert positions.weight.all()


def test_words_that_were_cut_off_are_positions_that_do_not_count(problem):
    model = build_model("transformer-tiny", problem)
    whole = TASK.encode(problem.rows, model.processor, model.network.config, 16)
    cut = TASK.encode(problem.rows, model.processor, model.network.config, 5)
    rows = torch.arange(4)
    logits = torch.randn(4, cut.batch(rows)["input_ids"].shape[1], len(problem.labels))
    positions = cut.positions(logits, rows)
    assert len(positions.logits) == len(whole.labels[: int(whole.offsets[4])])
    assert 0 < positions.weight.sum() < len(positions.weight)
    assert not positions.logits[positions.weight == 0].any()


def test_a_word_that_a_model_did_not_see_is_outside():
    values = torch.tensor([[0.0, 9.0, 0.0], [float("nan")] * 3])
    answers = TASK.answers(PositionLogits(values, torch.tensor([0, 2])), ["O", "B-LOC", "I-LOC"])
    assert answers == [{"tags": ["B-LOC", "O"], "entities": [{"type": "LOC", "start": 0, "end": 1}]}]


def test_real_tweets_are_read_with_their_six_types(real_data):
    upload = read(real_data / "ner" / "wnut17" / "wnut17train.conll")
    rows = clean(upload, COLUMNS, TASK.name, read(real_data / "ner" / "wnut17" / "emerging.test.annotated"))
    assert len(upload.table) == 3_394
    assert (rows.table["split"] == "test").sum() == 1_287
    assert [label for label in rows.labels if label.startswith("B-")] == [
        f"B-{kind}" for kind in ("corporation", "creative-work", "group", "location", "person", "product")
    ]


@pytest.mark.parametrize("cell", ["[" * 50_000, "[" + "9" * 5_000 + "]"], ids=["deep", "a long number"])
def test_a_cell_that_only_begins_as_a_list_of_words_is_a_text(cell):
    assert words_of(cell) == [cell]
