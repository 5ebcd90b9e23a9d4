"""A teacher is asked once each, what it says is kept at once, within its budget."""

import threading

import pytest

from studio.errors import AccessError, DataError, StoreError
from studio.service import answer_record, answering, asking, housekeeping
from studio.service.acts import Acts
from studio.service.answering import Rules
from studio.service.asking import Answers, Budget, Price
from studio.service.endpoint import Endpoint
from studio.service.people import Person
from tests.service.conftest import PROMPTS, Hurry, asked


def test_every_prompt_is_asked_once_and_never_again(home, teacher):
    answers, told = asked(home, teacher)
    assert (told[0].done, told[-1].done, told[-1].tokens) == (0, 6, 90)
    assert {said.text for said in answers.said.values()} == {f"It is so:\u2028{prompt}" for prompt in PROMPTS}
    assert answers.said[0].log_probability == -1
    again, told = asked(home, teacher)
    assert again.said == answers.said
    assert (told[-1].known, told[-1].tokens, len(teacher.asked)) == (6, 0, 6)


def test_the_same_prompt_asked_for_twice_is_two_answers(home, teacher):
    answers, _ = asked(home, teacher, PROMPTS[:1] * 2)
    assert len(answers.said) == len(teacher.asked) == 2
    assert teacher.asked[0]["seed"] != teacher.asked[1]["seed"]


