"""Chats in the forms of public data sets: who says what, as a list of messages, or as one text with names before what
each says."""

import json
import re
from collections.abc import Mapping
from typing import Any

ROLES = {
    "human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatbot": "assistant",
    "developer": "system", "function": "tool", "observation": "tool",
}  # fmt: skip
"""Who speaks in ShareGPT's files and others."""

SPEAKERS = ("system", "user", "assistant", "tool")
_BY = frozenset(("role", "from"))
_TURN = re.compile(r"(?:\A\s*|\n[ \t]*|###[ \t]*)(Human|Assistant):[ \t]*")
"""How turns begin in the transcripts of Anthropic (Bai et al., 2022), and of others with ### before."""


def messages(cell: object) -> list[dict[str, str]] | None:
    """The messages of a chat as {"role", "content"}, whoever wrote them; None where a cell holds none.

    >>> messages('[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]')
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    >>> messages('[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]'), messages("Once upon a time")
    ([{'role': 'user', 'content': 'Hi'}], None)
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
    return message["role"] == "assistant" and bool(message["content"].strip())


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
    role, content = part.get("role", part.get("from")), _text_of(part.get("content", part.get("value")))
    if not isinstance(role, str) or not isinstance(content, str):
        return None
    role = ROLES.get(role.lower(), role.lower())
    return {"role": role, "content": content} if role in SPEAKERS else None


def _text_of(content: object) -> object:
    """What a message says; where it comes in parts, and all of them are texts, those one below the other."""
    if not isinstance(content, list) or not content:
        return content
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else content
