"""A teacher writes new prompts after a few examples: enough of them, none twice, nothing held out is shown."""

import csv
import json
import random

import pandas as pd
import pytest
from typer.testing import CliRunner

from studio import api
from studio.cli import app
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError
from studio.service import answering, new_prompts
from studio.service.answering import Prompts
from studio.service.asking import Budget
from studio.service.endpoint import Endpoint
from studio.service.new_prompts import INSTRUCTION, Growth
from tests.service.conftest import Hurry, Talk

EXAMPLES = ["why does bread rise in a warm oven", "name three birds of the northern coast",
            "how long may soup stand on the stove"]  # fmt: skip
VOCABULARY = [first + second for first in ("ba", "co", "di", "fu", "ge", "ha", "li", "mo", "nu", "pe")
              for second in ("ra", "sti", "lo", "ven", "kum", "tep", "zi", "gor", "wan", "shal")]  # fmt: skip


def a_list(body, prompts=10):
    """A numbered list as large models write them, always the same of one question."""
    drawn = random.Random(json.dumps(body, sort_keys=True))
    made = (" ".join(drawn.sample(VOCABULARY, 7)) for _ in range(prompts))
    return "Sure, here they are:\n\n" + "\n".join(f"{number}. {one}" for number, one in enumerate(made, start=4))


def is_list(body):
    return body["messages"][-1]["content"].startswith(INSTRUCTION)


def says(body):
    return a_list(body) if is_list(body) else f"Answer {random.Random(json.dumps(body)).random()}."


def lists(teacher):
    return [body["messages"][-1]["content"] for body in teacher.asked if is_list(body)]


def grown(home, teacher, examples=EXAMPLES, wanted=25, splits=(), without="", **how):
    growth = Growth(Prompts(list(examples), list(splits)), wanted, without)
    there = Endpoint(teacher.address, "large", system="Be brief.")
    told = list(new_prompts.write(home, there, growth, **{"stop": Hurry(), **how}))
    return growth, told


def reasons(growth):
    return {refused.reason: refused.rows for refused in growth.left_out}


def test_a_teacher_writes_as_many_new_prompts_as_are_wanted_after_a_few_examples(home, teacher):
    teacher.says = says
    growth, told = grown(home, teacher, at_once=1)
    assert (len(growth.new), told[-1].done, told[-1].share, told[-1].requests) == (25, 25, 1.0, 3)
    assert growth.new[0] == a_list(teacher.asked[0]).partition("4. ")[2].partition("\n")[0]
    assert all(one in lists(teacher)[0] for one in EXAMPLES)
    assert (teacher.asked[0]["temperature"], len(teacher.asked[0]["messages"])) == (0.7, 1), "not as it answers"
    assert growth.note == "25 of the prompts were written by the teacher after 3 examples."
    assert len(reasons(growth)[new_prompts.SURPLUS]) == 5


def test_what_was_stopped_goes_on_to_the_same_prompts_and_no_request_is_sent_twice(home, teacher, tmp_path):
    teacher.says = says
    whole, _ = grown(type(home)(tmp_path / "other"), teacher, wanted=200)
    alone = len(teacher.asked)
    stopped = Growth(Prompts(EXAMPLES), 200)
    writing = new_prompts.write(home, Endpoint(teacher.address, "large"), stopped, at_once=1)
    while next(writing).requests < 8:
        pass
    writing.close()
    growth, told = grown(home, teacher, wanted=200, at_once=3)
    assert growth.new == whole.new and len(growth.new) == 200
    assert len(teacher.asked) == 2 * alone
    assert told[-1].tokens < 15 * alone, "what was answered before is not counted as taken now"


def test_what_is_of_no_use_is_left_out_and_counted_by_reason(home, teacher):
    teacher.says = """1. short
2. long long long long long long long long long long long long long long long long long
3. why does the bread rise in a warm oven
4. ... !? ... !? ... !? ...
5. tell me the secret of good coffee
6. **what may a dog not eat at home**
7. how is a boat kept dry"""
    growth, _ = grown(home, teacher, wanted=2, without="secret")
    assert growth.new == ["what may a dog not eat at home", "how is a boat kept dry"]
    found = reasons(growth)
    assert {reason: len(rows) for reason, rows in found.items()} == {
        "a new prompt shorter than 17 letters": 1, "a new prompt longer than 76 letters": 1, new_prompts.NEAR_COPY: 1,
        new_prompts.NO_WORDS: 1, "a new prompt that matches 'secret'": 1}  # fmt: skip
    assert found[new_prompts.NEAR_COPY] == ("why does the bread rise in a warm oven",)


