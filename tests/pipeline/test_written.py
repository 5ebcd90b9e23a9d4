"""What the language models of a run write, several texts at a time."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from studio import tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.errors import DataError, ModelError
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.pipeline import predict, written
from studio.pipeline.job import Job
from studio.pipeline.predict import Predictor, Writing
from studio.service import library
from studio.tasks import encoded_tokens
from tests.conftest import TINY

TASK = tasks.get("language-model")
CONFIG = parse_config(
    {"dataset": "sums", "task": "language-model", "teacher": "builtin/gpt-small", "student": "builtin/gpt-tiny"}
)
PROMPTS = [(f"{'please ' * number}{number}+1=", str(number + 1)) for number in range(5)]


def predictor(seed: int = 0) -> Predictor:
    rows = TASK.unlabelled(PROMPTS)
    config, tokenizer = encoded_tokens.builtin("gpt-tiny", rows, {}, 64)
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(config).eval()
    problem = Problem("language-model", [], rows, 64)
    return Predictor(CONFIG, problem, Device(torch.device("cpu"), torch.float32), (Model(network, tokenizer, True),))


def test_texts_that_are_written_together_are_those_that_each_would_be_alone(monkeypatch):
    monkeypatch.setattr(predict, "WRITTEN", 12)
    model, rows = predictor(), TASK.unlabelled([(prompt, "") for prompt, _ in PROMPTS])
    together = model.writings(rows, temperature=0.0)
    alone = [model.writings(rows.select([number]), temperature=0.0)[0] for number in range(len(rows))]
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert [one.given for one in together] == [model._given(row) for row in rows]


def test_as_many_tokens_are_written_as_are_asked_for_and_what_a_model_can_read_bounds_them(monkeypatch):
    model = predictor()
    model.models[0].network.config.max_position_embeddings = 400
    monkeypatch.setattr(predict, "write", lambda network, start, most, **how: torch.cat(
        [start, torch.full((len(start), most), 5)], 1))  # fmt: skip
    (row,) = TASK.unlabelled([("1+1=", "")])
    usual, few, many = (next(replace(model, most_tokens=most)._writings([row])).tokens for most in (None, 7, 100_000))
    assert (len(few), len(usual), len(many)) == (7, predict.WRITTEN, 400 - len(model._given(row)))
    row = TASK.unlabelled([("word " * 900, "")])[0]
    assert len(model._given(row)) == 400 - predict.WRITTEN
    assert len(replace(model, most_tokens=150)._given(row)) == 250
    assert len(replace(model, most_tokens=100_000)._given(row)) == 200, "half of it stays for what is asked"
    assert len(replace(model, most_tokens=100_000).writings(TASK.unlabelled([("1+1=", "")]))[0].tokens) == len(many)


def test_an_answer_says_whether_the_limit_or_the_model_ended_it(monkeypatch):
    model = predictor()
    end = model.models[0].processor.eos_token_id
    monkeypatch.setattr(predict, "write", lambda network, start, most, **how: torch.cat(
        [start, torch.tensor([[5] * most if most == 3 else [5, end]])], 1))  # fmt: skip
    assert [replace(model, most_tokens=most).predict([("1+1=", "")])[0]["cut"] for most in (3, 9)] == [True, False]


def test_the_teacher_reads_in_its_own_tokens_what_one_with_others_wrote():
    teacher, row = predictor(), TASK.unlabelled([("2+2=", "")])[0]
    other = predictor().models[0].processor
    other.add_tokens(["four"])
    told = Writing([0], other("four", add_special_tokens=False)["input_ids"], other)
    read = teacher.reads(told, row)
    assert read.tokens == teacher.models[0].processor("four", add_special_tokens=False)["input_ids"]
    assert read.given == teacher._given(row)
    assert teacher.reads(read, row) is read


@pytest.fixture
def job(home, store):
    columns = Columns("prompt", None, pair="answer")
    table = pd.DataFrame(PROMPTS * 8, columns=["prompt", "answer"], dtype=object)
    table["prompt"] = [f"{number}: {prompt}" for number, prompt in enumerate(table["prompt"])]
    saved = library.save(store, home, "sums", clean(Upload("table", table), columns, "language-model"), columns)
    return Job(run_id=1, config=CONFIG, dataset=home.dataset(saved.id), home=home)


def test_answers_are_measured_by_those_in_the_data_and_every_text_by_the_teacher(job, monkeypatch):
    models = {"teacher": predictor(0), "student": predictor(1), "control": predictor(2)}
    monkeypatch.setattr(predict, "open_roles", lambda job, dataset: models.items())
    monkeypatch.setattr(predict, "WRITTEN", 8)
    right = {"teacher": True, "student": False}

    def writings(self, rows, *asked, **how):
        role = next(role for role, model in models.items() if model is self)
        answers = [prompt.split()[-1].split("+")[0] for prompt in rows["prompt"]]
        texts = [str(int(one) + 1) if right.get(role) else "no idea" for one in answers]
        tokenizer = self.models[0].processor
        return [Writing(self._given(row), tokenizer(text)["input_ids"], tokenizer)
                for row, text in zip(rows, texts, strict=True)]  # fmt: skip

    monkeypatch.setattr(Predictor, "batches", lambda *asked, **how: iter([dict(enumerate(writings(*asked, **how)))]))
    found = written.examine(job)
    assert found.most == 8
    known = {one.role: one for one in found.by}
    assert known["student"].cut_share == 1 and known["student"].cut == [True] * found.rows
    assert known["teacher"].values["exact_match"][0] == known["teacher"].values["rouge_l"][0] == 1
    assert known["student"].values["exact_match"][0] == known["student"].values["rouge_l"][0] == 0
    exact = next(one for one in found.against if (one.second, one.metric) == ("teacher", "exact_match"))
    assert (exact.difference, exact.lost) == (-1, found.rows)
    assert known["student"].texts[0] == "no idea"
    assert found.expected[0].isdecimal()
    assert "by_rule" not in known["student"].values
    nats = -np.sum(models["teacher"].likelihoods(writings(models["student"], TASK.unlabelled([("1+1=", "")]))[0]))
    assert known["student"].values["teacher_bits_per_byte"][0] == pytest.approx(-nats / np.log(2) / 7, rel=0.2)


def test_all_models_write_as_many_tokens_as_the_job_says(job, monkeypatch):
    models = {"teacher": predictor(0), "student": predictor(1)}
    monkeypatch.setattr(predict, "open_roles", lambda job, dataset: models.items())
    drawn, batches = [], Predictor.batches

    def noted(self, *asked, **how):
        for part in batches(self, *asked, **how):
            drawn.extend(len(one.tokens) for one in part.values())
            yield part

    monkeypatch.setattr(Predictor, "batches", noted)
    found = written.examine(job.model_copy(update={"most_tokens": 3}))
    assert (found.most, max(drawn), len(drawn)) == (3, 3, 4 * found.rows + len(models))


def test_models_write_a_batch_each_in_turn_and_a_first_token_of_each_is_not_counted(monkeypatch):
    models = {"teacher": predictor(0), "student": predictor(1)}
    asked, batches = [], Predictor._together

    def noted(self, given, temperature, limit, seed):
        asked.append((next(role for role, model in models.items() if model.models is self.models), limit))
        return batches(self, given, temperature, limit, seed)

    monkeypatch.setattr(predict, "WRITTEN_AT_ONCE", 2)
    monkeypatch.setattr(Predictor, "_together", noted)
    rows = TASK.unlabelled(PROMPTS)
    found = written.in_turn({role: replace(model, most_tokens=5) for role, model in models.items()}, rows)
    assert asked[:2] == [("teacher", 1), ("student", 1)]
    assert asked[2:] == [("teacher", 5), ("student", 5)] * math.ceil(len(rows) / 2)
    alone = replace(models["student"], most_tokens=5).writings(rows)
    assert [text.tokens for text in found["student"][0]] == [text.tokens for text in alone]


def test_models_that_choose_labels_do_not_write(home, saved):
    config = parse_config({"dataset": "reviews", "task": "text-classification", **TINY})
    with pytest.raises(DataError, match="do not write"):
        written.examine(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home))


def test_a_rule_compares_what_it_finds_in_both_answers_and_one_that_finds_nothing_is_told(job, monkeypatch):
    models = {"teacher": predictor(0), "student": predictor(0)}
    monkeypatch.setattr(predict, "open_roles", lambda job, dataset: models.items())
    tokenizer = models["teacher"].models[0].processor

    def writings(self, rows, *asked, **how):
        answers = [int(prompt.split()[-1].split("+")[0]) + 1 for prompt in rows["prompt"]]
        said = "It is {}" if self is models["student"] else "{}"
        return [Writing(self._given(row), tokenizer(said.format(one))["input_ids"], tokenizer)
                for row, one in zip(rows, answers, strict=True)]  # fmt: skip

    monkeypatch.setattr(Predictor, "batches", lambda *asked, **how: iter([dict(enumerate(writings(*asked, **how)))]))
    found = written.examine(job.model_copy(update={"rule": r"\d+"}))
    student = next(one for one in found.by if one.role == "student").values
    assert (student["exact_match"][0], student["by_rule"][0], found.rule) == (0, 1, r"\d+")
    with pytest.raises(DataError, match="'x' finds nothing in the answers of 8 test rows"):
        written.examine(job.model_copy(update={"rule": "x"}))


def test_a_pattern_that_never_ends_is_told():
    with pytest.raises(DataError, match="takes longer than"):
        written._found(re.compile("(a+)+b"), "a" * 40)


def test_models_are_as_far_from_the_teacher_as_their_answers_lie_apart():
    teacher, student, rows = predictor(0), predictor(1), TASK.unlabelled(PROMPTS)
    found = written._apart(teacher, student, rows)
    row = teacher.read(rows.select([2]))
    logits = [
        one.models[0].network(input_ids=row.tokens[None]).logits[0, row.places].double() for one in (teacher, student)
    ]
    first, second = (one.log_softmax(-1) for one in logits)
    assert found[2, 0] == pytest.approx(float((first.exp() * (first - second)).sum()), rel=1e-4)
    assert found[:, 1].tolist() == [2] * 5, "a digit, and the sign that ends an answer"
    assert np.all(written._apart(teacher, teacher, rows)[:, 0] == 0)


def test_models_with_other_tokens_are_not_compared_token_by_token():
    teacher, student, rows = predictor(0), predictor(1), TASK.unlabelled(PROMPTS)
    student.models[0].processor.add_tokens(["please"])
    assert np.isnan(written._apart(teacher, student, rows)).all()


def test_the_student_as_it_was_writes_too_and_one_that_is_gone_is_told(job, monkeypatch):
    models = {"teacher": predictor(0), "student": predictor(1)}
    monkeypatch.setattr(predict, "open_roles", lambda job, dataset: models.items())
    monkeypatch.setattr(predict, "WRITTEN", 8)
    opened = []

    def open_role(config, run_id, role, home, labels, multi_label):
        opened.append((config.student, role))
        if config.student.endswith("gone"):
            raise ModelError("It is no longer on this machine.", "")
        return predictor(2)

    monkeypatch.setattr(predict, "open_role", open_role)
    assert [one.role for one in written.examine(job).by] == ["teacher", "student"], "it began with random weights"
    assert not opened
    before = job.model_copy(update={"config": job.config.model_copy(update={"student": "hub:org/small"})})
    found = written.examine(before)
    assert [one.role for one in found.by] == ["teacher", "student", "untouched"]
    assert {pair.second for pair in found.against} == {"teacher", "untouched"}
    assert (found.left_out, opened) == ("", [("hub:org/small", "untouched")])
    gone = written.examine(job.model_copy(update={"config": job.config.model_copy(update={"student": "hub:org/gone"})}))
    assert [one.role for one in gone.by] == ["teacher", "student"]
    assert gone.left_out == "It is no longer on this machine."
