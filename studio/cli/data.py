"""`data`: check, add, list, show, rename, delete data sets."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from studio import tasks
from studio.store.rows import DatasetRow

if TYPE_CHECKING:
    from studio.data.refused import Refused
    from studio.data.uploads import Upload
    from studio.service.library import Added, Checked, Files

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import AsJson, busy, plain, print_json, say, shown_safely

commands = typer.Typer(help="Data sets.", no_args_is_help=True)


MOST_LABELS, MOST_LETTERS = 50, 200

TOLD_BYTES = 50_000_000
"""A fetch is told of after each of these."""

DataName = Annotated[str, typer.Argument(metavar="DATA", help="The name of the data set, or its number.")]

DataPath = Annotated[
    str,
    typer.Argument(
        help="CSV, TSV, JSON, Parquet, Arrow, Excel, also packed (gz, bz2, xz, zst, zip, tar), an archive of images or "
        "texts, a folder with a file a split, the https address of a file, or hub:ORG/NAME for a data set of the "
        "Hugging Face Hub."
    ),
]

TaskName = Annotated[str | None, typer.Option(help=f"{', '.join(tasks.TASKS)}. Guessed when left out.")]

InputColumn = Annotated[
    str | None,
    typer.Option("--input", help="Column with the text; several as one with a plus: 'title + body'. Guessed."),
]

PairColumn = Annotated[str | None, typer.Option(help="Column with the second text, where two are read together.")]

LabelColumn = Annotated[str | None, typer.Option(help="Column with the label. Guessed.")]

SplitColumn = Annotated[
    str | None,
    typer.Option(help="Column that says train, validation or test. Taken when it is called split; none: no column."),
]

TestFile = Annotated[str | None, typer.Option(help="A second file, to be the test set.")]

ValidationFile = Annotated[str | None, typer.Option(help="A file that is the validation set.")]

UnlabelledFile = Annotated[
    str | None, typer.Option(help="A file of inputs without labels, which the teacher alone will label.")
]

Separator = Annotated[
    str | None, typer.Option(help="What stands between the labels of one cell, such as |, if a row has several.")
]

Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Guessed when left out.")]

Encoding = Annotated[
    str | None, typer.Option(help="Such as utf-8, gb18030 or cp1252: bytes that do not fit are replaced. Guessed.")
]

Delimiter = Annotated[str | None, typer.Option(help="What stands between columns: one character, or tab. Guessed.")]

DropLeaked = Annotated[
    bool,
    typer.Option("--drop-leaked/--keep-leaked", help="Remove training rows that given test rows repeat, or not."),
]

RefusedFile = Annotated[
    Path | None, typer.Option("--refused", help="Write the rows that are left out into this CSV: line, reason, row.")
]

NewName = Annotated[str | None, typer.Option(help="The name under which it is saved; the file's when left out.")]

TestShare = Annotated[
    float, typer.Option(min=0.01, max=0.9, help="Share of the rows for testing, where none are given.")
]

ValidationShare = Annotated[
    float, typer.Option(min=0.01, max=0.9, help="Share of the rows for validation, where none are given.")
]

SplitSeed = Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")]

VersionOf = Annotated[
    str | None, typer.Option(metavar="DATA", help="It is a new version of this data set, with more or other rows.")
]


@commands.command("check")
def data_check(
    path: DataPath,
    task: TaskName = None,
    input_column: InputColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    split: SplitColumn = None,
    test: TestFile = None,
    validation: ValidationFile = None,
    separator: Separator = None,
    unlabelled: UnlabelledFile = None,
    header: Header = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    refused: RefusedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read and check a data set without saving it: what was taken, and what was found."""
    from studio.service import library

    columns = _columns(input=input_column, pair=pair, label=label, split=split, separator=separator)
    files = _read(path, header, encoding, delimiter, test=test, validation=validation, unlabelled=unlabelled)
    if not as_json:
        for note in files.rows.notes:  # they may tell why it cannot be used
            typer.echo(shown_safely(note))
    with busy("Checking"):
        found = library.check(files, task=task, columns=columns)
    if refused:
        _write_refused(found.rows.refused, refused)
    if as_json:
        return print_json(found.facts)
    _tell_checked(found, files)


