"""What an on-policy run takes beside its steps: writing and answering are timed, and what is held meanwhile counts."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.distill import own_texts
from studio.distill.own_texts import Writing
from studio.events import result_of
from studio.machine import memory
from studio.models.model import Problem
from studio.models.opening import build
from studio.pipeline import estimate, prepare, writing_cost
from studio.pipeline.job import Job
from studio.pipeline.writing_cost import Pace, Round
from studio.service import library
from tests.distill.test_own_texts import CPU, TASK, own
from tests.pipeline.test_language_run import SETTINGS

PROMPTS = [("2+2=", "It is four."), ("Who are you?", "I am a cat."), ("2+3=", "It is five.")]


@pytest.fixture(scope="module")
def models():
    rows = TASK.unlabelled(PROMPTS)
    teacher, student = (build("gpt-tiny", Problem(TASK.name, [], rows, 32)) for _ in range(2))
    return teacher, replace(student, processor=teacher.processor)


def measured(models, **changes):
    config = parse_config({**SETTINGS, "dataset": "d", "terms": "soft_target", "own_texts": 0.5, **changes})
    teacher, student = models
    return writing_cost.measured(config, TASK, student, teacher, read(student), CPU)


def read(student):
    return TASK.encode(TASK.unlabelled(PROMPTS), student.processor, student.network.config, 32)


def test_rows_of_which_as_many_tokens_are_given_are_written_on_together(models):
    rounds = own(models)
    rows = rounds.drawn(0)[0]
    parts = rounds.parts(rows)
    assert sorted(int(row) for part in parts for row in part.rows) == list(range(len(rows)))
    assert [part.given for part in parts] == sorted({own_texts._given(rows, row) for row in range(len(rows))})
    assert all(part.most == int(rows.lengths[part.rows].max()) - part.given for part in parts)


def test_between_the_widest_and_the_narrowest_part_time_grows_evenly(models, monkeypatch):
    paces = {1: Pace(1.0, 0.1), 5: Pace(3.0, 0.5)}
    monkeypatch.setattr(writing_cost, "_pace", lambda part, *_: paces[len(part.rows)])
    parts = [Writing(torch.arange(rows), 8, 11) for rows in (5, 3, 1, 1)]
    found = writing_cost._seconds(parts, models[1], CPU)
    assert found == pytest.approx((3 + 5) + (2 + 3) + 2 * (1 + 1))


@pytest.mark.parametrize("terms", ["soft_target", "reverse_kl"])
def test_what_is_held_is_that_of_a_real_round(models, monkeypatch, terms):
    monkeypatch.setattr(writing_cost, "_cache_bytes", lambda *_: 0.0)
    found = measured(models, terms=terms)
    rows = own_texts.BATCHES * SETTINGS["batch_size"]
    view = replace(own(models, None if terms == "reverse_kl" else own_texts.How(1.0, None)), rows=rows).view(0)
    assert found.learning == pytest.approx(writing_cost._bytes(view.logits), rel=0.35)
    assert found.making == own_texts.COPIES * found.learning


def test_keys_and_values_of_all_that_are_written_together_count(models, monkeypatch):
    config = models[1].network.config
    a_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * memory.BYTES
    assert writing_cost._cache_bytes(models[1], CPU) == a_token
    monkeypatch.setattr(writing_cost, "_bytes", lambda answers: 0)
    rounds = replace(own(models), rows=own_texts.BATCHES * SETTINGS["batch_size"])
    rounds = replace(rounds, plain=replace(rounds.plain, inputs=read(models[1])))
    widest = max(len(part.rows) * (part.given + part.most) for part in rounds.parts(rounds.drawn(0)[0]))
    assert measured(models).making == widest * a_token


def test_where_the_share_is_too_small_for_a_text_nothing_is_written(models):
    assert measured(models, own_texts=0.001) == Round()
    assert len(own(models, share=0.01).view(0).inputs) == 6


@pytest.fixture
def job(home, store):
    texts = [f"Once upon a time there were {row} cats." for row in range(60)]
    columns = Columns("text", None)
    rows = clean(Upload("table", pd.DataFrame({"text": texts}, dtype=object)), columns, "language-model")
    saved = library.save(store, home, "stories", rows, columns)
    config = parse_config({"dataset": "stories", "task": "language-model", **SETTINGS, "own_texts": 0.5})
    return Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)


def test_the_estimate_counts_every_round_of_those_who_write_and_of_nobody_else(job, monkeypatch):
    asked = []

    def heard(config, task, student, *_):
        asked.append(student)
        return Round(seconds=1000.0, making=10**6, learning=10**5)

    monkeypatch.setattr(estimate.writing_cost, "measured", heard)
    found = estimate.measure(job)
    assert len(asked) == 1
    steps = 1000 * math.ceil(_steps(job) / own_texts.BATCHES)
    assert steps <= found.seconds < steps + 1000
    estimate.measure(job.model_copy(update={"config": job.config.model_copy(update={"own_texts": 0.0})}))
    assert len(asked) == 1


def _steps(job) -> int:
    context, models = result_of(prepare.prepare(job.config, 1, job.dataset, None, job.home))
    return math.ceil(prepare.counts(context, models.teachers[0]).training / job.config.batch_size)


def test_what_a_round_holds_and_whole_answers_are_part_of_the_memory_of_a_run(job, monkeypatch):
    context, models = result_of(prepare.prepare(job.config, 1, job.dataset, None, job.home))
    paces = {"student": estimate.Pace(), "assistant-1": estimate.Pace(round=Round(1.0, 8 * 10**9, 10**9))}
    monkeypatch.setattr(memory, "peak_bytes", lambda: 2 * 10**9)
    monkeypatch.setattr(memory, "held_bytes", lambda: 10**9)
    student = models.line[-1]
    plain = estimate._bytes(context, student, {"student": estimate.Pace()}, 0)
    assert plain == 2 * 10**9
    beside = memory.of_learning(sum(weight.numel() for weight in student.network.parameters()))
    assert estimate._bytes(context, student, paces, 0) == 9 * 10**9 + beside
    assert estimate._bytes(context, student, {"student": estimate.Pace()}, 5 * 10**9) == 6 * 10**9
    assert estimate._whole_answers(context, models.teachers[0], 100) == 0
    whole = replace(
        context, config=tasks.resolved(parse_config(job.config.model_dump() | {"terms": "reverse_kl"}), TASK, 0)
    )
    rows = estimate._few_rows(context, models.teachers[0])
    wanted = len(rows.labels) * models.teachers[0].network.config.vocab_size * memory.BYTES
    assert estimate._whole_answers(whole, models.teachers[0], len(rows)) == wanted
