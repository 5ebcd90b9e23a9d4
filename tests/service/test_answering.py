"""Prompts of a table and what a teacher said to them become data; the command that has them answered."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from studio.cli import app
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError
from studio.service import answering, library
from studio.service.answering import Rules
from studio.service.asking import Answers
from studio.service.endpoint import Said
from tests.service.conftest import PROMPTS, asked


def test_answers_become_data_but_for_those_that_the_rules_leave_out():
    answers = Answers(said={
        0: Said("A good answer.", 1, 1), 1: Said("  ", 1, 1), 2: Said("As an AI model I cannot.", 1, 1),
        3: Said("What is 3 + 1?", 1, 1), 4: Said("cut", 1, 1, is_cut=True), 5: Said("unlikely", 1, 1, -5.0),
    })  # fmt: skip
    found, refused = answering.table(answering.Prompts(PROMPTS), answers, Rules(without="As an AI", likely=-3.0))
    assert found.table.to_dict("records") == [{"prompt": PROMPTS[0], "answer": "A good answer."}]
    assert {one.reason.partition(" ")[0]: one.lines for one in refused} == {
        "empty": (2,), "matches": (3,), "copied": (4,), "cut": (5,), "less": (6,)}  # fmt: skip
    with pytest.raises(DataError, match="No answer is left"):
        answering.table(answering.Prompts(PROMPTS), answers, Rules(longest=2))


def test_a_chat_is_asked_up_to_the_last_question_and_splits_stay(store, home, teacher):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "No."}]  # fmt: skip
    more = [f"What is {number} + 1?" for number in range(12)]
    cells = [json.dumps(chat), *(json.dumps([{"role": "user", "content": one}]) for one in more)]
    splits = ["train"] * 10 + ["validation", "test", "test"]
    upload = Upload("table", pd.DataFrame({"messages": cells, "split": splits}, dtype=object))
    prompts = answering.prompts_of(upload)
    assert (prompts.asked[0], prompts.splits) == (chat[:3], splits)
    answers, _ = asked(home, teacher, prompts.asked)
    table, _ = answering.table(prompts, answers, Rules(copies=True))
    row = library.add(store, home, library.Files(table), name="answered", task="language-model").row
    assert row.splits == {"train": 10, "validation": 1, "test": 2}


def test_cells_without_a_prompt_are_not_asked_and_told_by_line():
    nobody = [{"role": "assistant", "content": "Hello"}]
    cells = ["What?", None, float("nan"), "  ", "", json.dumps([{"role": "user", "content": " "}]), nobody, "Why?"]
    upload = Upload("table", pd.DataFrame({"prompt": cells, "split": ["test", *[None] * 7]}, dtype=object))
    prompts = answering.prompts_of(upload)
    assert (prompts.asked, prompts.splits, prompts.lines) == (["What?", "Why?"], ["test", ""], [1, 8])
    assert prompts.times(2).asked == ["What?", "Why?", "What?", "Why?"]
    _, (refused,) = answering.table(prompts, Answers({0: Said("It.", 1, 1), 1: Said("So.", 1, 1)}), Rules())
    assert (refused.reason, refused.lines) == ("no prompt", (2, 3, 4, 5, 6, 7))
    with pytest.raises(DataError, match="No row has a prompt in 'prompt'"):
        answering.prompts_of(Upload("table", pd.DataFrame({"prompt": [None, ""]}, dtype=object)))


def test_the_command_asks_before_it_spends_and_json_needs_a_yes(home, teacher, tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\n" + "\n".join([*(f"What is {number} + 1?" for number in range(11)), '""']))
    command = ["data", "answer", str(file), "--address", teacher.address, "--model", "large"]
    refused = CliRunner().invoke(app, [*command, "--json"])
    assert isinstance(refused.exception, ConfigError)
    assert "Add --yes" in refused.exception.cure
    assert CliRunner().invoke(app, command, input="n\n").exit_code == 1
    assert not teacher.asked
    teacher.says, teacher.usage = "It is so.", None
    done = CliRunner().invoke(app, [*command, "--json", "--yes"])
    assert done.exception is None
    told = json.loads(done.stdout)
    assert (told["answered"], told["refused"], told["tokens_estimated"], told["over_budget"]) == (11, 0, True, False)


def test_after_a_spent_budget_the_same_command_goes_on_to_its_end(home, store, teacher, tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\n" + "\n".join(f"What is {number} + 1?" for number in range(30)))
    command = ["data", "answer", str(file), "--address", teacher.address, "--model", "large", "--name", "sums",
               "--at-once", "1", "--yes", "--json"]  # fmt: skip
    teacher.says = "It is so."
    for budget in (["--budget-tokens", "200"], [], []):
        done = CliRunner().invoke(app, [*command, *budget])
        assert done.exception is None
    assert {row.name: sum(row.splits.values()) for row in store.datasets()} == {"sums": 14, "sums 2": 30}


def test_the_command_tells_what_it_will_take_how_far_it_is_and_what_was_saved(home, teacher, tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\n" + "\n".join(f"What is {number} + 1?" for number in range(40)))
    command = ["data", "answer", str(file), "--address", teacher.address, "--model", "large", "--price-written", "1"]
    teacher.says, teacher.usage = "It is so.", None
    done = CliRunner().invoke(app, command, input="y\n")
    told = " ".join(done.output.split())
    assert "40 prompts are to be asked: about 160 tokens to read, at most 10,240 to write" in told
    assert told.count(" of 40 are answered") == 20 + 2, "at every second answer, at the end, and with what was saved"
    assert "are estimated from the letters" in told
    assert "Saved as data set 1, 'prompts':" in told
    again = CliRunner().invoke(app, [*command, "--shortest", "5"])
    assert "40 are answered already; 0 prompts are to be asked" in " ".join(again.output.split())
    assert "Ask?" not in again.output
