"""A model of this machine answers prompts before any run."""

import io
import json
import sys

import pytest

from studio import tasks
from studio.config.reading import parse_config
from studio.errors import DataError, ModelError
from studio.models import saving
from studio.pipeline import speak
from studio.pipeline.answers import AllSpoken, Prompts
from studio.pipeline.job import Answer
from tests.pipeline.test_written import predictor

CHAT = [{"role": "user", "content": "2+1="}]


def asked(home, teacher, **how):
    config = parse_config(
        {"dataset": "prompts", "task": "language-model", "teacher": teacher, "student": "teacher/same"}
    )
    return Prompts(**{"config": config, "home": home, "prompts": ["1+1=", CHAT, "please, please, 3+1="],
                      "most_tokens": 7, "temperature": 1.0, "seed": 3} | how)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return f"folder:{saving.save(predictor().models[0], tmp_path / 'large').folder}"


def test_texts_and_chats_are_answered_with_what_the_limit_and_the_seed_say(home, folder):
    question = asked(home, folder)
    teacher = speak.opened(question)
    said = speak.answers(question, teacher).said
    assert [one.written for one in said] == [7, 7, 7] and all(one.is_cut for one in said)
    processor = teacher.models[0].processor
    assert said[0].read == len(processor("1+1=\n")["input_ids"]) + 1, "the sign before a text, and the end of the line"
    assert speak.answers(question, teacher).said == said
    assert speak.answers(asked(home, folder, seed=4), teacher).said != said
    likeliest = speak.answers(asked(home, folder, temperature=0.0), teacher).said
    assert all(mine.log_probability > drawn.log_probability for mine, drawn in zip(likeliest, said, strict=True))


def test_a_list_is_written_on_and_a_model_with_a_chat_template_is_told_so_before(home, folder):
    question = asked(home, folder, prompts=["1. so\n2. or so\n"], instruction="Write more.", most_tokens=200)
    teacher = speak.opened(question)
    processor = teacher.models[0].processor
    (said,) = speak.answers(question, teacher).said
    assert said.read == len(processor("1. so\n2. or so\n")["input_ids"]) + 1, "the sign before a text, and the list"
    assert said.written <= teacher.longest // 2, "it leaves room for the list"
    processor.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    (said,) = speak.answers(question, teacher).said
    assert said.read == len(processor("<user>Write more.\n\n1. so\n2. or so\n<assistant>")["input_ids"])


def test_an_answer_that_ends_by_itself_is_not_cut_off(home, folder, monkeypatch):
    teacher = speak.opened(asked(home, folder))
    end = teacher.models[0].processor.eos_token_id
    monkeypatch.setattr("studio.pipeline.predict.write", lambda network, start, *_, **__: ended(start, end))
    said = speak.answers(asked(home, folder, prompts=["1+1="]), teacher).said[0]
    assert (said.text, said.written, said.is_cut) == ("", 1, False)


def ended(start, end):
    import torch

    return torch.cat([start, torch.full((len(start), 3), end)], 1)


def test_a_model_that_has_learned_nothing_and_a_template_that_refuses_are_told(home, folder):
    with pytest.raises(ModelError, match="has learned nothing yet"):
        speak.opened(asked(home, "builtin/gpt-tiny"))
    teacher = speak.opened(asked(home, folder))
    teacher.models[0].processor.chat_template = "{{ raise_exception('no system here') }}"
    with pytest.raises(DataError, match="refuses a prompt: no system here"):
        speak.answers(asked(home, folder), teacher)


def test_the_process_opens_the_model_once_and_answers_each_line(home, folder, monkeypatch, capfd):
    question, opened = asked(home, folder), []
    monkeypatch.setattr(speak, "opened", lambda one: opened.append(one) or predictor())
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{question.model_dump_json()}\n" * 2))
    monkeypatch.setattr(speak.os, "dup2", lambda *_: None)
    speak.main()
    lines = capfd.readouterr().out.strip().splitlines()
    assert [len(Answer[AllSpoken].model_validate_json(line).result_or_raise().said) for line in lines] == [3, 3]
    assert len(opened) == 1 and json.loads(lines[0]) == json.loads(lines[1])


def test_a_language_model_is_what_it_speaks_as(home, folder):
    assert speak.opened(asked(home, folder)).problem.task is tasks.get("language-model")