@commands.command("add")
def data_add(
    path: DataPath,
    name: NewName = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    split: SplitColumn = None,
    test: TestFile = None,
    validation: ValidationFile = None,
    separator: Separator = None,
    unlabelled: UnlabelledFile = None,
    header: Header = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    test_share: TestShare = 0.2,
    validation_share: ValidationShare = 0.1,
    seed: SplitSeed = 0,
    drop_leaked: DropLeaked = True,
    refused: RefusedFile = None,
    version_of: VersionOf = None,
    as_json: AsJson = False,
) -> None:
    """Read, check, split and save a data set; say which columns it took."""
    from studio.service import library

    home, store = open_home()
    if version_of is not None:
        store.dataset(version_of)  # where there is none, nothing is read
    columns = _columns(input=input_column, pair=pair, label=label, split=split, separator=separator)
    files = _read(path, header, encoding, delimiter, test=test, validation=validation, unlabelled=unlabelled)
    acts, cut = acts_here(home, store), library.Split(validation_share, test_share, drop_leaked, seed)
    with busy("Saving"):
        added = acts.add(files, name=name, like=library.name_like(path), task=task, columns=columns, split=cut)
    if version_of is not None:
        acts.call_version(added.row, version_of)
    if refused:
        _write_refused(added.refused, refused)
    if as_json:
        facts = {"guessed": added.guessed, "unused": added.unused, "removed": added.removed, "notes": added.notes}
        return print_json(_dataset_facts(added.row) | facts)
    _tell_added(added, files)


@commands.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the saved data sets."""
    _, store = open_home()
    rows = store.datasets()
    if as_json:
        return print_json([{"id": row.id, "name": row.name, "task": row.task, "splits": row.splits} for row in rows])
    table = Table("id", "name", "task", "rows", "labels")
    for row in rows:
        table.add_row(str(row.id), plain(row.name), row.task, f"{sum(row.splits.values()):,}", str(len(row.labels)))
    Console().print(table)


@commands.command("show")
def data_show(
    reference: DataName,
    rows: Annotated[int, typer.Option(min=0, max=1000, help="So many training rows are shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show a data set: the columns it took, splits, labels, what was found in it, a few rows."""
    from studio.service import library

    home, store = open_home()
    found = store.dataset(reference)
    some = library.head(home, found, rows)
    if "image" in some:
        some["image"] = [f"<image, {len(data):,} bytes>" for data in some["image"]]
    if as_json:
        shown = some.to_dict(orient="records")
        return print_json(_dataset_facts(found) | {"runs": store.users_of_dataset(found), "rows": shown})
    typer.echo(shown_safely(f"Data set {found.id}, {found.name!r}: {found.task}, {_sizes(found)}."))
    typer.echo(shown_safely(_columns_taken(found.columns)))
    classes = found.report.get("classes", {})
    listed = [f"{label} ({classes[label]:,})" if label in classes else label for label in found.labels]
    more = f" and {len(listed) - MOST_LABELS} more" if len(listed) > MOST_LABELS else ""
    if listed:
        typer.echo(shown_safely(f"Labels: {', '.join(listed[:MOST_LABELS])}{more}."))
    for warning in found.report.get("warnings", ()):
        typer.echo(shown_safely(warning))
    table = Table(*map(plain, some.columns))
    for row in some.itertuples(index=False, name=None):
        table.add_row(*[plain(_shortened(str(cell))) for cell in row])
    Console().print(table)


@commands.command("rename")
def data_rename(
    reference: DataName, name: Annotated[str, typer.Argument(help="The new name.")], as_json: AsJson = False
) -> None:
    """Give a data set another name. Runs that use it go on using it."""
    row = acts_here(*open_home()).rename(reference, name)
    if as_json:
        return print_json({"id": row.id, "name": row.name})
    typer.echo(shown_safely(f"Data set {row.id} is called {row.name!r} now."))


@commands.command("delete")
def data_delete(reference: DataName, as_json: AsJson = False) -> None:
    """Delete a data set with its files. Refused where a run uses it."""
    home, store = open_home()
    row = store.dataset(reference)
    freed = acts_here(home, store).delete_dataset(row.id)
    if as_json:
        return print_json({"id": row.id, "freed_bytes": freed})
    typer.echo(shown_safely(f"Deleted data set {row.id}, {row.name!r}; {freed / 1e6:.1f} MB are free again."))


