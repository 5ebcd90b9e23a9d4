"""What models say of one input, as words and as bars."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pages._language import N_, _
from pages._markup import Html, element, joined
from pages._scores import Scored, milliseconds, small
from pages._words import commas, listed, measured, percent, role, sentences, signed, size
from studio.pipeline.answers import AskedRole, Said, Token
from studio.tasks import Measure

MOST_LABELS = 5
NOTHING = N_("nothing")


def spoken(answer: Mapping[str, Any], words: Sequence[str] = ()) -> str:
    """An answer in a few words; `words` are those that tags belong to.

    >>> spoken({"label": "good", "score": 0.98}), spoken({"labels": []}), spoken({"score": 3.14159})
    ('good', 'nothing', '3.14')
    >>> spoken({"entities": [{"type": "place", "start": 2, "end": 4}]}, ["I", "like", "New", "York"])
    'New York (place)'
    """
    if "text" in answer:
        return str(answer["text"]).strip() or _(NOTHING)
    if "label" in answer:
        return str(answer["label"])
    if "labels" in answer:
        return commas(part["label"] for part in answer["labels"]) or _(NOTHING)
    if "entities" in answer:
        found = (
            f"{' '.join(words[entity['start'] : entity['end']])} ({entity['type']})" for entity in answer["entities"]
        )
        return commas(found) or _(NOTHING)
    return number(answer["score"])


def number(value: float) -> str:
    """A number that a model says, in as many digits as mean something.

    >>> number(2.59775), number(-0.5), number(12345.6)
    ('2.6', '−0.5', '12,346')
    """
    return signed(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}")


def meant(label: Any, words: Sequence[str] = ()) -> str:
    """What a person said of a row; of tags only those of words that are something.

    >>> meant("good"), meant(2.5), meant(["O", "B-place"], ["in", "Bonn"]), meant(["O"], ["in"])
    ('good', '2.5', 'Bonn (B-place)', 'nothing')
    """
    if not isinstance(label, list):
        return f"{label:g}" if isinstance(label, float) else str(label)
    if len(label) != len(words):
        return commas(map(str, label)) or _(NOTHING)
    return commas(f"{word} ({tag})" for word, tag in zip(words, label, strict=True) if tag != "O") or _(NOTHING)


def agreement(said: Sequence[Said], words: Sequence[str] = ()) -> str:
    """Whether the models say the same, in a sentence.

    >>> reply = lambda role, label: Said(role=role, answer={"label": label}, shares={}, milliseconds=1)
    >>> agreement([reply("teacher", "good"), reply("student", "good")])
    'All say the same: good.'
    >>> agreement([reply("teacher", "good"), reply("student", "bad")])
    'They differ. Teacher: good. Student: bad.'
    >>> agreement([reply("teacher", "good"), reply("student", "bad"), reply("control", "bad")])
    'They differ. Teacher: good. Student and Without teacher: bad.'
    """
    by_answer: dict[str, list[str]] = {}
    for reply in said:
        by_answer.setdefault(spoken(reply.answer, words), []).append(role(reply.role))
    if len(by_answer) == 1 and len(said) > 1:
        return _("All say the same: {answer}.", answer=next(iter(by_answer)))
    if all(set(reply.answer) == {"score"} for reply in said) and len(said) > 1:
        numbers = sorted(reply.answer["score"] for reply in said)
        return _("They say {low} to {high}.", low=number(numbers[0]), high=number(numbers[-1]))
    lines = (_("{name}: {answer}.", name=listed(names), answer=answer) for answer, names in by_answer.items())
    each = sentences(*lines)
    return _("They differ. {each}", each=each) if len(said) > 1 else each


def nothing_yet(models: Mapping[str, Scored | None], measure: Measure) -> Html:
    """Where the answers will be: the models that will be asked, with their size and how good they are."""
    waiting = []
    for name, known in models.items():
        facts = [size(known.size_bytes)] if known and known.size_bytes else []
        facts += [f"{measured(known.value, measure)} {small(_(measure.title))}"] if known else []
        kind = f"ds-model waits {'student' if name == 'int8' else name}"
        blank = element("div", *(element("i", style=f"width:{width}%") for width in (70, 25, 12)), kind="blank")
        waiting.append(
            element(
                "div", element("small", role(name)), element("p", " · ".join(facts), kind="ds-sub"), blank, kind=kind
            )
        )
    lead = element("p", _("The answers will be here, side by side."), kind="ds-sub")
    return element("div", lead, element("div", *waiting, kind="ds-answers"), kind="ds-waiting")


def texts(written: Mapping[AskedRole, str], cut: Collection[AskedRole] = ()) -> Html:
    """What models have written, a card each; those that were `cut` off say so."""
    cards = [
        element("div", element("div", element("small", role(name)), kind="head"),
                element("p", text, kind="ds-written"), cut_off(name in cut), kind=f"ds-model {name}")
        for name, text in written.items()
    ]  # fmt: skip
    return element("div", *cards, kind="ds-answers", aria_live="off")


def cut_off(is_cut: bool) -> Html:
    """That the limit of tokens ended a text; nothing where the model did."""
    return element("p", _("Cut off by the limit of tokens."), kind="ds-sub") if is_cut else joined()


def cards(said: Sequence[Said], words: Sequence[str] = ()) -> Html:
    """All models, a card each."""
    teacher = next((reply for reply in said if reply.role == "teacher"), None)
    return element("div", *(card(reply, words, teacher) for reply in said), kind="ds-answers")


def card(said: Said, words: Sequence[str] = (), teacher: Said | None = None) -> Html:
    """One model: what it says and whether the teacher does, how sure it is of each label, how long it took."""
    head: list[Html] = [element("small", role(said.role))]
    is_number = set(said.answer) == {"score"}
    if teacher is not None and said is not teacher and not is_number and "text" not in said.answer:
        same = spoken(said.answer, words) == spoken(teacher.answer, words)
        head.append(
            element("em", _("as the teacher") if same else _("not as the teacher"), kind="same" if same else "other")
        )
    answer = writing(said) if "text" in said.answer else element("p", spoken(said.answer, words), kind="ds-lead")
    return element(
        "div", element("div", *head, kind="head"), answer, cut_off(bool(said.answer.get("cut"))),
        bars(said.shares), element("p", _("{time} for this one", time=milliseconds(said.milliseconds)), kind="ds-sub"),
        kind=f"ds-model {'student' if said.role == 'int8' else said.role}",
    )  # fmt: skip


def colour(token: Token) -> Html:
    """A written token, marked the more, the less likely the other model takes it; one that takes it ten times less
    likely, or more, marks it fully.

    >>> colour(Token(text="a", own=0.5, other=0.5)), colour(Token(text="", own=1, other=0))
    ('<span title="50.0\\xa0% here, 50.0\\xa0% in the other model">a</span>', '')
    >>> ["--gap:100%" in colour(Token(text="a", own=own, other=0.05)) for own in (0.01, 0.5)]
    [False, True]
    """
    if not token.text:
        return joined()
    gap = min(1.0, math.log10(max(token.own, 1e-9) / max(token.other, 1e-9)))
    title = _("{own} here, {other} in the other model", own=percent(token.own), other=percent(token.other))
    marked = {"kind": "ds-gap", "style": f"--gap:{100 * gap:.0f}%"} if gap >= LEAST_GAP else {}
    return element("span", token.text, **marked, title=title)


LEAST_GAP = 0.1
"""Below a quarter more likely a token is not marked."""


def writing(said: Said) -> Html:
    """What a model wrote, its tokens coloured where another one was asked about them."""
    if not said.tokens:
        return element("p", spoken(said.answer), kind="ds-written")
    return element("p", *map(colour, said.tokens), kind="ds-written")


def tokens(said: Sequence[Said], words: Sequence[str]) -> Html:
    """What each model takes each word for: a line a model below the words; a cell that differs from the teacher's is
    framed."""
    lines = {reply.role: _types(reply.answer, len(words)) for reply in said}
    first = lines.get("teacher", next(iter(lines.values())))
    head = element("tr", element("th", ""), *(element("th", word, scope="col") for word in words))
    rows = []
    for name, line in lines.items():
        cells = [_token(found, found == wanted) for found, wanted in zip(line, first, strict=True)]
        kind = "student" if name == "int8" else name
        rows.append(element("tr", element("th", role(name), scope="row"), *cells, kind=kind))
    return element("div", element("table", head, *rows), kind="ds-table ds-tokens", tabindex="0")


def _token(found: str, is_same: bool) -> Html:
    kinds = " ".join(filter(None, ["found" if found else "", "" if is_same else "other"]))
    return element("td", found, kind=kinds, title=None if is_same else _("not as the teacher"))


def _types(answer: Mapping[str, Any], length: int) -> list[str]:
    """The type of each word; "" where it is nothing.

    >>> _types({"entities": [{"type": "place", "start": 1, "end": 3}]}, 4)
    ['', 'place', 'place', '']
    """
    found = [""] * length
    for entity in answer.get("entities", []):
        found[entity["start"] : entity["end"]] = [entity["type"]] * (entity["end"] - entity["start"])
    return found


def bars(shares: Mapping[str, float]) -> Html:
    """The likeliest labels, a bar each; what the others have together in one line."""
    if not shares:
        return joined()
    shown = dict(list(shares.items())[:MOST_LABELS])
    lines = [
        part
        for label, share in shown.items()
        for part in (
            element("span", label, kind="label", title=label),
            element("span", element("i", style=f"width:{100 * share:.1f}%"), kind="bar"),
            element("span", percent(share), kind="value"),
        )
    ]
    return element("div", *lines, kind="ds-rows own")
