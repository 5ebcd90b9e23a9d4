"""A teacher behind an address: asked once each, kept at once, within its budget; its answers become data."""

import json
import threading

import pandas as pd
import pytest
from typer.testing import CliRunner

from studio import api
from studio.cli import app
from studio.data.uploads import Upload
from studio.errors import AccessError, ConfigError, DataError, StoreError
from studio.pipeline.answers import AllSpoken, Prompts, Spoken
from studio.pipeline.job import Answer
from studio.service import answer_record, answering, endpoint, here, housekeeping, library
from studio.service.acts import Acts
from studio.service.answering import Answers, Budget, Price, Rules
from studio.service.endpoint import Endpoint, Said
from studio.service.people import Person

PROMPTS = [f"What is {number} + 1?" for number in range(6)]


class Hurry(threading.Event):
    """Tells for how long it was to be waited, and does not."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits += [timeout] if timeout else []
        return self.is_set()


def asked(home, teacher, prompts=PROMPTS, key="", **how):
    answers = Answers()
    there = Endpoint(teacher.address, "large", key)
    return answers, list(answering.ask(home, prompts, there, answers, **{"stop": Hurry(), **how}))


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


def test_a_busy_server_is_asked_again_as_late_as_it_says(home, teacher):
    teacher.troubles = [(429, {"Retry-After": "7"}, {}), (503, {}, {})]
    stop = Hurry()
    answers, _ = asked(home, teacher, PROMPTS[:1], stop=stop)
    assert len(answers.said) == 1
    assert stop.waits == [7, 14]


def test_a_server_that_stays_busy_is_given_up_and_what_was_said_is_kept(home, teacher):
    asked(home, teacher, PROMPTS[:2])
    teacher.troubles = [(500, {}, {})] * endpoint.TRIES
    with pytest.raises(DataError, match="asked 6 times: it answers with 500"):
        asked(home, teacher, at_once=1)
    answers, told = asked(home, teacher)
    assert (told[-1].known, len(answers.said)) == (2, 6)


def test_a_server_without_log_probabilities_is_asked_without(home, teacher):
    teacher.gives_probabilities = False
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.said[0].log_probability is None


def test_what_a_server_does_not_take_is_left_out_of_the_questions_after(home, teacher):
    teacher.takes_not = {
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported, use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' does not support 0.7 with this model.",
    }
    teacher.gives_probabilities = False
    answers, _ = asked(home, teacher, at_once=1)
    assert len(answers.said) == 6 and not answers.refused
    assert len(teacher.asked) == 6 + 3
    assert set(teacher.asked[-1]) == {"model", "messages", "seed", "max_completion_tokens"}


def test_an_answer_that_breaks_off_in_the_middle_is_asked_for_again(home, teacher):
    teacher.troubles = [(200, {"Content-Length": "999", "Connection": "close"}, {})]
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert (len(teacher.asked), answers.said[0].text) == (2, f"It is so:\u2028{PROMPTS[0]}")


def test_the_key_is_sent_and_stands_nowhere(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key")
    asked(home, teacher, key="MY_API_KEY")
    assert set(teacher.keys) == {"Bearer s3cret-key"}
    assert all(b"s3cret-key" not in file.read_bytes() for file in home.root.rglob("*") if file.is_file())
    assert "s3cret" not in repr(Endpoint(teacher.address, "large", "MY_API_KEY"))
    teacher.troubles = [(401, {}, {"error": {"message": "wrong key s3cret-key"}})]
    with pytest.raises(DataError, match="does not accept the key") as error:
        asked(home, teacher, ["another"], key="MY_API_KEY")
    assert "s3cret" not in str(error.value)


def test_a_line_break_after_the_key_is_not_sent_and_no_error_shows_a_key(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key\n")
    asked(home, teacher, PROMPTS[:1], key="MY_API_KEY")
    assert teacher.keys == ["Bearer s3cret-key"]
    for wrong in ("s3cret\nkey", "s3cret-ключ"):
        monkeypatch.setenv("MY_API_KEY", wrong)
        with pytest.raises(DataError, match="holds letters that no key has") as error:
            asked(home, teacher, key="MY_API_KEY")
        assert "s3cret" not in str(error.value)
    with pytest.raises(DataError, match="must end in _API_KEY") as error:
        asked(home, teacher, key="sk-s3cret")
    assert "s3cret" not in str(error.value)
    assert len(teacher.asked) == 1


def test_a_variable_without_a_key_is_told_before_anything_is_asked(home, teacher):
    with pytest.raises(DataError, match="MY_MISSING_API_KEY of the environment holds no key"):
        asked(home, teacher, key="MY_MISSING_API_KEY")
    assert not teacher.asked


def test_no_other_variable_is_sent_and_only_an_admin_asks(home, store, teacher, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    with pytest.raises(DataError, match="must end in _API_KEY"):
        asked(home, teacher, key="DATABASE_PASSWORD")
    member = Acts(Person("ada", "member"), home, store)
    with pytest.raises(AccessError):
        next(member.have_answered(PROMPTS, Endpoint(teacher.address, "large"), Answers()))
    assert not teacher.asked
    list(
        Acts(Person("eve", "admin"), home, store).have_answered(PROMPTS, Endpoint(teacher.address, "large"), Answers())
    )
    assert len(teacher.asked) == 6
    assert "6 prompts of 127.0.0.1" in [entry.about for entry in store.audit()]


def test_this_machine_is_asked_only_where_its_user_says_so(home, teacher, monkeypatch):
    monkeypatch.delenv(endpoint.PRIVATE)
    for address in (teacher.address, teacher.address.replace("http://", "https://")):
        teacher.address = address
        with pytest.raises(DataError, match=endpoint.PRIVATE):
            asked(home, teacher)
    assert not teacher.asked


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(home, teacher, monkeypatch):
    monkeypatch.delenv(endpoint.PRIVATE)
    told, opened = [(None, None, None, None, ("93.184.216.34", 443))], []

    def connect(address, *_, **__):
        opened.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: told)
    monkeypatch.setattr("socket.create_connection", connect)
    teacher.address = "https://teacher.example/v1"
    with pytest.raises(DataError, match=r"teacher\.example was asked 6 times"):
        asked(home, teacher, PROMPTS[:1])
    assert set(opened) == {("93.184.216.34", 443)}  # a name could mean this machine by now


@pytest.mark.parametrize("address", ["http://h:x/v1", "http://h:99999/v1", "https://[abc", "http://a..b/v1", "ftp://h",
                                     "http://me:pw@h/v1", "http://h/v 1", ""])  # fmt: skip
def test_what_is_no_address_is_told_so_and_nothing_is_noted(home, store, teacher, address):
    admin = Acts(Person("eve", "admin"), home, store)
    with pytest.raises(DataError, match="is no address"):
        next(admin.have_answered(PROMPTS, Endpoint(address, "large"), Answers()))
    assert not store.audit()


def test_a_path_in_other_letters_and_a_query_are_asked_as_they_stand(home, teacher):
    teacher.address += "/ü?version=2"
    asked(home, teacher, PROMPTS[:1])
    assert teacher.paths == ["/v1/%C3%BC/chat/completions?version=2"]


@pytest.mark.parametrize("status", [302, 404])
def test_where_it_leads_elsewhere_or_has_no_such_model_is_told_at_once(home, teacher, status):
    teacher.troubles = [(status, {"Location": "http://127.0.0.1:1/"}, {"error": {"message": "no model 'large'"}})]
    with pytest.raises(DataError, match="leads elsewhere" if status == 302 else "no model 'large'"):
        asked(home, teacher, PROMPTS[:1])
    assert len(teacher.asked) == 1


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


def in_answer(content, usage=None, **choice):
    return {"choices": [{"message": {"content": content}, **choice}], "usage": usage}


def test_an_answer_in_parts_is_one_text_and_one_that_a_filter_ended_is_none(home, teacher):
    parts = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "It is "}, {"type": "text", "text": "2"}]
    teacher.troubles = [(200, {}, in_answer(parts)), (200, {}, in_answer("It i", finish_reason="content_filter"))]
    answers, _ = asked(home, teacher, PROMPTS[:2], at_once=1)
    assert [answers.said[number].text for number in range(2)] == ["It is 2", ""]


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (in_answer("So", {"prompt_tokens": float("inf")}), "does not answer as OpenAI's interface"),
        (in_answer({"text": "So"}), "does not answer as OpenAI's interface"),
        (in_answer(["So"]), "does not answer as OpenAI's interface"),
        ([], "does not answer as OpenAI's interface"),
        ({"error": {"message": "The model is loading."}}, "answers with an error: The model is loading[.]"),
    ],
)
def test_what_is_no_answer_is_told_and_not_kept(home, teacher, odd, told):
    teacher.troubles = [(200, {}, odd)]
    with pytest.raises(DataError, match=told):
        asked(home, teacher, PROMPTS[:1])
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.known == 0


def test_a_probability_that_is_no_number_is_not_told(home, teacher):
    odd = in_answer("So", logprobs={"content": [{"token": "So", "logprob": float("nan")}]})
    teacher.troubles = [(200, {}, odd)]
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.said[0].log_probability is None


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


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for what is under way; returns what waits until that has come."""
    monkeypatch.setattr(answering, "PATIENCE", 0.01)

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
    asking = answering.ask(home, PROMPTS[:2], Endpoint(teacher.address, "large"), Answers())
    assert [next(asking).done for _ in range(2)] == [0, 1]
    asking.close()
    impatient()  # or it would be an hour
    assert [body["messages"][0]["content"] for body in teacher.asked].count(PROMPTS[1]) <= 1
    teacher.busy = set()
    assert asked(home, teacher, PROMPTS[:2])[1][-1].done == 2


