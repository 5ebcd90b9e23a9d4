"""Files that are well formed and odd: tables, JSON, Arrow, workbooks and archives as hypothesis puts them together."""

import csv
import datetime
import io
import json
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

NAMES = ["text", "label", "split", "sentence1", "sentence2", "file", "image", "id", "0", "", "text ", "Text", "a.b"]
SPLITS = ["train", "test", "dev", "validation", "extra", "oos", "unsupervised", ""]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "big5", "cp932", "latin-1", "utf-7"]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
cells = words | st.sampled_from(
    ["good", "bad", "a;b", '"', '""', "'", "\r", "\n", "\u2028", "1e400", "nan", "-1", *SPLITS]
)
names = st.sampled_from(NAMES) | words
Named = tuple[str, bytes]


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace")


@st.composite
def tables(draw: st.DrawFn) -> Named:
    """CSV and its kin, rows of one width or ragged, quoted as they should be or not at all."""
    width = draw(st.integers(1, 6))
    row = st.lists(cells, min_size=width, max_size=width) | st.lists(cells, max_size=8)
    rows = [draw(st.lists(names, min_size=width, max_size=width)), *draw(st.lists(row, max_size=30))]
    between, end = draw(st.sampled_from(",;\t| ")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    file = io.StringIO()
    if draw(st.booleans()):
        csv.writer(file, delimiter=between, lineterminator=end).writerows(rows)
    else:
        file.write(end.join(between.join(each) for each in rows))
    ending = draw(st.sampled_from(["csv", "tsv", "txt", "conll"]))
    return f"x.{ending}", _encoded(file.getvalue(), draw(st.sampled_from(ENCODINGS)))


numbers = st.integers() | st.floats() | st.booleans() | st.none()
values = st.recursive(
    numbers | cells,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def json_files(draw: st.DrawFn) -> Named:
    """A value of any kind; a list, columns or splits of objects; an object a line."""
    records = st.lists(st.dictionaries(names, values, max_size=4), max_size=20)
    if draw(st.booleans()):
        lines = draw(records | st.lists(values, max_size=10))
        return "x.jsonl", "\n".join(map(json.dumps, lines)).encode()
    parts = st.dictionaries(st.sampled_from(SPLITS), records, max_size=4)
    return "x.json", json.dumps(draw(values | records | parts)).encode()


ARROW = [
    (pa.string(), words), (pa.int64(), st.integers(-(2**63), 2**63 - 1)), (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()), (pa.binary(), st.binary(max_size=20)),
    (pa.list_(pa.string()), st.lists(words, max_size=3)),
    (pa.timestamp("ns"), st.integers(-(2**63), 2**63 - 1)), (pa.timestamp("s"), st.integers(-(2**63), 2**63 - 1)),
    (pa.date64(), st.integers(-(2**50), 2**50)), (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.duration("s"), st.integers(-(2**62), 2**62)), (pa.struct([("a", pa.string()), ("b", pa.int8())]), st.none()),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from("abc")), (pa.null(), st.none()),
    (pa.decimal128(38, 10), st.decimals(-1000, 1000, places=3)),
]  # fmt: skip


@st.composite
def arrow_files(draw: st.DrawFn) -> Named:
    """Columns of any type, also of the same name, as Parquet or Arrow."""
    rows = draw(st.integers(0, 12))
    columns = draw(st.lists(st.tuples(names, st.sampled_from(ARROW)), max_size=5))
    arrays = []
    for _, (kind, cell) in columns:
        cells = [
            None if each is None else each for each in draw(st.lists(cell | st.none(), min_size=rows, max_size=rows))
        ]
        arrays.append(
            pa.array(cells, pa.string()).cast(kind) if pa.types.is_dictionary(kind) else pa.array(cells, kind)
        )
    table = pa.Table.from_arrays(arrays, names=[name for name, _ in columns])
    if draw(st.booleans()):
        info = {"info": {"features": draw(values)}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    file = io.BytesIO()
    ending = draw(st.sampled_from(["parquet", "arrow", "feather"]))
    try:
        if ending == "parquet":
            pq.write_table(table, file)
        else:
            make = pa.ipc.new_file if ending == "feather" else pa.ipc.new_stream
            with make(file, table.schema) as writer:
                writer.write_table(table)
    except (pa.ArrowException, ValueError):  # this type cannot be written so
        return f"x.{ending}", b"x"
    return f"x.{ending}", file.getvalue()


@st.composite
def workbooks(draw: st.DrawFn) -> Named:
    moments = st.datetimes(datetime.datetime(1901, 1, 1), datetime.datetime(2900, 1, 1))
    plain = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"]), max_size=20)
    book = openpyxl.Workbook()
    for row in draw(
        st.lists(st.lists(plain | st.integers() | st.booleans() | moments | st.none(), max_size=5), max_size=15)
    ):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return "x.xlsx", file.getvalue()


@st.composite
def archives(draw: st.DrawFn) -> Named:
    """Folders of files of any name: pictures, tables, others; some packed, some as they are."""
    folders = st.sampled_from(["", "train/", "test/", "val/cat/", "cat/", "extra/", "a/b/c/", "../", "/", "__MACOSX/"])
    picture = st.sampled_from(_pictures())
    files = st.tuples(
        folders, st.sampled_from(["a.png", "b.jpg", "c.gif", "d.txt", ".x.png", "e.bin", "f.zip"]), picture
    )
    parts = st.tuples(
        folders, st.sampled_from(["train.csv", "test.csv", "labels.csv", "dev.json"]), words.map(str.encode)
    )
    inner = tables() | json_files()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for folder, name, data in draw(
            st.lists(files | parts | st.tuples(folders, inner).map(lambda one: (one[0], *one[1])), max_size=12)
        ):
            archive.writestr(folder + name, data)
    return "x.zip", file.getvalue()


@st.composite
def bombs(draw: st.DrawFn) -> Named:
    """What stands once and is in many rows: up to gigabytes, once each row is written out."""
    rows, text = draw(st.integers(1, 50_000)), "x" * draw(st.sampled_from([1, 1_000, 30_000, 100_000]))
    kind = draw(st.sampled_from(["parquet", "arrow", "feather", "xlsx"]))
    if kind == "xlsx":
        return "x.xlsx", _shared_strings(rows, text)
    nothing = pa.nulls(rows, pa.int32()).fill_null(0)
    column = draw(st.sampled_from(["dictionary", "list", "structure", "runs", "list view"]))
    if kind == "parquet" or column in ("dictionary", "list", "structure"):
        column = "dictionary" if column in ("runs", "list view") else column
    texts = pa.DictionaryArray.from_arrays(nothing, pa.array([text]))
    match column:
        case "list":
            texts = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), texts)
        case "structure":
            texts = pa.StructArray.from_arrays([texts], ["inner"])
        case "runs":
            texts = pa.RunEndEncodedArray.from_arrays(pa.array([rows], pa.int32()), pa.array([text]))
        case "list view":
            texts = pa.ListViewArray.from_arrays(nothing, pa.nulls(rows, pa.int32()).fill_null(1), pa.array([text]))
    table, file = pa.table({"text": texts, "label": [f"{row % 2}" for row in range(rows)]}), io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, file)
    else:
        with (pa.ipc.new_file if kind == "feather" else pa.ipc.new_stream)(file, table.schema) as writer:
            writer.write_table(table)
    return f"x.{kind}", file.getvalue()


