"""A whole run of a language model: taught, recorded, distilled with own texts, tested, kept, tried, exported."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio import events, tasks
from studio.config.methods import read_terms
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.distill import fit as fitting
from studio.distill import own_texts, teacher_outputs, transfer_set
from studio.errors import DataError, ModelError
from studio.kept import answers
from studio.pipeline import distill as distilled
from studio.pipeline import keeping, playground, prepare, recorded
from studio.pipeline.answers import Question
from studio.pipeline.distill import distill
from studio.pipeline.job import Job
from studio.pipeline.predict import open_exported, open_role
from studio.service import library, questions
from studio.tasks import encoded_tokens, language
from tests.conftest import TINY

WORDS = ("cat", "dog", "sun", "sea", "tree")
SETTINGS = {
    **TINY, "teacher": "builtin/gpt-small", "student": "builtin/gpt-tiny", "epochs": 1, "teacher_epochs": 1,
    "max_length": 24, "temperature": 1, "own_texts": 0.3, "batch_size": 8,
}  # fmt: skip


def config_of(job):
    return tasks.resolved(job.config, language.TASK, 0)


@pytest.fixture
def job(home, store):
    texts = [f"The {WORDS[row % 5]} saw the {WORDS[row // 5 % 5]} {row} times." for row in range(60)]
    columns = Columns("text", None)
    rows = clean(Upload("table", pd.DataFrame({"text": texts}, dtype=object)), columns, "language-model")
    saved = library.save(store, home, "stories", rows, columns)
    config = parse_config({"dataset": "stories", "task": "language-model", **SETTINGS})
    return Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)


def test_from_texts_to_a_model_that_writes(job, home):
    said = list(distill(job))
    (verdict,) = (one for one in said if isinstance(one, events.Verdict))
    assert "bits for a byte of text" in verdict.sentence
    assert "of the time" in verdict.sentence
    found = {(one.role, one.metric): one for one in said if isinstance(one, events.Evaluation)}
    for role in ("teacher", "student", "control"):
        assert -12 < found[role, "bits_per_byte"].value < 0
        assert found[role, "bits_per_byte"].low <= found[role, "bits_per_byte"].value
    assert found["teacher", "agreement"].value == 1
    compared = {one.metric: one for one in said if isinstance(one, events.Comparison) and one.second == "control"}
    assert list(compared) == ["bits_per_byte", "perplexity", "first_choice", "agreement"]
    for metric, one in compared.items():
        apart = found["student", metric].value - found["control", metric].value
        assert (one.difference, one.low <= apart <= one.high) == (pytest.approx(apart), True)
    assert 0 <= found["student", "agreement"].value <= 1
    told = " ".join(one.message for one in said if isinstance(one, events.Log))
    assert "bytes a position" in told
    assert "tokens to learn" in told
    assert "are cut" not in told  # texts go on in the next block
    assert "no baseline" in told
    kept = answers.opened(home, 1, "student")
    assert len(kept) == found["student", "bits_per_byte"].n == 12
    student = open_role(job.config, 1, "student", home, [], False)
    first, second = student.predict(["The cat", "The cat"])
    assert first == second
    assert set(first) == {"text", "cut"}
    assert open_exported(home.model(1, "student"), job.config).predict(["The cat"]) == [first]
    network = AutoModelForCausalLM.from_pretrained(home.model(1, "student"), use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(home.model(1, "student"))
    ids = torch.tensor([tokenizer("The cat saw the sun.")["input_ids"]])
    torch.testing.assert_close(
        network(ids).logits, student.models[0].network(ids.to(student.device.torch_device)).logits
    )
    heard: dict[str, list[str]] = {}
    question = Question(
        home=home, run_id=1, config=config_of(job), labels=[], roles=["teacher", "student"], value="The"
    )
    replies = playground.reply(
        question, playground.Opened(), lambda part: heard.setdefault(part.role, []).append(part.text)
    )
    for one in replies.said:
        text = one.answer["text"]
        assert "".join(token.text for token in one.tokens) == text
        assert heard[one.role][-1] == text.rstrip("\ufffd"), "a letter is heard when it is whole"
        assert all(0 < min(token.own, token.other) <= max(token.own, token.other) <= 1 for token in one.tokens)
    written = playground.reply(question.model_copy(update={"roles": ["student"]}), playground.Opened()).said[0]
    assert (written.answer, written.tokens) == (replies.said[1].answer, [])  # nobody else is there to compare with


@pytest.fixture
def asked(home, store):
    """A data set of prompts, two in three of which are long."""
    rows = {"prompt": [f"{'Say it. ' * (row % 3 * 9)}{row}?" for row in range(60)], "answer": ["So be it."] * 60}
    columns = Columns("prompt", None, pair="answer")
    table = Upload("table", pd.DataFrame(rows, dtype=object))
    return library.save(store, home, "asked", clean(table, columns, "language-model"), columns)


def test_the_estimate_tells_of_prompts_that_are_too_long_and_what_length_would_hold_them(home, store, asked):
    config = parse_config({"dataset": "asked", "task": "language-model", **SETTINGS, "own_texts": 0})
    found = questions.estimate(home, store, config)
    told, cure = found.notes
    assert told.startswith("30 of 42 rows are longer than 24 tokens")
    assert (cure, found.whole_length) == ("19 of 20 rows are whole with max_length 159.", 159)
    whole = questions.estimate(home, store, config.model_copy(update={"max_length": 200}))
    assert (whole.notes, whole.whole_length) == ([], None)


@pytest.mark.parametrize(("lengths", "read", "limit", "whole"), [
    ((20, 30), 24, 24, 30), ((20, 22), 24, 24, None), ((20, 30), 16, 24, None), ((20, 9_000), 24, 24, None),
])  # fmt: skip
def test_no_length_is_named_where_none_would_do(lengths, read, limit, whole):
    """Where all is read, the model reads no more, or it is more than may be asked for."""
    texts = [torch.arange(min(length, read)) for length in lengths]
    rows = encoded_tokens.of_tokens(texts, [1] * len(texts), padding=0)
    rows = replace(rows, cut=torch.tensor([max(0, length - read) for length in lengths]))
    found = recorded.whole_length(rows, limit)
    assert found is None if whole is None else found in (whole, whole - 1)


def test_prompts_that_are_longer_than_what_is_read_keep_their_answers_and_the_run_ends_with_a_verdict(home, asked):
    config = parse_config({"dataset": "asked", "task": "language-model", **SETTINGS, "own_texts": 0})
    said = list(distill(Job(run_id=1, config=config, dataset=home.dataset(asked.id), home=home)))
    assert any(isinstance(one, events.Verdict) for one in said)
    (told,) = {
        one.message for one in said if isinstance(one, events.Log) and "beginning of what is asked" in one.message
    }
    assert " of 42 rows are longer than 24 tokens" in told
    assert any(
        "19 of 20 rows are whole with max_length 1" in one.message for one in said if isinstance(one, events.Log)
    )
    assert answers.opened(home, 1, "student").batch.column("labelled").to_pylist() == [True] * 12


def test_a_row_of_which_nothing_is_left_to_learn_is_kept_as_the_others_are(job):
    context, models = events.result_of(prepare.prepare(config_of(job), 1, job.dataset, None, job.home))
    rows = encoded_tokens.of_tokens([torch.arange(5), torch.arange(4), torch.arange(6)], [2, 4, 1], padding=0)
    logits = events.result_of(
        teacher_outputs.logits(
            models.teachers[0], rows, context.device, lambda done: events.Progress(phase="evaluate", step=done)
        )
    )
    kept = keeping.said(context.problem.task, logits, rows)
    assert len(kept.right) == len(kept.labelled) == 3
    assert answers.write(job.home, 1, "teacher", "test", kept) > 0


def test_rows_that_hold_nothing_to_learn_end_a_run_with_the_reason(job, monkeypatch):
    monkeypatch.setattr(transfer_set, "labelled", lambda inputs, task: torch.zeros(0, dtype=torch.long))
    with pytest.raises(DataError, match="as this model reads at most 24 tokens"):
        list(distill(job))


def test_answers_that_are_not_what_the_teacher_says_now_stop_the_run(job, monkeypatch):
    live = recorded._live

    def another(*given):
        kept = live(*given)
        return kept._replace(tokens=(kept.tokens + 1) % 258)

    monkeypatch.setattr(recorded, "_live", another)
    with pytest.raises(ModelError, match="differs from what was recorded"):
        list(distill(job))


def test_a_run_that_keeps_drawn_tokens_says_so_and_the_same_seed_gives_the_same_student(job, home, monkeypatch):
    monkeypatch.setattr(distilled.final_evaluation, "evaluate", lambda *_: iter(()))
    job = job.model_copy(update={"config": job.config.model_copy(update={"kept_as": "samples", "kept_answers": 16})})
    said = [one.message for one in distill(job) if isinstance(one, events.Log)]
    (told,) = (message for message in said if "tokens are drawn" in message)
    assert told.startswith("Of each answer 16 tokens are drawn")
    again = [one.message for one in distill(job.model_copy(update={"run_id": 2})) if isinstance(one, events.Log)]
    assert told in again
    assert any("on disk already" in message for message in again)
    first, second = (load_file(home.model(run, "student") / "model.safetensors") for run in (1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_models_that_cut_texts_otherwise_are_refused(job, home, tmp_path):
    from studio.models import saving
    from studio.models.model import Problem
    from studio.models.opening import build

    task = language.TASK
    other = build("gpt-tiny", Problem(task.name, [], task.unlabelled(["abc " * 40]), 24))
    other.processor.add_tokens(["cat"])
    other.network.resize_token_embeddings(len(other.processor))
    saving.save(other, tmp_path / "other")
    config = job.config.model_copy(update={"student": f"folder:{tmp_path / 'other'}"})
    with pytest.raises(ModelError, match="different tokens"):
        list(distill(job.model_copy(update={"config": config})))
    alone = parse_config(config.model_dump() | {"own_texts": 0.0, "alpha": 0.0, "plan": "prune:0.5, distill"})
    said = list(distill(job.model_copy(update={"config": alone, "run_id": 3})))
    assert any("learns the texts alone" in one.message for one in said if isinstance(one, events.Log)), "as it was told"
    found = {
        one.role: one.value for one in said if isinstance(one, events.Evaluation) and one.metric == "bits_per_byte"
    }
    assert found["student"] == found["control"]
    spans = {"terms": read_terms("byte_spans"), "own_texts": 0.0}
    config = parse_config(config.model_dump() | spans)
    said = list(distill(job.model_copy(update={"config": config})))
    told = " ".join(one.message for one in said if isinstance(one, events.Log))
    assert "spans of bytes are compared, 1.0 tokens of the student each; they hold 100 % of its tokens" in told
    curves = [one.values for one in said if isinstance(one, events.Metrics) and one.phase == "distill"]
    assert all(value["byte_spans_loss"] > 0 for value in curves if "loss" in value)
    found = {(one.role, one.metric): one for one in said if isinstance(one, events.Evaluation)}
    assert ("student", "bits_per_byte") in found
    assert ("teacher", "agreement") in found
    assert ("student", "agreement") not in found, "their tokens are others: there is nothing to agree on"
    pairs = [(one.second, one.metric) for one in said if isinstance(one, events.Comparison)]
    assert [metric for second, metric in pairs if second == "teacher"] == ["bits_per_byte"]
    assert [metric for second, metric in pairs if second == "control"] == [
        "bits_per_byte",
        "perplexity",
        "first_choice",
    ]
    (verdict,) = (one for one in said if isinstance(one, events.Verdict))
    assert "of the time" not in verdict.sentence
    asked = Question(home=home, run_id=1, config=config_of(job.model_copy(update={"config": config})), labels=[],
                     roles=["teacher", "student"], value="The")  # fmt: skip
    assert [one.tokens for one in playground.reply(asked, playground.Opened()).said] == [[], []]
    again = list(distill(job.model_copy(update={"config": config, "run_id": 2})))
    assert any("are on disk" in one.message for one in again if isinstance(one, events.Log))


@pytest.mark.parametrize("more", [{"alpha": 0.1}, {"alpha_schedule": "linear"}, {"own_texts": 0.5}, {"auto": True},
                                  {"hard_epochs": 1}, {"terms": read_terms("hint")}])  # fmt: skip
def test_a_student_that_learns_anything_of_its_teacher_must_read_as_it_does(more):
    config = parse_config({"dataset": "d", **SETTINGS, "own_texts": 0.0, "alpha": 0.0})
    assert prepare.learns_texts_alone(config)
    assert not prepare.learns_texts_alone(parse_config(config.model_dump() | more))


@pytest.mark.parametrize("opening", language.OPENINGS)
def test_the_snippet_of_the_card_runs_and_opens_as_the_rows_that_were_learned(opening, tmp_path, monkeypatch, capsys):
    from studio.models import saving
    from studio.models.model import Problem
    from studio.models.opening import build

    task = language.TASK
    model = build("gpt-tiny", Problem(task.name, [], task.unlabelled(["Once upon a time"]), 24))
    if opening == "template":
        model.processor.chat_template = (
            "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}"
        )
    saving.save(model, tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    found: dict[str, str] = {}
    exec(compile("\n".join(language.opened_as(opening, task.usage("torch", 24))), "snippet", "exec"), found)
    form, prompt = ("chat" if opening in ("chat", "template") else opening), "Tell me a story."
    text = {"text": "Once upon a time", "answer": "", "chat": json.dumps([{"role": "user", "content": prompt}])}[form]
    wanted = encoded_tokens.opening("" if form == "chat" else prompt, text, form, model.processor)
    assert model.processor(found["text"], add_special_tokens=False)["input_ids"] == wanted
    assert capsys.readouterr().out


def test_a_run_with_own_texts_that_was_stopped_goes_on_as_if_nothing_had_happened(job, home, monkeypatch):
    monkeypatch.setattr(distilled.final_evaluation, "evaluate", lambda *_: iter(()))
    monkeypatch.setattr(fitting, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(own_texts, "BATCHES", 2)
    quick = job.config.model_copy(update={"learning_rate": 0.03, "own_texts": 1.0})  # one step changes what it writes
    job = job.model_copy(update={"config": quick})
    list(distill(job))
    wanted = load_file(home.model(1, "student") / "model.safetensors")
    broken = job.model_copy(update={"run_id": 2})
    events_of_two = distill(broken)
    for event in events_of_two:
        if isinstance(event, events.Progress) and event.phase == "distill" and event.step == 5:
            events_of_two.close()
            break
    list(distill(broken))
    found = load_file(home.model(2, "student") / "model.safetensors")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_model_that_writes_is_made_smaller_by_a_plan_and_learns_in_it_through_adapters(job, home):
    plan = "prune:0.5, distill, quantize:weights_int4"
    config = parse_config({**SETTINGS, "dataset": "stories", "task": "language-model", "plan": plan, "own_texts": 0.0,
                           "control": False, "student": "teacher/2-layers", "lora_rank": 2})  # fmt: skip
    said = list(distill(job.model_copy(update={"config": config})))
    steps = [one for one in said if isinstance(one, events.StageResult)]
    assert steps[-1].size_bytes < 0.8 * next(one for one in steps if one.title == "Student at first").size_bytes
    predictor = open_role(tasks.resolved(config, language.TASK, 0), 1, "student", home, [], False)
    assert "text" in predictor.one("The cat")[0]


def test_a_run_with_adapters_that_is_stopped_leaves_an_ordinary_model(monkeypatch):
    from studio.models import lora
    from studio.models.model import Problem
    from studio.models.opening import build

    model = build("gpt-tiny", Problem("language-model", [], language.TASK.unlabelled(["Once upon a time"]), 24))
    usual = model.network.state_dict().keys()
    saved: dict[str, list[str]] = {}

    def save(model, role):
        saved[role] = list(model.network.state_dict())

    context = SimpleNamespace(config=SimpleNamespace(lora_rank=2), device=None, save=save)
    monkeypatch.setattr(distilled, "fit", lambda *_: iter(["a step", "another one"]))
    best = SimpleNamespace(restore=lambda network: None)
    learning = distilled._learn_and_save(context, SimpleNamespace(model=lora.adapted(model, 2, 0)), best, "student")
    next(learning)
    learning.close()
    assert saved == {"student": list(usual)}


def test_vocabularies_that_are_filled_up_and_answers_that_are_renormalized_are_told():
    from studio.models.model import Model

    teacher, student = (Model(SimpleNamespace(config=SimpleNamespace(vocab_size=size)), None) for size in (300, 258))
    config = parse_config({"dataset": "d", **SETTINGS, "terms": "renormalized_top_k"})
    first, second = recorded.compared(config, teacher, student)
    assert "filled up to 300 and 258 tokens: the first 258 are compared" in first.message
    assert (second.level, "surer than its teacher" in second.message) == ("warning", True)
    plain = parse_config({"dataset": "d", **SETTINGS, "terms": "soft_target"})
    assert not list(recorded.compared(plain, student, student))
