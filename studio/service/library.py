"""Save a data set: its rows in the store, its files in the home, both or neither."""

from studio.data.cleaning import Rows, inspect
from studio.data.columns import Columns
from studio.data.folder import TEST_SHARE, VALIDATION_SHARE, build, fingerprint, write
from studio.errors import DataError
from studio.home import Home
from studio.store.rows import DatasetRow
from studio.store.store import Store

MAX_NAME = 80


def save(
    store: Store,
    home: Home,
    name: str,
    rows: Rows,
    columns: Columns,
    *,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    drop_leaked: bool = False,
    seed: int = 0,
) -> DatasetRow:
    """Split, write and list a data set. The same content under the same name gives the one that is there.

    Raises `DataError` where the name is taken by other content or is not a name.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise DataError(
            f"A data set's name has 1 to {MAX_NAME} printable characters, got {name!r}.", "Choose another name."
        )
    if name.isdecimal():
        raise DataError(f"A data set's name cannot be a number, got {name!r}.", "Numbers are ids. Choose another name.")
    splits = build(rows, validation_share=validation_share, test_share=test_share, drop_leaked=drop_leaked, seed=seed)
    digest = fingerprint(splits, rows.labels)
    row = store.add_dataset(
        name=name,
        task=rows.task,
        labels=rows.labels,
        splits={split: len(part) for split, part in splits.items()},
        fingerprint=digest,
        columns=columns.as_dict(),
        report=inspect(rows).model_dump(),
    )
    folder = home.dataset(row.id)
    if not folder.exists():
        write(splits, folder, rows, name=name, digest=digest)
        store.dataset_ready(row.id)
    return row
