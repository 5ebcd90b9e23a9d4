"""Where a table begins: its header, and what stands above it, such as a title or comments."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SNIFF_ROWS = 50
MOST_ABOVE = 20
"""So many rows may stand above a table."""

COMMENT, QUOTES = "#", "\"'"
ABOVE, AGAIN = "above the table", "the header once more"
SECOND, RULE = "a second header", "a rule of the table"
AMONG, TOTAL = "a comment", "totals of the rows"
"""Why such rows are not taken."""

_TEXT_WORDS = {"文本", "内容", "评论", "句子", "本文", "テキスト", "텍스트", "texte", "texto", "текст"}
_HEADER_WORDS = {"text", "label", "labels", "sentence", "class", "category", "intent", "split", "title", "target",
                 "sentiment", "message", "review", "content", "question", "sentence1", "score",
                 *_TEXT_WORDS}  # fmt: skip
LABEL_NAMES = (
    "gold_label",
    "label",
    "labels",
    "class",
    "category",
    "intent",
    "target",
    "sentiment",
    "y",
    "tag",
    "topic",
    "score",
    "similarity",
    "rating",
    "标签", "类别", "分类", "情感", "意图", "ラベル", "カテゴリ", "カテゴリー", "分類", "라벨", "레이블", "카테고리",
    "kategorie", "klasse", "catégorie", "étiquette", "classe", "categoría", "etiqueta", "clase", "categoria", "метка",
    "класс", "категория",
)  # fmt: skip
"""What people call the column of labels, the likeliest name first."""

_UNSPACED = "\u2e80"
"""Where the letters of Chinese, Japanese and Korean begin, whose words stand without blanks."""

_WORDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
_TYPES = {"string", "str", "text", "object", "varchar", "char", "int", "int8", "int32", "int64", "integer", "long",
          "float", "float32", "float64", "double", "number", "numeric", "decimal", "bool", "boolean", "date",
          "datetime", "timestamp", "category", "categorical", "factor", "discrete", "continuous", "nominal", "ordinal",
          "meta", "class", "target", "feature", "ignore"}  # fmt: skip
"""What stands below the names of columns where programs say what is in them."""

_SURVEY = '{"ImportId":'
"""How Qualtrics begins its third row."""

_RULE = re.compile(r":?[-=+]{2,}:?|\(\d+ rows?\)")
_MISSING = {"", "-", "?", "na", "n/a", "nan", "null", "none", "unknown"}
"""What stands in place of a number, and is no name."""

_TOTALS = {"total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "gesamtsumme",
           "total général", "totale", "suma", "итого", "всего", "合计", "总计", "小计", "合計", "総計"}  # fmt: skip
LONG_NAME, FEWEST_ROWS = 40, 10
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ]\d{1,2}:\d{2}.*)?")
_NUMBER, _YEAR = re.compile(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?"), re.compile(r"(19|20)\d\d")
Rows = Sequence[list[str]]


@dataclass(frozen=True)
class Head:
    """`above` rows stand before the table; its `names` are None where it has no header; its rows begin at `first`,
    after those of a second header."""

    above: int
    names: list[str] | None
    first: int


def find(rows: Rows, header: bool | None) -> Head:
    """The head of a table; whether it has a `header` is found out where that is None."""
    found = _first(rows, header)
    if found.names is None:
        return found
    return Head(found.above, found.names, found.first + _second(found.names, rows[found.first :]))


def is_rule(row: Sequence[str]) -> bool:
    """Whether a row is what separates the header from the rows where tables are drawn, as in Markdown, or ends them.

    >>> is_rule(["", ":---", "---:", ""]), is_rule(["----+----"]), is_rule(["(30 rows)"]), is_rule(["--", "no"])
    (True, True, True, False)
    """
    return any(cell.strip() for cell in row) and all(_RULE.fullmatch(cell.strip()) for cell in row if cell.strip())


def is_comment(row: Sequence[str]) -> bool:
    """Whether a line of a table of several columns is a comment: one cell that begins with # and a blank."""
    return len(row) == 1 and row[0].lstrip().startswith(f"{COMMENT} ")