def _shared_strings(rows: int, text: str) -> bytes:
    """A workbook whose every row names the same text."""
    plain, packed = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["text", "label"])
    book.save(plain)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    cells = "".join(
        f'<row r="{row}"><c r="A{row}" t="s"><v>0</v></c><c r="B{row}" t="s"><v>{row % 2 + 1}</v></c></row>'
        for row in range(2, rows + 2)
    )
    with zipfile.ZipFile(plain) as there, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in there.namelist():
            data = there.read(name).decode("utf-8").replace("</sheetData>", f"{cells}</sheetData>")
            part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
            archive.writestr(name, data.replace("</Types>", part))
        texts = "".join(f"<si><t>{each}</t></si>" for each in (text, "a", "b"))
        space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{space}" count="3" uniqueCount="3">{texts}</sst>')
    return packed.getvalue()


def _pictures() -> list[bytes]:
    from tests.data.test_uploads import png

    return [png(3), png(200), b"", b"no picture", png(9)[:40]]


def anything() -> st.SearchStrategy[Named]:
    return tables() | json_files() | arrow_files() | workbooks() | archives() | bombs()


def structured(number: int, count: int = 200) -> list[Named]:
    """So many files, others for each number."""
    found: list[Named] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(anything())
    def collect(file: Named) -> None:
        found.append(file)

    collect()
    return found
