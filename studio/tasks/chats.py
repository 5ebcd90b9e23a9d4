"""Chats in the forms of public data sets: who says what, as a list of messages, or as one text with names before what
each says."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = {
    "human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatbot": "assistant",
    "developer": "system", "function": "tool", "observation": "tool",
}  # fmt: skip
"""Who speaks in ShareGPT's files and others."""

SAID = ("content", "value", "parts")
"""Where it stands what they say: in most files, in ShareGPT's, in those of Gemini."""

SPEAKERS = ("system", "user", "assistant", "tool")
CALLS, TOLD_ALONG = "tool_calls", ("name", "tool_call_id")
"""Where an assistant's calls of tools stand, here as JSON; and what a tool's answer may say of itself."""

MOST_LEVELS = 50
"""What a call or a tool holds in one another; deeper ones cannot be written by every program on their way."""

_BY = frozenset(("role", "from"))
_TURN = re.compile(r"(?:\A\s*|\n[ \t]*|###[ \t]*)(Human|Assistant):[ \t]*")
"""How turns begin in the transcripts of Anthropic (Bai et al., 2022), and of others with ### before."""


def messages(cell: object) -> list[dict[str, str]] | None:
    """The messages of a chat as {"role", "content"}, whoever wrote them; None where a cell holds none. Calls of tools
    stand beside the content, as JSON.

    >>> messages('[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]')
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    >>> messages('[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]'), messages("Once upon a time")
    ([{'role': 'user', 'content': 'Hi'}], None)
    >>> messages('[{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}]')
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    >>> messages("Human: Hi\\n\\nAssistant: Hello")
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    found = [_message(part) for part in said(cell)]
    return None if None in found or not found else [message for message in found if message is not None]


def said(cell: object) -> list[Any]:
    """The list that a cell holds, also as JSON or as a transcript; nothing where it holds none."""
    if isinstance(cell, str):
        if not cell.lstrip().startswith("["):
            return _transcript(cell)
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return []
    return cell if isinstance(cell, list) else []


def is_chat(parts: list[Any]) -> bool:
    """Whether somebody says something in each part, whoever and whatever."""
    return bool(parts) and all(isinstance(part, dict) and not _BY.isdisjoint(part) for part in parts)


def is_answer(message: Mapping[str, str]) -> bool:
    return message["role"] == "assistant" and bool(message["content"].strip() or message.get(CALLS))


def spoken(message: Mapping[str, str]) -> str:
    """What a message says, and below it the calls of tools as texts (in the form of Hermes and Qwen).

    >>> spoken({"role": "assistant", "content": "", "tool_calls": '[{"function": {"name": "add", "arguments": {}}}]'})
    '<tool_call>\\n{"name": "add", "arguments": {}}\\n</tool_call>'
    """
    calls = json.loads(message.get(CALLS, "[]"))
    told = [json.dumps(call["function"], ensure_ascii=False) for call in calls]
    parts = [message["content"], *(f"<tool_call>\n{call}\n</tool_call>" for call in told)]
    return "\n".join(part for part in parts if part)


def as_texts(chat: Sequence[Mapping[str, str]], tools: str = "") -> list[dict[str, str]]:
    """For who knows no tools: their calls, and what the system says of the tools there are, are texts."""
    found = [{"role": message["role"], "content": spoken(message)} for message in chat]
    if not tools:
        return found
    first = found.pop(0)["content"] if found and found[0]["role"] == "system" else ""
    return [{"role": "system", "content": "\n\n".join(part for part in (first, f"Tools: {tools}") if part)}, *found]


def for_template(chat: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """As chat templates read them: calls are no JSON."""
    return [{**message, CALLS: json.loads(message[CALLS])} if CALLS in message else dict(message) for message in chat]


def tools(cell: object) -> str:
    """The tools that a chat may call, as JSON; "" where a cell holds none."""
    found = said(cell)
    are_tools = bool(found) and all(isinstance(tool, dict) for tool in found) and not _is_deep(found)
    return json.dumps(found, ensure_ascii=False) if are_tools else ""


def _is_deep(value: object) -> bool:
    """Whether lists and objects stand in one another more often than is read.

    >>> _is_deep({"a": [1, {"b": 2}]}), _is_deep(json.loads("[" * 60 + "]" * 60))
    (False, True)
    """
    level = [value]
    for _ in range(MOST_LEVELS):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for one in inner for each in one]
    return bool(level)


def asked_first(cell: object) -> object:
    """The first thing that a user says in a chat; a cell that holds none as it is."""
    asked = [message["content"] for message in messages(cell) or () if message["role"] == "user"]
    return asked[0] if asked else cell


def _transcript(text: str) -> list[dict[str, str]]:
    """The turns of a text that begins with one of a person, and has one of an assistant."""
    if "Human:" not in text or "Assistant:" not in text:
        return []
    before, *parts = _TURN.split(text)
    names, turns = parts[::2], parts[1::2]
    if before.strip() or not names or names[0] != "Human" or "Assistant" not in names:
        return []
    return [{"role": name.lower(), "content": turn.strip()} for name, turn in zip(names, turns, strict=True)]


def _message(part: object) -> dict[str, str] | None:
    if not isinstance(part, dict):
        return None
    role = part.get("role", part.get("from"))
    content = _text_of(next((part[name] for name in SAID if part.get(name) is not None), None))
    calls = _calls(part.get(CALLS))
    content = "" if content is None and calls else content
    if not isinstance(role, str) or not isinstance(content, str):
        return None
    role = ROLES.get(role.lower(), role.lower())
    if role not in SPEAKERS:
        return None
    along = {name: part[name] for name in TOLD_ALONG if role == "tool" and isinstance(part.get(name), str)}
    return {"role": role, "content": content, **along, **({CALLS: calls} if calls and role == "assistant" else {})}


def _calls(found: object) -> str:
    """Calls of tools in OpenAI's form or without its frame, as JSON; "" where there is none, or one that cannot be
    read.

    >>> _calls([{"name": "add", "arguments": '{"a": 1}'}])
    '[{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]'
    """
    calls = said(found)
    read = [_call(call) for call in calls]
    return "" if not read or None in read else json.dumps(read, ensure_ascii=False)


def _call(call: object) -> dict[str, Any] | None:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments", {})
    try:
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict) or _is_deep(arguments):
        return None
    named = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {**named, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _text_of(content: object) -> object:
    """What a message says; where it comes in parts, and all of them are texts, those one below the other."""
    if not isinstance(content, list) or not content:
        return content
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else content