def is_total(row: Sequence[str]) -> bool:
    """Whether a row says how much the others are together: a word for that, numbers, and cells that are empty.

    >>> is_total(["Total:", "", "1,250.5"]), is_total(["", "Summe", "7"]), is_total(["total", "good", "1"])
    (True, True, False)
    """
    if len(row) < 3 or all(row):
        return False
    said = [cell.strip().casefold().rstrip(":") for cell in row]
    filled = [cell for cell in said if cell]
    words = [cell for cell in filled if not _NUMBER.fullmatch(cell)]
    return len(said) > len(filled) > 1 and len(words) == 1 and words[0] in _TOTALS


def _second(names: Sequence[str], rows: Rows) -> int:
    """How many rows below the names say once more what the columns are: their types, the names written otherwise, the
    questions of a survey. Where such a word comes again below, it is one of the cells."""
    count = 0
    while count < len(rows) - 1 and _says_columns(names, rows[count], rows[count + 1 :]):
        count += 1
    last = rows[count + 1 : count + 2]
    if last and all(cell.startswith(_SURVEY) for cell in last[0] if cell):
        return count + 2
    return count


def _says_columns(names: Sequence[str], row: Sequence[str], below: Rows) -> bool:
    cells = [cell.strip().casefold() for cell in row]
    said = [cell for cell in cells if cell]
    if len(said) < 2 or len(cells) > len(names):
        return False
    is_again = cells == [name.strip().casefold() for name in names]
    if not is_again and not all(cell in _TYPES for cell in said):
        return False
    last = max(place for place, cell in enumerate(cells) if cell)
    return all(len(other) <= last or other[last].strip().casefold() != cells[last] for other in below[:200])


def _first(rows: Rows, header: bool | None) -> Head:
    if header is not False:
        above = _above(rows)
        rest = rows[above:]
        if above and looks_like_header(rest):
            return Head(above, rest[0], above + 1)
        said = [rows[above - 1][0].lstrip(f"{COMMENT} ").strip(QUOTES), *rows[above - 1][1:]] if above else []
        if above and said[0] and len(said) == len(rest[0]) and looks_like_header([said, *rest]):
            return Head(above - 1, said, above)  # the header is a comment, too
        if above and all(_is_comment(row) and len(row) != len(rest[0]) for row in rows[:above]):
            return Head(above, None, above)
    if header or (header is None and looks_like_header(rows)):
        return Head(0, rows[0], 1)
    return Head(0, None, 0)


def _above(rows: Rows) -> int:
    """How many of the first rows may be a title or comments: none where the table has one column. Where a title has
    cells that stand empty, the row after it must begin a table beyond doubt."""
    width = Counter(map(len, rows[:SNIFF_ROWS])).most_common(1)[0][0]
    is_sure = True
    for place, row in enumerate(rows[: min(MOST_ABOVE + 1, len(rows) - 1)] if width > 1 else ()):
        if not _is_comment(row) and sum(bool(cell.strip()) for cell in row) != 1:
            is_sure = is_sure or has_usual_name(row)
            return place if is_sure else 0
        is_sure = is_sure and (_is_comment(row) or len(row) == 1)
    return 0


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].lstrip().startswith(COMMENT)


def is_like_rows(rows: Rows) -> bool:
    """Whether the first row is no header beyond doubt: it has a cell that comes again below, or a number above numbers
    alone, and no usual name. Years and the numbers of columns may be names."""
    first, below = [cell.strip() for cell in rows[0]], [row for row in rows[1:201] if row != rows[0]]
    if has_usual_name(first) or _number_columns([name for name in first if name]):
        return False
    for place, name in enumerate(first):
        cells = [row[place].strip() for row in below if place < len(row) and row[place].strip()]
        is_number = _NUMBER.fullmatch(name) and not _YEAR.fullmatch(name) and all(map(_NUMBER.fullmatch, cells))
        if name in cells or (cells and is_number):
            return True
    return False


