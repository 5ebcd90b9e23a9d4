"""The chat template of a model that somebody brings is a program: it may take so much memory and time for a chat, and
write so much, wherever it is carried out."""

import functools
from collections.abc import Sequence
from typing import Any

from studio.errors import ModelError
from studio.machine.bounds import bounded

MOST_BYTES, SECONDS = 1024**3, 10.0
"""Of one chat."""

MOST_ADDED, MOST_TIMES = 100_000, 10
"""Letters that a template may write, beside so many times those of the chat."""

OTHER = (
    "Choose another model, or take `chat_template` out of its tokenizer_config.json, and its chat_template.jinja away."
)


def bound(processor: Any) -> Any:
    """The tokenizer, whose template raises `ModelError` where it takes too much."""
    if getattr(processor, "chat_template", None):
        processor.apply_chat_template = functools.partial(_applied, processor)
    return processor


def _applied(processor: Any, chat: Sequence[dict[str, str]], **how: Any) -> Any:
    try:
        with bounded(MOST_BYTES, SECONDS):
            written = type(processor).apply_chat_template(processor, chat, **how)
    except MemoryError as error:
        raise ModelError("The model's chat template takes too much memory for one chat.", OTHER) from error
    except TimeoutError as error:
        raise ModelError(
            f"The model's chat template takes longer than {SECONDS:g} seconds for one chat.", OTHER
        ) from error
    letters = sum(len(message["content"]) for message in chat)
    if isinstance(written, str) and len(written) > MOST_ADDED + MOST_TIMES * letters:
        sentence = f"The model's chat template makes {len(written):,} letters of a chat of {letters:,}."
        raise ModelError(sentence, OTHER)
    return written
