"""Data sets: loaded, looked at, renamed, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api.place import Place
from studio.errors import ConfigError, DataError, StoreError
from studio.store.rows import DatasetRow

if TYPE_CHECKING:
    import datasets as hf
    import pandas as pd


class Dataset:
    """A saved data set, split into train, validation and test rows."""

    def __init__(self, place: Place, row: DatasetRow) -> None:
        self._place, self._row = place, row

    @property
    def id(self) -> int:
        return self._row.id

    @property
    def name(self) -> str:
        return self._row.name

    @property
    def task(self) -> str:
        """What models learn from it, such as `text-classification`."""
        return self._row.task

    @property
    def labels(self) -> list[str]:
        return list(self._row.labels)

    @property
    def splits(self) -> dict[str, int]:
        """How many rows each split has."""
        return dict(self._row.splits)

    @property
    def columns(self) -> dict[str, str]:
        """Which column of the source became what."""
        return dict(self._row.columns)

    @property
    def report(self) -> dict[str, Any]:
        """What was found in it: copies, conflicts, leaks, rows of each label, warnings."""
        return dict(self._row.report)

    def head(self, rows: int = 5, split: str = "train") -> pd.DataFrame:
        """Some rows of a split, drawn by chance. Raises `DataError` for a split that there is not."""
        from studio.service import library

        return library.head(self._place.home, self._row, rows, split)

    def rename(self, name: str) -> Dataset:
        """The same data set under another name; runs that use it go on using it.

        Raises `DataError` where the name is taken or is not a name.
        """
        return Dataset(self._place, self._place.acts.rename(self.id, name))

    def delete(self) -> None:
        """Delete it with its files. Raises `StoreError`, which names the runs, where some use it."""
        self._place.acts.delete_dataset(self.id)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {split}" for split, count in self.splits.items())
        labels = ", ".join(self.labels[:5]) + (" …" if len(self.labels) > 5 else "")
        return f"<Dataset {self.id} {self.name!r}: {self.task}, {counts} rows{labels and f'; labels {labels}'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and (self.id, self._place) == (other.id, other._place)

    def __hash__(self) -> int:
        return hash((self.id, self._place))


def load_dataset(
    source: str | Path | pd.DataFrame | hf.Dataset | hf.DatasetDict,
    *,
    name: str | None = None,
    task: str | None = None,
    input: str | Sequence[str] | None = None,
    pair: str | Sequence[str] | None = None,
    label: str | None = None,
    split: str | None = None,
    separator: str | None = None,
    test: Any = None,
    validation: Any = None,
    unlabelled: Any = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.1,
    drop_leaked: bool = True,
    refused: str | Path | None = None,
    seed: int = 0,
    home: str | Path | None = None,
) -> Dataset:
    """A data set that is ready to train on: read, checked, split, saved; or one that was saved before.

    Args:
        source: a file (CSV, TSV, JSON lines, Parquet, Excel, a ZIP of images), its https address, a folder (a table for
            each split, image folders, what `save_to_disk` wrote), `hub:ORG/NAME` for a data set of the Hugging Face
            Hub, a DataFrame, a `datasets.Dataset` or `DatasetDict`, or the name of a saved data set.
        name: what it is called. Left out, content that was saved before is taken from there, and other content gets a
            name after its source; nothing is overwritten.
        task, input, pair, label, split, separator: what it is, and which columns play which role; guessed when left
            out. Several columns for `input` or `pair` are read as one text. `pair` is a second text that is read
            together with the first one, `separator` stands between the labels of a cell, where a row can have several
            (| where they come as a list of classes).
        test, validation, unlabelled: further sources of the same columns: the test rows, the validation rows, rows
            without labels, which the student learns from the teacher alone.
        header, encoding, delimiter: how a text file is to be read; found out when left out.
        test_share, validation_share, seed: how the splits are cut that the source does not bring.
        drop_leaked: remove training rows that the given test or validation rows repeat.
        refused: a CSV to be written: the rows that were left out, with their line and the reason.
        home: where it is kept; the folder `STUDIO_HOME` when left out.

    Raises:
        DataError: the source cannot be read or used, or the name is taken by other content.
    """
    place = Place.at(home)
    others = given({"test": test, "validation": validation, "unlabelled": unlabelled})
    columns = given({"input": _one(input), "pair": _one(pair), "label": label, "split": split, "separator": separator})
    how = given({"header": header, "encoding": encoding, "delimiter": delimiter})
    saved = _saved(place, source) if isinstance(source, str) else None
    if saved is not None:
        _require_nothing([*given({"name": name, "task": task}), *how, *columns, *others], source)
        return Dataset(place, saved)
    from studio.service import library

    more = {role: _upload(other, how) for role, other in others.items()}
    added = place.acts.add(
        library.Files(_upload(source, how), **more),
        name=name,
        like=library.name_like(_origin(source)),
        task=task,
        columns=columns,
        split=library.Split(validation_share, test_share, drop_leaked, seed),
    )
    if refused is not None:
        library.write_refused(added.refused, Path(refused))
    return Dataset(place, added.row)


def answer_prompts(
    prompts: str | Path | pd.DataFrame | Sequence[str],
    *,
    teacher: str = "",
    address: str = "",
    model: str = "",
    key: str = "",
    column: str | None = None,
    name: str | None = None,
    system: str = "",
    new_prompts: int = 0,
    new_without: str = "",
    samples: int = 1,
    most_tokens: int = 256,
    temperature: float = 1.0,
    at_once: int | None = None,
    price_read: float = 0.0,
    price_written: float = 0.0,
    budget_tokens: int | None = None,
    budget: float | None = None,
    shortest: int = 1,
    longest: int | None = None,
    without: str = "",
    likely: float | None = None,
    cut: bool = False,
    seed: int = 0,
    home: str | Path | None = None,
) -> Dataset:
    """Have a large model answer prompts, once each; prompts and answers become a data set from which a student learns
    to write. What was answered before is not asked again, so that it goes on where it was stopped.

    Args:
        prompts: texts, or a file or table with a column of them, or of chats.
        teacher: a model of this machine, such as `folder:PATH` or `hub:ORG/NAME`; or, in its place,
        address, model, key: an OpenAI-compatible address that ends before /chat/completions, the model's name there,
            and the variable of the environment that holds the key.
        column: the column of prompts; guessed when left out.
        name: what the data set is called.
        system: what the model is told before each prompt.
        new_prompts: so many prompts the model writes itself first, after those given, which are its examples, two or
            more. new_without: a pattern that none of them may hold.
        samples: so many answers to each.
        most_tokens, temperature, seed: how answers are drawn. at_once: so many questions at a time.
        price_read, price_written, budget_tokens, budget: what a million tokens cost; what all of it may take, about.
        shortest, longest, without, likely, cut: which answers are taken: letters; a pattern that none may hold; the
            least mean log-probability of its tokens; whether also those that the limit cut off.
        home: where it is kept; the folder `STUDIO_HOME` when left out.

    Raises:
        DataError: nobody answers, or no answer is left; too few examples, or no new prompt of use.
        ModelError: the model cannot be opened.
    """
    from studio.service import answering, library, patterns
    from studio.service.answering import Rules
    from studio.service.asking import Answers, Budget, Price
    from studio.service.endpoint import Endpoint
    from studio.service.new_prompts import Growth

    if bool(teacher) == bool(address and model):
        raise ConfigError("Prompts are answered by a teacher, or by the model at an address.", "Name one of them.")
    rules = Rules(shortest, longest, patterns.checked(without), likely, cut=cut)
    place = Place.at(home)
    drawn: dict[str, Any] = {"most_tokens": most_tokens, "temperature": temperature, "system": system}
    asked = place.acts.model_here(teacher, **drawn) if teacher else Endpoint(address.rstrip("/"), model, key, **drawn)
    found = answering.prompts_of(_of_prompts(prompts), column)
    price, limit, together = (
        Price(price_read, price_written),
        Budget(budget_tokens, budget),
        given({"at_once": at_once}),
    )
    if new_prompts:
        growth = Growth(found, new_prompts, patterns.checked(new_without), seed)
        for _ in place.acts.have_written(growth, asked, price=price, budget=limit, **together):
            pass
        found, limit = growth.prompts(), limit.without(*growth.answers.taken(price))
    found, answers = found.times(samples), Answers()
    for _ in place.acts.have_answered(
        found.asked, asked, answers, price=price, budget=limit, seed=seed, **together
    ):  # fmt: skip
        pass
    table, _ = answering.table(found, answers, rules)
    like = name or (library.name_like(_origin(prompts)) if isinstance(prompts, str | Path) else "answered prompts")
    taken = {row.name for row in place.store.datasets()}
    own = None if name in taken else name  # it may be that of fewer answers
    return Dataset(place, place.acts.add(library.Files(table), name=own, like=like, task=answering.LEARNED).row)


def _of_prompts(prompts: Any) -> Any:
    import pandas as pd

    if isinstance(prompts, list | tuple):
        return _upload(pd.DataFrame({"prompt": list(prompts)}, dtype=object), {})
    return _upload(prompts, {})


def datasets(*, home: str | Path | None = None) -> list[Dataset]:
    """The saved data sets, the newest first."""
    place = Place.at(home)
    return [Dataset(place, row) for row in place.store.datasets()]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _one(columns: str | Sequence[str] | None) -> str | None:
    """The name of one column, or of several that are read as one."""
    from studio.data import joining

    return columns if columns is None or isinstance(columns, str) else joining.name_of(columns)


def _saved(place: Place, name: str) -> DatasetRow | None:
    """The saved data set that is meant; None where there is a file or a folder instead, here or elsewhere.

    A file comes before a saved data set of that name, a folder after it.
    """
    from studio.service.web import is_remote

    if is_remote(name):
        return None
    if Path(name).expanduser().is_file():
        return None
    try:
        return place.store.dataset(name)
    except StoreError as error:
        if Path(name).expanduser().is_dir():
            return None
        raise DataError(f"There is neither a file nor a saved data set {name!r}.", error.cure) from error


def _require_nothing(asked: Sequence[str], source: Any) -> None:
    """Raise `DataError` where something is asked of a data set that is saved already."""
    if asked:
        raise DataError(f"{source!r} is saved already; {asked[0]} cannot change it.", "Leave it out, or load the file.")


def _origin(source: Any) -> str:
    """What a source is called: its file, the data set that the `datasets` library loaded, else its kind."""
    if isinstance(source, str | Path):
        return str(source)
    first = next(iter(source.values()), None) if isinstance(source, dict) else source
    named = getattr(getattr(first, "info", None), "dataset_name", None)
    return str(named or type(source).__name__)


def _upload(source: Any, how: Mapping[str, Any]) -> Any:
    import datasets as hf
    import pandas as pd

    from studio.service import sources

    if isinstance(source, str | Path):
        return sources.bring(str(source), **how)
    if isinstance(source, pd.DataFrame):
        return sources.of_frame(source)
    if isinstance(source, hf.Dataset | hf.DatasetDict):
        return sources.of_datasets(source)
    raise DataError(
        f"Data cannot be made of {type(source).__name__}.",
        "Bring a file, a folder, a DataFrame, or a Dataset or DatasetDict of the `datasets` library.",
    )
