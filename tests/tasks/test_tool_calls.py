"""Chats in which an assistant calls tools: read in OpenAI's form, written by the tokenizer's template or as texts."""

import json

import pytest

from studio import tasks
from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.tasks import chats, encoded_tokens, language

TASK = tasks.get("language-model")
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
CHAT = [
    {"role": "user", "content": "Is it cold in Oslo?"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Oslo"}'}}]},
    {"role": "tool", "tool_call_id": "call_1", "name": "weather", "content": "-4 degrees"},
    {"role": "assistant", "content": "Yes, it is."},
]  # fmt: skip
CALLING = (
    "{% if tools %}<system>{{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for call in m.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments.place }}]{% endfor %}"
    "</>\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}"
AS_TEXT = '<tool_call>\n{"name": "weather", "arguments": {"place": "Oslo"}}\n</tool_call>'


@pytest.fixture
def processor():
    rows = TASK.unlabelled([("1+1=", "2")])
    return encoded_tokens.builtin("gpt-tiny", rows, {}, 64)[1]


def row_of(chat, tools=""):
    (row,) = TASK.unlabelled([[tools, json.dumps(chat), "chat"]])
    return row["prompt"], row["text"], row["form"]


def written(row, processor):
    """(all of it, what counts of it)."""
    parts = encoded_tokens.pieces(*row, processor)
    return "".join(text for text, _ in parts), [text for text, is_counted in parts if is_counted]


def test_calls_and_their_tools_are_written_by_a_template_that_knows_them(processor):
    processor.chat_template = CALLING
    whole, counted = written(row_of(CHAT, json.dumps(TOOLS)), processor)
    assert whole == (
        f"<system>{json.dumps(TOOLS)}\n<user>Is it cold in Oslo?</>\n<assistant>[weather Oslo]</>\n"
        "<tool>-4 degrees</>\n<assistant>Yes, it is.</>\n"
    )
    assert counted == ["[weather Oslo]</>\n", "Yes, it is.</>\n"]
    assert "<system>" not in written(row_of(CHAT), processor)[0]


def test_calls_and_tools_that_are_nested_without_end_are_none():
    deep = "[" * 400 + "]" * 400
    calls = [{"function": {"name": "weather", "arguments": f'{{"place": {deep}}}'}}]
    asked = {"role": "user", "content": "Is it cold?"}
    assert chats.messages([asked, {"role": "assistant", "content": None, "tool_calls": calls}]) is None
    assert chats.tools(f'[{{"name": {deep}}}]') == ""


def test_where_a_template_or_a_model_without_one_knows_no_tools_they_are_texts(processor):
    processor.chat_template = PLAIN
    whole, _ = written(row_of(CHAT, json.dumps(TOOLS)), processor)
    assert whole.startswith(
        f"<system>Tools: {json.dumps(TOOLS)}</>\n<user>Is it cold in Oslo?</>\n<assistant>{AS_TEXT}</>"
    )
    processor.chat_template = None
    whole, counted = written(row_of(CHAT), processor)
    assert f"Assistant: {AS_TEXT}" in whole and AS_TEXT in counted


def test_a_model_goes_on_after_a_call_with_the_tools_that_it_has(processor):
    processor.chat_template = CALLING
    prompt, text, form = row_of(CHAT, json.dumps(TOOLS))
    row = {"prompt": prompt, "text": text, "form": form}
    value, shown, expected = language.asked(row)
    (asked,) = TASK.unlabelled([value])
    opening = processor.decode(encoded_tokens.opening(asked["prompt"], asked["text"], asked["form"], processor))
    assert opening.startswith("<system>") and opening.endswith("[weather Oslo]</>\n<tool>-4 degrees</>\n<assistant>")
    assert expected == "Yes, it is." and f"assistant: {AS_TEXT}" in shown
    (typed,) = TASK.unlabelled([language.asked_as("And in Rome?", row)])
    assert json.loads(typed["prompt"]) == TOOLS
    assert language.shown(row)[1] == f"assistant: {AS_TEXT}"


def test_of_a_file_with_calls_every_row_is_kept_but_those_that_cannot_be_read(tmp_path):
    odd = [CHAT[0], {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "{}"}}]}]
    broken = [CHAT[0], {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": "{"}]}]
    only = [CHAT[0] | {"content": "Is it warm?"}, CHAT[1]]
    rows = [
        {"messages": [{"role": "user", "content": f"{number}?"}, *CHAT[1:]], "tools": TOOLS} for number in range(20)
    ]
    rows += [{"messages": chat, "tools": None} for chat in (odd, broken, only)]
    file = tmp_path / "calls.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    upload = uploads.read(file)
    columns = guess_columns(upload, TASK.name)
    assert (columns.input, columns.pair) == ("messages", "tools")
    found = clean(upload, columns, TASK.name)
    assert [(refused.reason, refused.lines) for refused in found.refused] == [(language.UNREADABLE, (21, 22))]
    kept = TASK.inputs.arrow(found.table)
    assert [json.loads(tools or "[]") for tools in kept["prompt"]] == [TOOLS] * 20 + [[]]
    assert set(kept["form"]) == {"chat"}
    assert chats.messages(kept["text"][0])[1]["tool_calls"].startswith('[{"id": "call_1"')


def test_what_calls_say_is_read_again_as_it_was_and_chats_without_any_stay_what_they_were():
    once = chats.messages(CHAT)
    assert chats.messages(json.dumps(once)) == once
    assert once[2] == {"role": "tool", "content": "-4 degrees", "name": "weather", "tool_call_id": "call_1"}
    plain = [{"role": "user", "content": "Hi", "name": "Ada"}, {"role": "assistant", "content": "Hello"}]
    assert chats.messages(plain) == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