def test_two_do_not_ask_the_same_at_once(home, teacher):
    first = answering.ask(home, PROMPTS, Endpoint(teacher.address, "large"), Answers(), stop=Hurry())
    next(first)
    with pytest.raises(DataError, match=r"large of 127\.0\.0\.1 is being asked in the same way"):
        asked(home, teacher)
    assert asked(home, teacher, PROMPTS[:1], seed=7)[1][-1].done == 1
    assert len(list(first)) == 7
    assert asked(home, teacher)[1][0].known == 6
    assert len(teacher.asked) == 7


def test_other_questions_are_asked_of_the_same_teacher_meanwhile_and_all_answers_are_kept(home, teacher):
    file = answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0)
    first = answering.ask(home, PROMPTS[:3], Endpoint(teacher.address, "large"), Answers(), stop=Hurry())
    next(first)
    assert asked(home, teacher, PROMPTS[3:])[1][-1].done == 3
    list(first)
    assert len(answer_record.read(file)) == 6
    assert [one.suffix for one in file.parent.iterdir() if one.suffix != ".lock"] == [".jsonl"]


def test_what_a_killed_process_was_asking_can_be_asked(home, teacher):
    file = answer_record.kept_in(home, Endpoint(teacher.address, "large"), 0)
    file.parent.mkdir(parents=True)
    claim = file.with_suffix(f".killed{answer_record.CLAIM}")
    claim.write_text("\n".join(answering.key(prompt, 0) for prompt in PROMPTS))
    assert asked(home, teacher)[1][-1].done == 6
    assert not claim.exists()


