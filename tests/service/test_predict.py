"""Files of new prompts are answered as the rows that a language model learned from were asked."""

import json

import pandas as pd
import pytest

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError
from studio.service import library
from studio.service.predict import predict_file
from tests.conftest import TINY

SYSTEM = {"role": "system", "content": "Be kind."}


def chat(number):
    said = [SYSTEM, {"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "Yes."}]
    return json.dumps(said)


@pytest.fixture
def answer(home, store, tmp_path):
    """What models that learned from such columns are asked of the rows of a file."""
    rows = {"text": [f"text {number}" for number in range(40)], "answer": ["Yes."] * 40, "chat": map(chat, range(40))}
    table = pd.DataFrame(rows, dtype=object)

    def of(columns, content, **named):
        saved = library.save(store, home, "tales", clean(Upload("table", table), columns, "language-model"), columns)
        config = {"dataset": "tales", **TINY, "teacher": "builtin/gpt-small", "student": "builtin/gpt-tiny"}
        run = store.submit(parse_config(config), key="k", owner="me")
        assert run.dataset_id == saved.id
        (tmp_path / "new.csv").write_text(content)
        asked = []

        def ask(values):
            asked.extend(values)
            yield [{"text": "So.", "cut": number == 0} for number in range(len(values))]

        of.scored = predict_file(store, home, run.id, tmp_path / "new.csv", tmp_path / "out.csv", ask=ask, **named)
        return asked

    return of


def test_prompts_without_the_column_of_answers_are_answered(answer):
    assert answer(Columns("text", None, pair="answer"), "id,text\n1,Why?\n2,\n3,How?\n") == [["Why?", ""], ["How?", ""]]


def test_a_column_of_answers_that_is_empty_leaves_prompts_what_they_are(answer):
    asked = answer(Columns("text", None, pair="answer"), "text,answer\nWhy?,\nHow?,So.\n")
    assert asked == [["Why?", ""], ("How?", "So.", "answer")]


def test_texts_are_said_to_models_of_chats_in_a_chat(answer):
    asked = answer(Columns("chat", None), "id,prompt\n1,Why?\n", column="prompt")
    assert asked == [[SYSTEM, {"role": "user", "content": "Why?"}]]


def test_texts_are_gone_on_with_by_models_of_texts(answer):
    assert answer(Columns("text", None), "id,text\n1,Once\n") == ["Once"]


def test_where_the_limit_of_tokens_ended_an_answer_is_counted_and_stands_beside_it(answer, tmp_path):
    answer(Columns("text", None), "id,text\n1,Once\n2,\n3,Twice\n")
    assert (answer.scored.cut, answer.scored.columns) == (1, ("predicted_text", "predicted_cut"))
    told = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in told] == ["predicted_cut", "True", "", "False"]


def test_who_chooses_labels_has_no_limit_of_tokens(home, store, saved, tmp_path):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    (tmp_path / "new.csv").write_text("text\nso\n")
    with pytest.raises(ConfigError, match="text classification do not write, and have no limit of tokens"):
        predict_file(store, home, run.id, tmp_path / "new.csv", tmp_path / "out.csv", most_tokens=9)


def test_a_column_of_answers_that_is_named_must_be_there(answer):
    with pytest.raises(DataError, match="has no column 'other'"):
        answer(Columns("text", None, pair="answer"), "id,text\n1,Why?\n", pair="other")