def test_the_last_prompt_of_a_list_that_was_cut_off_is_left_out(home, teacher):
    choice = {"message": {"content": "1. how is a boat kept dry\n2. what may a dog not"}, "finish_reason": "length"}
    teacher.troubles = [(200, {}, {"choices": [choice]})]
    growth, _ = grown(home, teacher, wanted=1)
    assert (growth.new, reasons(growth)) == (
        ["how is a boat kept dry"], {new_prompts.CUT_OFF: ("what may a dog not",)})  # fmt: skip


def test_held_out_prompts_are_never_shown_and_nothing_near_them_is_taken(home, teacher):
    held = "which tools does a gardener need in spring"
    near = "which tools does the gardener need in spring"
    teacher.says = lambda body: f"{a_list(body)}\n99. {near}"
    growth, _ = grown(home, teacher, [*EXAMPLES, held], wanted=60, splits=["train", "", "train", "test"])
    assert not [one for one in lists(teacher) if held in one]
    assert near in reasons(growth)[new_prompts.NEAR_COPY] and near not in growth.new
    assert growth.prompts().splits == ["train", "train", "train", "test"] + ["train"] * 60
    with pytest.raises(DataError, match="2 different examples or more that are for training, and there is 1"):
        grown(home, teacher, EXAMPLES, splits=["train", "test", "validation"])
    with pytest.raises(DataError, match="is called 'tset'"):
        grown(home, teacher, EXAMPLES, splits=["train", "train", "tset"])


def test_of_new_prompts_some_are_held_out_and_those_are_not_shown_either(home, teacher):
    teacher.says = says
    growth, _ = grown(home, teacher, wanted=120)
    sides = growth.prompts().splits
    assert sides[:3] == ["train"] * 3, "what stands nearest to the examples is theirs"
    assert {side: sides[3:].count(side) for side in set(sides)} == {"train": 84, "test": 24, "validation": 12}
    shown = "\n".join(lists(teacher))
    for text, side in zip(growth.new, sides[3:], strict=True):
        assert side == "train" or text not in shown
    assert any(text in shown for text in growth.new), "new ones are shown, too"


def test_a_teacher_that_writes_nothing_of_use_is_given_up_with_figures(home, teacher):
    teacher.says = "I cannot do that."
    with pytest.raises(DataError, match="wrote no prompt of use in 16 requests: 16 times a reply without a list"):
        grown(home, teacher, wanted=100)
    assert len(teacher.asked) == 16


def test_where_little_new_comes_it_ends_with_what_there_is_and_says_so(home, teacher):
    teacher.says = "1. how is a boat kept dry\n2. what may a dog not eat at home"
    growth, _ = grown(home, teacher, wanted=100)
    assert len(growth.new) == 2 and len(teacher.asked) == 24
    assert growth.note.endswith("100 were wanted: after 24 requests too little new came.")
    counted = iter(range(10_000))
    teacher.says = lambda body: f"1. {' '.join(random.Random(next(counted)).sample(VOCABULARY, 7))}"
    growth, _ = grown(home, teacher, EXAMPLES[:2], wanted=100)
    assert len(growth.new) == growth.most_requests == 58, "nor does it trickle on for ever"


def test_examples_that_are_too_few_or_too_many_new_prompts_are_refused_before_anything_is_asked(home, teacher):
    for examples in (EXAMPLES[:1], EXAMPLES[:1] * 5):
        with pytest.raises(DataError, match="and there is 1"):
            grown(home, teacher, examples)
    for wanted in (0, 10_001):
        with pytest.raises(ConfigError, match="new prompts cannot be written"):
            grown(home, teacher, wanted=wanted)
    assert not teacher.asked


def test_a_budget_that_is_spent_on_lists_is_told_and_a_larger_one_goes_on(home, teacher):
    teacher.says = says
    with pytest.raises(DataError, match=r"The budget is spent: \d+ of 100 new prompts are there, none is answered"):
        grown(home, teacher, wanted=100, budget=Budget(tokens=60), at_once=1)
    assert len(teacher.asked) == 4
    growth, _ = grown(home, teacher, wanted=100, budget=Budget(tokens=1_000))
    assert (len(growth.new), len(teacher.asked)) == (100, growth.requests)