def test_a_budget_holds_where_the_server_counts_no_tokens(home, teacher):
    teacher.usage = None
    _, told = asked(home, teacher, budget=Budget(tokens=10), at_once=1)
    assert (told[-1].done, told[-1].tokens, told[-1].is_over_budget, told[-1].is_estimated) == (1, 10, True, True)
    _, told = asked(home, teacher, budget=Budget(tokens=12), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (2, True)


def test_half_a_letter_in_an_answer_is_kept_and_saved(home, store, teacher):
    teacher.says = "a smile: \ud83d"
    answers, _ = asked(home, teacher, PROMPTS * 4)
    assert asked(home, teacher, PROMPTS * 4)[1][0].known == 24
    table, _ = answering.table(answering.Prompts(PROMPTS * 4), answers, Rules())
    assert set(table.table["answer"]) == {"a smile: \ufffd"}


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


def test_what_the_server_refused_is_not_counted_as_answered(home, teacher):
    teacher.refused = {*PROMPTS[1::2]}
    answers, told = asked(home, teacher, at_once=1)
    assert (told[-1].done, told[-1].refused) == (3, 3)
    table, _ = answering.table(answering.Prompts(PROMPTS), answers, Rules(copies=True))
    assert table.notes == ("3 prompts were answered by a teacher.",)


def test_a_key_that_the_server_says_again_is_not_told(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key")
    teacher.troubles = [(404, {}, {"error": {"message": "no model for s3cret-key"}})]
    with pytest.raises(DataError, match="no model for …"):
        asked(home, teacher, PROMPTS[:1], key="MY_API_KEY")


def test_what_was_asked_is_listed_and_goes_when_an_admin_deletes_it(home, store, teacher):
    asked(home, teacher, PROMPTS[:2])
    (kept,) = housekeeping.kept(store, home)
    assert (kept.kind, kept.title) == ("asked answers", "large · 127.0.0.1")
    assert housekeeping.tidy(store, home) == 0
    with pytest.raises(AccessError):
        Acts(Person("ada", "member"), home, store).delete_asked_answers(kept.name)
    admin = Acts(Person("eve", "admin"), home, store)
    asking = answering.ask(home, PROMPTS, Endpoint(teacher.address, "large"), Answers())
    next(asking)
    with pytest.raises(StoreError, match="is being asked"):
        admin.delete_asked_answers(kept.name)
    asking.close()
    assert admin.delete_asked_answers(kept.name) == kept.bytes
    assert not housekeeping.kept(store, home)
    with pytest.raises(StoreError, match="There are no asked answers"):
        admin.delete_asked_answers("../studio")
    assert "asked answers" in store.audit()[0].about


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


class Talk:
    """A process that answers, played: notes what it was asked, and says how long each prompt is."""

    asked: list = []

    def __init__(self, *_):
        self.closed = False

    def ask(self, line, hear):
        asked = Prompts.model_validate_json(line)
        Talk.asked.append(asked)
        said = [Spoken(text=f"It has {len(one)} letters.", read=4, written=6, log_probability=-1.0, is_cut=False)
                for one in asked.prompts]  # fmt: skip
        return Answer[AllSpoken](result=AllSpoken(said=said)).model_dump_json()

    def close(self):
        self.closed = True


@pytest.fixture
def at_home(home, store, monkeypatch, tmp_path):
    """Acts of one who may have a model of this machine answer, and its reference."""
    monkeypatch.setattr(here, "Conversation", Talk)
    Talk.asked = []
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "model.safetensors").write_bytes(b"weights")
    return Acts(Person("eve", "admin"), home, store), f"folder:{tmp_path / 'large'}"


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