def test_a_budget_ends_asking_and_a_larger_one_goes_on(home, teacher):
    price = Price(read=1000.0, written=2000.0)  # a question costs 0.02
    _, told = asked(home, teacher, price=price, budget=Budget(money=0.05), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (3, True)
    assert told[-1].money == pytest.approx(0.06)
    _, told = asked(home, teacher, budget=Budget(tokens=45), at_once=1)
    assert (told[-1].done, len(teacher.asked)) == (3, 3), "what was answered before took that"
    _, told = asked(home, teacher, budget=Budget(tokens=70), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (5, True)
    assert (told[-1].tokens, len(teacher.asked)) == (30, 5)


def test_a_prompt_that_is_refused_is_left_out_and_others_are_asked(home, teacher):
    refusal = (400, {}, {"error": {"message": "too long"}})
    asked(home, teacher, PROMPTS[:1])
    teacher.troubles = [refusal, refusal]  # the second time without log-probabilities
    answers, told = asked(home, teacher, at_once=1)
    assert (told[-1].done, told[-1].refused, told[-1].share, told[-1].is_over_budget) == (5, 1, 1.0, False)
    _, (refused,) = answering.table(answering.Prompts(PROMPTS), answers, Rules(copies=True))
    assert (refused.reason, refused.lines, refused.rows) == ("refused by its server", (2,), ("too long",))
    assert asked(home, teacher)[1][0].known == 5  # it is asked again
    teacher.troubles = [refusal] * 9
    with pytest.raises(DataError, match="first 3 prompts were refused: too long"):
        asked(home, teacher, [f"other {number}" for number in range(9)], at_once=1)


def test_a_line_that_was_half_written_is_asked_for_again_and_spoils_no_other(home, teacher):
    asked(home, teacher, PROMPTS[:2])
    file = answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0)
    file.write_bytes(file.read_bytes()[:-9])
    answers, told = asked(home, teacher)
    assert (told[-1].known, len(answers.said)) == (1, 6)
    assert len(answer_record.read(file)) == 6


def test_a_full_disk_ends_asking_and_with_room_it_goes_on(home, teacher):
    resource = pytest.importorskip("resource")
    teacher.says = "x" * 3000
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            asked(home, teacher)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    answers, told = asked(home, teacher)
    assert (told[-1].known, len(answers.said)) == (3, 6)


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for what is under way; returns what waits until that has come."""
    monkeypatch.setattr(asking, "PATIENCE", 0.01)

    def all_came():
        for one in threading.enumerate():
            if one.name == "answers-under-way":
                one.join()

    return all_came


def test_at_an_error_what_is_under_way_is_kept_however_late_it_comes(home, teacher, impatient):
    teacher.held, teacher.missing = {*PROMPTS[1:4]}, {PROMPTS[5]}
    with pytest.raises(DataError, match="refuses with 404"):
        asked(home, teacher, [PROMPTS[5], *PROMPTS[1:4]])
    teacher.go_on.set()
    impatient()
    assert len(answer_record.read(answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0))) == 3
    assert asked(home, teacher, PROMPTS[1:4])[1][0].known == 3


def test_who_stops_asking_waits_for_no_busy_server(home, teacher, impatient):
    teacher.busy = {PROMPTS[1]}
    going = asking.ask(home, PROMPTS[:2], Endpoint(teacher.address, "large"), Answers())
    assert [next(going).done for _ in range(2)] == [0, 1]
    going.close()
    impatient()  # or it would be an hour
    assert [body["messages"][0]["content"] for body in teacher.asked].count(PROMPTS[1]) <= 1
    teacher.busy = set()
    assert asked(home, teacher, PROMPTS[:2])[1][-1].done == 2


def test_two_do_not_ask_the_same_at_once(home, teacher):
    first = asking.ask(home, PROMPTS, Endpoint(teacher.address, "large"), Answers(), stop=Hurry())
    next(first)
    with pytest.raises(DataError, match=r"large of 127\.0\.0\.1 is being asked in the same way"):
        asked(home, teacher)
    assert asked(home, teacher, PROMPTS[:1], seed=7)[1][-1].done == 1
    assert len(list(first)) == 7
    assert asked(home, teacher)[1][0].known == 6
    assert len(teacher.asked) == 7


def test_other_questions_are_asked_of_the_same_teacher_meanwhile_and_all_answers_are_kept(home, teacher):
    file = answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0)
    first = asking.ask(home, PROMPTS[:3], Endpoint(teacher.address, "large"), Answers(), stop=Hurry())
    next(first)
    assert asked(home, teacher, PROMPTS[3:])[1][-1].done == 3
    list(first)
    assert len(answer_record.read(file)) == 6
    assert [one.suffix for one in file.parent.iterdir() if one.suffix != ".lock"] == [".jsonl"]


def test_what_a_killed_process_was_asking_can_be_asked(home, teacher):
    file = answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0)
    file.parent.mkdir(parents=True)
    claim = file.with_suffix(f".killed{answer_record.CLAIM}")
    claim.write_text("\n".join(asking.key(prompt, 0) for prompt in PROMPTS))
    assert asked(home, teacher)[1][-1].done == 6
    assert not claim.exists()


def test_a_budget_holds_where_the_server_counts_no_tokens(home, teacher):
    teacher.usage = None
    _, told = asked(home, teacher, budget=Budget(tokens=10), at_once=1)
    assert (told[-1].done, told[-1].tokens, told[-1].is_over_budget, told[-1].is_estimated) == (1, 10, True, True)
    _, told = asked(home, teacher, budget=Budget(tokens=12), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (2, True)


def test_what_the_server_refused_is_not_counted_as_answered(home, teacher):
    teacher.refused = {*PROMPTS[1::2]}
    answers, told = asked(home, teacher, at_once=1)
    assert (told[-1].done, told[-1].refused) == (3, 3)
    table, _ = answering.table(answering.Prompts(PROMPTS), answers, Rules(copies=True))
    assert table.notes == ("3 prompts were answered by a teacher.",)


def test_what_was_asked_is_listed_and_goes_when_an_admin_deletes_it(home, store, teacher):
    asked(home, teacher, PROMPTS[:2])
    (kept,) = housekeeping.kept(store, home)
    assert (kept.kind, kept.title) == ("asked answers", "large · 127.0.0.1")
    assert housekeeping.tidy(store, home) == 0
    with pytest.raises(AccessError):
        Acts(Person("ada", "member"), home, store).delete_asked_answers(kept.name)
    admin = Acts(Person("eve", "admin"), home, store)
    going = asking.ask(home, PROMPTS, Endpoint(teacher.address, "large"), Answers())
    next(going)
    with pytest.raises(StoreError, match="is being asked"):
        admin.delete_asked_answers(kept.name)
    going.close()
    assert admin.delete_asked_answers(kept.name) == kept.bytes
    assert not housekeeping.kept(store, home)
    with pytest.raises(StoreError, match="There are no asked answers"):
        admin.delete_asked_answers("../studio")
    assert "asked answers" in store.audit()[0].about
