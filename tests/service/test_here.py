"""A model of this machine answers prompts."""

import pytest
from typer.testing import CliRunner

from studio import api
from studio.cli import app
from studio.errors import AccessError, ConfigError
from studio.service import housekeeping
from studio.service.acts import Acts
from studio.service.asking import Answers, Budget
from studio.service.people import Person
from tests.service.conftest import PROMPTS, Talk


def test_a_model_of_this_machine_answers_some_prompts_at_a_time_and_none_twice(at_home):
    acts, reference = at_home
    teacher, answers = acts.model_here(reference, most_tokens=9), Answers()
    told = list(acts.have_answered(PROMPTS, teacher, answers, at_once=2, budget=Budget(tokens=30)))
    assert [len(asked.prompts) for asked in Talk.asked] == [2, 2]
    assert (told[-1].done, told[-1].tokens, told[-1].is_over_budget) == (4, 40, True)
    assert (answers.said[3].text, Talk.asked[0].most_tokens) == ("It has 14 letters.", 9)
    told = list(acts.have_answered(PROMPTS, acts.model_here(reference, most_tokens=9), Answers(), at_once=2))
    assert (told[0].known, told[-1].done, Talk.asked[-1].prompts) == (4, 6, PROMPTS[4:])
    assert housekeeping.kept(acts.store, acts.home)[0].title == f"{reference} · this machine"


def test_another_model_in_the_same_folder_is_asked_anew(at_home, tmp_path):
    acts, reference = at_home
    list(acts.have_answered(PROMPTS, acts.model_here(reference), Answers()))
    (tmp_path / "large" / "model.safetensors").write_bytes(b"other weights")
    told = list(acts.have_answered(PROMPTS, acts.model_here(reference), Answers()))
    assert told[0].known == 0


def test_what_the_model_is_told_before_stands_before_texts_and_chats(at_home):
    acts, reference = at_home
    chat = [{"role": "user", "content": "Hi"}]
    list(acts.have_answered(["Hi", chat], acts.model_here(reference, system="Be kind."), Answers()))
    assert Talk.asked[0].prompts == [[{"role": "system", "content": "Be kind."}, *chat]] * 2
    list(acts.have_answered(["Hi", chat], acts.model_here(reference), Answers()))
    assert Talk.asked[1].prompts == ["Hi", chat]


def test_whose_folder_it_is_not_has_no_model_of_it_answer(at_home, home, store):
    _, reference = at_home
    with pytest.raises(AccessError):
        Acts(Person("ada", "member"), home, store).model_here(reference)
    with pytest.raises(ConfigError):
        Acts(Person("eve", "admin"), home, store).model_here("nothing")


def test_the_command_and_python_have_a_model_of_this_machine_answer(at_home, home, store, tmp_path):
    _, reference = at_home
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\n" + "\n".join(f"WHAT IS {number} + 1 AND WHY?" for number in range(11)))
    done = CliRunner().invoke(app, ["data", "answer", str(file), "--teacher", reference, "--yes"])
    assert done.exception is None, done.exception
    assert "11 prompts are to be asked" in " ".join(done.output.split())
    prompts = [f"SAY {number} OR MORE" for number in range(12)]
    data = api.answer_prompts(prompts, teacher=reference, most_tokens=5, name="said", home=home.root)
    assert (data.name, sum(data.splits.values()), data.task) == ("said", 12, "language-model")
    for wrong in ({}, {"teacher": reference, "address": "https://h/v1", "model": "m"}, {"address": "https://h/v1"}):
        with pytest.raises(ConfigError):
            api.answer_prompts(prompts, home=home.root, **wrong)
