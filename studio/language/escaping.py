"""Text that a user brings, written where something would read more into it: no link, no markup, no formula.

Pages escape for Streamlit with `pages/_words.py` and `pages/_markup.py`.
"""

import re

_TURNING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\N{REPLACEMENT CHARACTER}")
"""Signs that turn round the direction of what follows, also of what others wrote behind it in the same line."""

_CONTROL = _TURNING | dict.fromkeys((*range(10), *range(11, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|\.\d+)([eE][+-]?\d+)?%?")
_BEGIN_FORMULAS = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20", "\t", "\r", "\n")
"""Also as wide letters, which spreadsheets in China and Japan take for the others."""

MOST_IN_CHART = 60


def unturned(text: object) -> str:
    """For a line that goes on behind it: nothing in it turns the line round.

    >>> unturned("a\u202egnp.exe") == "a\N{REPLACEMENT CHARACTER}gnp.exe"
    True
    """
    return str(text).translate(_TURNING)


def in_chart(text: object) -> str:
    """For Plotly, which reads HTML in the names of classes and columns.

    >>> in_chart('<a href="https://x.example">win</a> & more')
    '&lt;a href="https://x.example"&gt;win&lt;/a&gt; &amp; more'
    """
    shown = " ".join(unturned(text).split())
    shown = shown if len(shown) <= MOST_IN_CHART else shown[: MOST_IN_CHART - 1] + "…"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def in_charts(texts: list[str]) -> list[str]:
    """Several that stay different ones after they were shortened.

    >>> in_charts(["x" * 70, "x" * 71, "y"])[1][-5:]
    '… (2)'
    """
    seen: dict[str, int] = {}
    written = []
    for text in texts:
        shown = in_chart(text)
        seen[shown] = seen.get(shown, 0) + 1
        written.append(shown if seen[shown] == 1 else f"{shown} ({seen[shown]})")
    return written


def in_markdown(text: object) -> str:
    """For a model card or another page of Markdown: nothing in it is a link, an image, HTML, a formula or an emoji,
    or a command to the terminal that shows the file.

    >>> in_markdown("[x](https://y.example) $a$ :skull:")
    '\\\\[x\\\\]\\\\(https\\\\:\\\\/\\\\/y\\\\.example\\\\) \\\\$a\\\\$ \\\\:skull\\\\:'
    >>> in_markdown("\\x1b[2J\\u202eb") == "\\N{REPLACEMENT CHARACTER}\\\\[2J\\N{REPLACEMENT CHARACTER}b"
    True
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&/@^])", r"\\\1", in_terminal(" ".join(str(text).split())))


def in_chat(text: str) -> str:
    """For Slack and programs like it: nothing in it is a link, or calls a channel or a person.

    >>> in_chat("<!here> @all [win](https://x.example)").replace("\u2060", "~")
    '&lt;!here&gt; @~all [win]~(https:~//x.example)'
    """
    shown = unturned(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign, parted in (("@", "@\u2060"), ("](", "]\u2060("), ("://", ":\u2060//")):
        shown = shown.replace(sign, parted)
    return shown


def in_terminal(text: str) -> str:
    """For a terminal: control characters cannot steer it; lines stay lines.

    >>> in_terminal("a\\x1b[31mb\\nc")
    'a\ufffd[31mb\\nc'
    """
    return text.translate(_CONTROL)


def in_table(cell: object) -> object:
    """For a CSV that may be opened in a spreadsheet: a text that would be a formula begins with an apostrophe.

    >>> in_table("=1+1"), in_table("-5.2"), in_table("@SUM(A1)"), in_table("- well"), in_table(3)
    ("'=1+1", '-5.2', "'@SUM(A1)", "'- well", 3)
    >>> in_table("\\n=1+1"), in_table("\uff1d1+1")
    ("'\\n=1+1", "'\uff1d1+1")
    """
    if isinstance(cell, str) and cell[:1] in _BEGIN_FORMULAS and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell
