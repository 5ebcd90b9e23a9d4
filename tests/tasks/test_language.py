"""Language models: what counts of a text, a prompt and a chat, how it is measured, what is compared."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.data import documents
from studio.data.cleaning import clean
from studio.data.columns import Columns, fitting, guess_columns
from studio.data.folder import divide
from studio.data.uploads import Upload, read
from studio.errors import ConfigError, DataError
from studio.models.layers import cut_layers
from studio.models.model import Problem
from studio.models.opening import build as build_model
from studio.pipeline.predict import Writing
from studio.tasks import encoded_tokens
from studio.tasks.chats import messages
from studio.tasks.language import NO_ANSWER, UNREADABLE
from studio.tasks.positions import PositionLogits

TASK = tasks.get("language-model")
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% if message.role == 'assistant' %}"
    "</s>{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yo."},
    {"role": "user", "content": "Go on"},
    {"role": "assistant", "content": "No."},
]


@pytest.fixture(scope="module")
def model():
    return build_model("gpt-tiny", Problem(TASK.name, [], TASK.unlabelled(["Once upon a time."]), 16))


def encoded(model, values, length=16):
    return TASK.encode(TASK.unlabelled(values), model.processor, model.network.config, length)


def counted(model, found):
    return model.processor.decode(found.labels)


def said(model, found):
    return model.processor.decode(found.tokens)


def test_every_token_of_a_text_counts_once_however_many_blocks_it_takes(model):
    text = "abcdefghijklmnopqrstuvwxyz" * 2
    found = encoded(model, [text])
    assert len(found) > 3
    assert int(found.lengths.max()) == 16
    assert counted(model, found) == text + "</s>"
    assert found.size.tolist() == [52]
    assert found.cut.tolist() == [0]


def test_a_position_is_told_from_the_token_before_it(model):
    found = encoded(model, ["abc", "defgh"])
    rows = torch.tensor([1, 0])
    batch = found.batch(rows)
    one_hot = torch.nn.functional.one_hot(batch["input_ids"], 300).float()
    positions = found.positions(one_hot, rows)
    assert model.processor.decode(positions.labels) == "defgh</s>abc</s>"
    assert model.processor.decode(positions.logits.argmax(-1)) == "<s>defgh<s>abc"
    assert positions.row.tolist() == [0] * 6 + [1] * 4


def test_of_a_prompt_nothing_counts_and_the_end_of_an_answer_does_though_it_is_padding_too(model):
    assert model.processor.pad_token == model.processor.eos_token
    found = encoded(model, [("2+2=", "4!")])
    assert counted(model, found) == "4!</s>"
    assert found.size.tolist() == [2]


def test_an_answer_that_is_cut_says_how_much_is_missing_and_is_measured_by_what_is_left(model):
    found = encoded(model, [("ask?", "0123456789ABCDEF")])
    assert found.cut.tolist() == [7]
    assert said(model, found) == "<s>k?\n0123456789AB"  # a quarter is left to what was asked
    assert counted(model, found) == "0123456789AB"
    assert found.size.tolist() == [11]  # of 17 tokens, the end among them, 12 are left


def test_a_prompt_that_is_too_long_loses_its_beginning_and_its_answer_stays(model):
    found = encoded(model, [("a long question?", "yes")])
    assert said(model, found) == "<s> question?\nyes</s>"
    assert counted(model, found) == "yes</s>"
    assert (found.size.tolist(), found.cut.tolist()) == ([3], [6])


def test_a_chat_that_is_too_long_loses_its_first_turns(model):
    assert counted(model, encoded(model, [TURNS], 24)) == "No.</s>"
    assert counted(model, encoded(model, [[*TURNS, {"role": "user", "content": "Why" * 20}]], 24)) == "No.</s>"


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_of_a_chat_what_the_assistant_says_counts(model, monkeypatch, template):
    monkeypatch.setattr(model.processor, "chat_template", template)
    assert counted(model, encoded(model, [TURNS], 200)) == "Yo.</s>No.</s>"
    assert counted(model, encoded(model, [("Hi", "Yo.")], 200)) == "Yo.</s>"


def test_what_is_told_of_a_position_is_what_its_logits_say(model):
    found = encoded(model, ["Once upon a time."], 64)
    rows = torch.arange(1)
    positions = found.positions(model.network(**found.batch(rows)).logits.detach(), rows)
    told = found.told(positions)
    log_p = positions.logits.log_softmax(-1)
    assert told[:, 0].sum() == pytest.approx(-float(TASK.label_loss(positions.logits, positions.labels)) * len(told))
    assert told[:, 1].tolist() == log_p.argmax(-1).tolist()
    assert told[:, 2].tolist() == pytest.approx((-(log_p.exp() * log_p).sum(-1)).tolist(), rel=1e-4)


def test_the_measures_are_their_definitions_and_add_up_over_documents(model):
    found = encoded(model, ["Once upon a time, there was a cat.", "It sat."])
    told = torch.zeros(len(found.labels), 3)
    told[:, 0] = math.log(0.25)
    told[:, 1] = found.labels
    told[::2, 1] = -1
    logits = PositionLogits(told, found.offsets)
    statistics = TASK.statistics(logits, found, logits)
    assert statistics.shape == (2, 7)
    tokens, size = 34 + 7 + 2, 34 + 7
    measured = TASK.targets.measure(statistics)
    assert measured["bits_per_byte"] == pytest.approx(-2 * tokens / size)
    assert measured["perplexity"] == pytest.approx(-4)
    assert measured["first_choice"] == pytest.approx(sum(1 for place in range(tokens) if place % 2) / tokens)
    assert measured["agreement"] == 1
    assert TASK.measures[0].written(measured["bits_per_byte"]) == f"{2 * tokens / size:.3f}"


def test_the_floor_is_each_token_as_often_as_it_comes(model):
    found = encoded(model, ["aab"], 64)
    told = torch.zeros(len(found.labels), 3)
    statistics = TASK.statistics(PositionLogits(told, found.offsets), found)
    labels = found.labels.numpy()
    shares = np.array([(labels == label).mean() for label in labels])
    floor = TASK.targets.reference(statistics, 0).floor("bits_per_byte")
    assert floor == pytest.approx(np.log2(shares).sum() / 3)


def test_a_text_file_becomes_passages_that_keep_their_order(tmp_path):
    file = tmp_path / "play.txt"
    file.write_text("\n\n".join(f"Speaker {number}:\n{'word ' * 60}" for number in range(200)))
    found = read(file)
    assert fitting(found) == [TASK.name]
    assert "".join(found.table["text"]) == file.read_text()
    assert list(found.table["split"]) == sorted(found.table["split"], key=["train", "validation", "test"].index)
    splits = divide(clean(found, guess_columns(found), TASK.name)).whole()
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 23, "validation": 3, "test": 3}


def test_documents_end_at_their_sign_and_are_split_by_chance():
    table, _ = documents.table("One story.\n<|endoftext|>\nAnother.\n\nIt goes on.\n<|endoftext|>\n")
    assert list(table["text"]) == ["One story.", "Another.\n\nIt goes on."]
    assert set(table["split"]) == {""}


def chats(rows):
    asked = [f"Question {row // 2}" for row in range(rows)]
    told = [
        [{"from": "human", "value": text}, {"from": "gpt", "value": f"Answer {row}"}] for row, text in enumerate(asked)
    ]
    return Upload("table", pd.DataFrame({"conversations": list(map(json.dumps, told))}, dtype=object))


def test_chats_that_begin_alike_stay_on_one_side():
    upload = chats(60)
    assert fitting(upload)[0] == TASK.name
    splits = divide(clean(upload, guess_columns(upload), TASK.name)).whole()
    sides = [{json.loads(row)[0]["content"] for row in rows["text"]} for rows in splits.values()]
    assert sum(map(len, sides)) == 30
    assert not sides[0] & (sides[1] | sides[2])
    assert len(set.union(*sides)) == 30


def test_prompts_without_an_answer_are_left_out_and_counted():
    table = pd.DataFrame(
        {"prompt": [f"Ask {row}" for row in range(30)], "completion": ["", *["Yes"] * 29]}, dtype=object
    )
    upload = Upload("table", table)
    assert fitting(upload)[0] == TASK.name
    rows = clean(upload, guess_columns(upload), TASK.name)
    assert [(refused.reason, refused.count) for refused in rows.refused] == [(NO_ANSWER, 1)]
    assert len(rows.table) == 29


def test_of_alpaca_files_what_belongs_to_an_instruction_is_read_with_it():
    table = pd.DataFrame([{"instruction": "Sum up", "input": "Long text", "output": "Short"}] * 20, dtype=object)
    columns = guess_columns(Upload("table", table), TASK.name)
    assert (columns.input, columns.pair, columns.label) == ("instruction + input", "output", None)


def test_chats_that_nobody_answers_or_nobody_can_read_are_left_out_and_counted_by_line():
    asked, called = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}
    odd = [[asked], [asked, called], [asked, {"role": "assistant", "content": " "}]]
    cells = list(map(json.dumps, odd)) + list(chats(30).table["conversations"])
    upload = Upload("table", pd.DataFrame({"messages": cells}, dtype=object), lines=range(5, 38))
    rows = clean(upload, Columns("messages", None), TASK.name)
    assert {refused.reason: refused.lines for refused in rows.refused} == {NO_ANSWER: (5, 7), UNREADABLE: (6,)}
    assert rows.report.read == 33 == rows.report.rows + 3


def test_a_file_whose_chats_all_lack_an_answer_is_refused_with_the_reason():
    table = pd.DataFrame({"messages": [json.dumps([{"role": "user", "content": "Hi"}])] * 20}, dtype=object)
    with pytest.raises(
        DataError, match=r"0 rows; at least 10 are needed\. 20 rows left out, lines 1, 2, .*: no answer"
    ):
        clean(Upload("table", table), Columns("messages", None), TASK.name)


def test_a_text_that_is_a_list_of_json_and_no_chat_is_a_text():
    assert not any(TASK.inputs.unusable(pd.DataFrame({"input": ['[{"to": "me"}]', "[1, 2]", "[", "[]"]}))[UNREADABLE])


def test_layers_of_a_writer_are_cut_with_their_weights(model):
    student = cut_layers(model, 1)
    kept = student.network.state_dict()
    assert torch.equal(kept["model.layers.0.mlp.up_proj.weight"], model.network.model.layers[1].mlp.up_proj.weight)
    assert torch.equal(kept["model.embed_tokens.weight"], kept["lm_head.weight"])


def test_settings_that_suit_a_writer_are_taken_where_nobody_chose_others():
    names = {"dataset": "d", "teacher": "builtin/gpt-base", "student": "builtin/gpt-tiny"}
    assert tasks.resolved(parse_config(names), TASK, 0).temperature == 1
    assert tasks.resolved(parse_config({**names, "temperature": 4}), TASK, 0).temperature == 4
    with pytest.raises(ConfigError, match="cannot be quantized to int8 in a plan"):
        tasks.resolved(parse_config({**names, "plan": "distill, quantize"}), TASK, 0)
    with pytest.raises(ConfigError, match="dkd"):
        tasks.resolved(parse_config({**names, "terms": "dkd"}), TASK, 0)


def test_little_text_is_read_as_bytes_and_nothing_is_unknown(model):
    text = "Zoë ☃ 日本"
    assert len(model.processor) == encoded_tokens.BYTES + 2
    found = encoded(model, [text], 64)
    assert counted(model, found) == text + "</s>"
    assert len(found.labels) == len(text.encode()) + 1


def test_a_letter_of_several_tokens_is_said_with_the_last_of_them(model):
    tokens = model.processor("Zoë!", add_special_tokens=False)["input_ids"]
    writing = Writing([], [*tokens, model.processor.eos_token_id], model.processor)
    assert writing.pieces() == ["Z", "o", "", "ë", "!", ""]
    assert writing.text == "Zoë!"


def test_held_out_texts_that_share_a_passage_with_training_texts_are_counted():
    passage = "it was the best of times it was the worst of times it was the age"
    chat = [{"role": "user", "content": f"Say: {passage}"}, {"role": "assistant", "content": "No, I shall not."}]
    rows = [
        *((f"A text of its own, number {number}, that no other has.", "train") for number in range(10)),
        (f"Here {passage} of wisdom.", "train"), (json.dumps(chat), "train"),
        (f"And so: It was the best of times; {passage.partition('times ')[2]}!", "test"),
        ("Nothing of that kind stands in this one, whatever is said of it.", "test"), (json.dumps(chat), "test"),
    ]  # fmt: skip
    table = pd.DataFrame({"text": [text for text, _ in rows], "split": [split for _, split in rows]}, dtype=object)
    found = clean(Upload("table", table), Columns("text", None, split="split"), "language-model")
    (shared,) = (one for one in found.report.findings if one.kind == "shared_passages")
    assert shared.count == 1
    assert "1 of 3 validation or test texts have 13 words or more in a row" in shared.message


@pytest.mark.parametrize(
    "text",
    ["\n\nHuman: Who?\n\nAssistant: Anna.\nShe came.\n\nHuman: When?\n\nAssistant: Today.",
     "### Human: Who?### Assistant: Anna.\nShe came.### Human: When?### Assistant: Today."],
)  # fmt: skip
def test_a_transcript_is_a_chat(text):
    said = [("user", "Who?"), ("assistant", "Anna.\nShe came."), ("user", "When?"), ("assistant", "Today.")]
    assert messages(text) == [{"role": role, "content": content} for role, content in said]


@pytest.mark.parametrize("text", ["The Human: a story", "Human: nobody answers", "Assistant: first\nHuman: then", ""])
def test_a_text_in_which_somebody_is_named_is_no_chat(text):
    assert messages(text) is None


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("article", "highlights"), Columns("article", None, pair="highlights")),
        (("dialogue", "summary"), Columns("dialogue", None, pair="summary")),
        (("translation.en", "translation.de"), Columns("translation.en", None, pair="translation.de")),
    ],
)
def test_summaries_and_translations_are_answers_unless_there_are_labels(names, columns):
    rows = pd.DataFrame({name: [f"some {name} {number}" for number in range(40)] for name in names}, dtype=object)
    assert fitting(Upload("table", rows))[0] == "language-model"
    assert guess_columns(Upload("table", rows), "language-model") == columns
    labelled = Upload("table", rows.assign(label=["a", "b"] * 20))
    assert fitting(labelled)[0] != "language-model"


@pytest.mark.parametrize("names", [("source", "target"), ("de", "en"), ("ticket", "reply"), ("id", "src", "tgt")])
def test_two_columns_of_sentences_that_never_come_again_are_asked_and_answered(names):
    rows = pd.DataFrame({name: [f"some long sentence of {name}, {n}" for n in range(40)] for name in names[-2:]})
    if len(names) == 3:
        rows.insert(0, names[0], [str(number) for number in range(40)])
    upload = Upload("table", rows.astype(object))
    assert fitting(upload)[0] == "language-model"
    assert guess_columns(upload) == Columns(names[-2], None, pair=names[-1])


@pytest.mark.parametrize("second", ["a mood that is called {}", "{}"])
def test_a_second_column_that_comes_again_or_is_short_is_a_label(second):
    moods = [second.format(["glad", "sad", "tired"][number % 3]) for number in range(40)]
    rows = pd.DataFrame({"note": [f"some long sentence, number {n}" for n in range(40)], "mood": moods}, dtype=object)
    assert fitting(Upload("table", rows))[0] == "text-classification"
    assert guess_columns(Upload("table", rows)).label == "mood"


def test_a_subject_and_its_letter_are_one_text_also_without_labels():
    rows = {"subject": [f"a long sentence about {n}" for n in range(40)]}
    rows["description"] = [f"what was written of it, {n}" for n in range(40)]
    upload = Upload("table", pd.DataFrame(rows, dtype=object))
    assert guess_columns(upload).pair is None