def _number_columns(names: Sequence[str]) -> bool:
    """Whether they are the numbers of columns, as pandas calls them."""
    return len(names) > 1 and list(names) in ([str(place + start) for place in range(len(names))] for start in (0, 1))


def has_usual_name(names: Iterable[str]) -> bool:
    """Whether one of them is what columns are mostly called."""
    return not _HEADER_WORDS.isdisjoint(name.strip().lower() for name in names)


def looks_like_header(rows: Rows) -> bool:
    """A first line of short, different names whose words do not come up again in the same columns below; the whole
    line may. Usual names, an index without one and names above numbers alone tell, whatever else stands there."""
    names = [cell.strip() for cell in rows[0]]
    below = [row for row in rows[1:201] if row != rows[0] and not is_rule(row)]
    columns = [[row[place].strip() for row in below if place < len(row)] for place in range(len(names))]
    while names and not names[-1] and sum(map(bool, columns[-1])) * 10 <= len(columns[-1]):
        del names[-1], columns[-1]  # delimiters without a column at the end of each line
    if not below or not names or sum(map(bool, names)) * 2 < len(names):
        return False
    anew = [name for name, cells in zip(names, columns, strict=True) if name and name not in cells]
    if _is_index(names, columns[0]) or (has_usual_name(anew) and max(map(len, names)) <= LONG_NAME):
        return True
    if len(anew) < sum(map(bool, names)):
        return False
    if any(map(_NUMBER.fullmatch, names)):
        return _number_columns(names) and not all(map(_NUMBER.fullmatch, columns[0] + columns[-1]))
    if any(_tell_of_names(name, cells) for name, cells in zip(names, columns, strict=True)):
        return True
    if len(below) >= FEWEST_ROWS and sum(map(_come_again, columns)) > 1 and all(names):
        return True
    if not all(names) or len(set(names)) < len(names):
        return False
    return all(len(name) < 20 or (" " not in name and len(name) <= LONG_NAME) for name in names)


def _is_index(names: Sequence[str], cells: Sequence[str]) -> bool:
    """Whether the first column has no name, others have one, and it counts the rows."""
    return not names[0] and any(names) and len(set(cells)) == len(cells) > 1 and all(map(str.isdigit, cells))


def _tell_of_names(name: str, cells: Sequence[str]) -> bool:
    """Whether below a word stand numbers alone, or dates."""
    are_dates_below = are_dates(cells) and not _DATE.fullmatch(name)
    return name.lower() not in _MISSING and (_are_numbers(cells) or are_dates_below)


def _come_again(cells: Sequence[str]) -> bool:
    """Whether every cell of a column stands there more than once, and not all are alike: a word above them that never
    comes again is its name."""
    counts = Counter(cell for cell in cells if cell)
    return len(counts) > 1 and min(counts.values()) > 1


def are_dates(cells: Iterable[object]) -> bool:
    """Whether all of the cells that hold something are dates, or days with their hours.

    >>> are_dates(["2024-05-01", "", "1/31/2024 10:00:00"]), are_dates(["1.5"]), are_dates([""])
    (True, False, False)
    """
    found = [str(cell).strip() for cell in cells if str(cell).strip()]
    return bool(found) and all(map(_DATE.fullmatch, found))


def _are_numbers(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells if cell]
    return bool(found) and all(map(_NUMBER.fullmatch, found))


def label_name(name: str) -> str | None:
    """The one of `LABEL_NAMES` that a column is called, or that its name ends with.

    >>> label_name("Label"), label_name("airline_sentiment"), label_name("newsCategory"), label_name("airline")
    ('label', 'sentiment', 'category', None)
    >>> label_name("情感倾向")
    '情感'
    """
    whole = name.strip()
    ends = (whole.lower(), _WORDS.split(whole)[-1].lower())
    return next((known for known in LABEL_NAMES if known in ends or (known > _UNSPACED and known in whole)), None)