def test_new_prompts_are_asked_as_the_chats_are_that_they_follow(home, teacher):
    teacher.says = says
    system = {"role": "system", "content": "You are a cook."}
    cells = [json.dumps([system, {"role": "user", "content": one}]) for one in EXAMPLES]
    examples = answering.prompts_of(Upload("table", pd.DataFrame({"messages": cells}, dtype=object)))
    growth = Growth(examples, 5)
    list(new_prompts.write(home, Endpoint(teacher.address, "large"), growth))
    assert growth.prompts().asked[3:] == [[system, {"role": "user", "content": text}] for text in growth.new]
    assert "You are a cook." not in lists(teacher)[0] and EXAMPLES[0] in lists(teacher)[0]


def test_long_examples_fill_no_request_beyond_its_measure(home, teacher):
    teacher.says = says
    long = [f"{one} {'word ' * 700}" for one in EXAMPLES]
    with pytest.raises(DataError, match="16 requests"):
        grown(home, teacher, long, wanted=100)
    assert all(len(one) < 2 * 6_000 + len(INSTRUCTION) for one in lists(teacher))
    assert "3. " not in lists(teacher)[0]


def test_a_model_of_this_machine_is_given_lists_that_it_may_write_on(at_home, monkeypatch):
    acts, reference = at_home
    monkeypatch.setattr(Talk, "writes", staticmethod(a_list))
    growth = Growth(Prompts(EXAMPLES), 12)
    list(acts.have_written(growth, acts.model_here(reference, system="Be brief."), at_once=1))
    assert len(growth.new) == 12
    asked = Talk.asked[0]
    assert (asked.instruction, asked.temperature, asked.most_tokens) == (INSTRUCTION, 0.7, 512)
    assert [line[:3] for line in asked.prompts[0].splitlines()] == ["1. ", "2. ", "3. "]
    Talk.asked.clear()
    list(acts.have_written(Growth(Prompts(EXAMPLES), 12), acts.model_here(reference)))
    assert not Talk.asked, "how it answers makes no other lists"


def test_the_command_has_new_prompts_written_and_answered_within_one_budget(home, store, teacher, tmp_path):
    file, left_out = tmp_path / "prompts.csv", tmp_path / "left_out.csv"
    file.write_text("prompt\n" + "\n".join(EXAMPLES))
    command = ["data", "answer", str(file), "--address", teacher.address, "--model", "large", "--new-prompts", "25",
               "--new-without", "moven"]  # fmt: skip
    teacher.says = says
    assert CliRunner().invoke(app, command, input="n\n").exit_code == 1
    assert not teacher.asked
    done = CliRunner().invoke(app, [*command, "--refused", str(left_out)], input="y\n")
    assert done.exception is None, done.exception
    told = " ".join(done.output.split())
    assert "25 new prompts are to be written, in 3 to 23 requests, and answered: at most about" in told
    assert "25 of 25 new prompts are there after" in told
    assert "28 of 28 are answered" in told
    assert "25 of the prompts were written by the teacher after 3 examples." in told
    (row,) = store.datasets()
    assert (row.name, sum(row.splits.values())) == ("prompts", 28)
    assert row.splits["test"] == 5 and row.splits["validation"] == 3
    with left_out.open() as opened:
        assert {one["reason"] for one in csv.DictReader(opened)} >= {"a new prompt that matches 'moven'"}
    asked = len(teacher.asked)
    again = CliRunner().invoke(app, [*command, "--json", "--yes", "--budget-tokens", "100000"])
    assert again.exception is None, repr(again.exception)
    facts = json.loads(again.stdout)
    assert (facts["new_prompts"], facts["new_prompts_wanted"], facts["answered"], facts["tokens"]) == (25, 25, 28, 0)
    assert len(teacher.asked) == asked


def test_what_lists_took_is_no_longer_there_for_answers(home, teacher, tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\n" + "\n".join(EXAMPLES))
    teacher.says = says
    command = ["data", "answer", str(file), "--address", teacher.address, "--model", "large", "--new-prompts", "20",
               "--budget-tokens", "300", "--at-once", "1", "--json", "--yes"]  # fmt: skip
    facts = json.loads(CliRunner().invoke(app, command).stdout)
    assert facts["over_budget"] and facts["answered"] == 20 - facts["requests"]
    assert len(teacher.asked) == 20


def test_python_has_new_prompts_written_too(at_home, home, monkeypatch):
    _, reference = at_home
    monkeypatch.setattr(Talk, "writes", staticmethod(a_list))
    data = api.answer_prompts(
        EXAMPLES, teacher=reference, new_prompts=20, new_without="mol", name="said", home=home.root
    )
    assert sum(data.splits.values()) == 23
    assert not data.head(20)["prompt"].str.contains("mol").any()