def _read(path: str, header: bool | None, encoding: str | None, delimiter: str | None, **others: str | None) -> "Files":
    """The file and those beside it, by what they are for."""
    from studio.service import library, sources

    def read(file: str) -> "Upload":
        return sources.bring(file, header, encoding=encoding, delimiter=delimiter, tell=coming())

    with busy(f"Reading {Path(path).name}"):
        return library.Files(read(path), **{role: read(file) for role, file in others.items() if file is not None})


def _columns(**named: str | None) -> dict[str, str]:
    """The columns that were named, by their role; a split called none is no column."""
    wanted = {role: column for role, column in named.items() if column is not None}
    return wanted | ({"split": ""} if wanted.get("split") == "none" else {})


def _write_refused(refused: "Sequence[Refused]", to: Path) -> None:
    from studio.service import library

    count = library.write_refused(refused, to)
    say(f"{count:,} rows that were left out are in {to}.")


def _tell_checked(found: "Checked", files: "Files") -> None:
    report = found.report
    if files.rows.kind != "images":
        typer.echo(shown_safely(_columns_taken(found.columns.as_dict(), found.guessed, found.unused)))
    kept = f"{report.read:,} rows read, {report.rows:,} kept{_by_split(report.splits)}"
    typer.echo(shown_safely(f"{kept}. Task: {found.rows.task}."))
    for warning in report.warnings:
        typer.echo(shown_safely(warning))
    if not report.warnings:
        typer.echo("Nothing was found that speaks against training on it.")


def _by_split(splits: Mapping[str, int]) -> str:
    """How many rows of which split; those that name none are divided when they are added.

    >>> _by_split({"train": 1200, "test": 30})
    ': 1,200 train, 30 test'
    >>> _by_split({"not said": 12})
    ', to be divided into train, validation and test'
    """
    if set(splits) <= {"not said"}:
        return ", to be divided into train, validation and test"
    names = ("to be divided" if name == "not said" else name for name in splits)
    return ": " + ", ".join(f"{count:,} {name}" for name, count in zip(names, splits.values(), strict=True))


def _tell_added(added: "Added", files: "Files") -> None:
    saved = added.row
    if files.rows.kind != "images":
        say(_columns_taken(saved.columns, added.guessed, added.unused))
    for note in [*added.notes, *saved.report["warnings"]]:
        say(note)
    where = "Saved as" if added.is_new else "The same content is there already:"
    typer.echo(shown_safely(f"{where} data set {saved.id}, {saved.name!r}: {_sizes(saved)}."))


def coming() -> Callable[[int, int | None], None]:
    """Tells how much of a file from elsewhere is here; nothing where none comes."""
    reported = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal reported
        if done - reported >= TOLD_BYTES or done == total:
            reported = done
            say(f"{done / 1e6:,.1f} MB are here{f' of {total / 1e6:,.1f}' if total else ''}.")

    return tell


def _columns_taken(columns: Mapping[str, str], guessed: Sequence[str] = (), unused: Sequence[str] = ()) -> str:
    """Which column plays which role, and which none.

    >>> _columns_taken({"input": "text", "label": "tone"}, ["input"], ["id"])
    "Columns: input 'text' (guessed), label 'tone'; not used: 'id'."
    """
    taken = [f"{role} {column!r}{' (guessed)' if role in guessed else ''}" for role, column in columns.items()]
    left = f"; not used: {', '.join(map(repr, unused))}" if unused else ""
    return f"Columns: {', '.join(taken)}{left}."


def _sizes(row: DatasetRow) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in row.splits.items())
    has_classes = len(row.labels) > 1  # a number is one output, which has a name as labels have
    return f"{counts} rows, {len(row.labels)} labels" if has_classes else f"{counts} rows"


def _dataset_facts(row: DatasetRow) -> dict[str, Any]:
    names = ("id", "name", "task", "columns", "splits", "labels", "fingerprint", "report", "made_by")
    return {name: getattr(row, name) for name in names}


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
