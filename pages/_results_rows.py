"""The rows of a result: who is right on which, one by one; what is wrong is marked, and learned from anew."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from pages import _address as address
from pages import _answers, _explained
from pages import _results_what_if as what_if
from pages import _why as why
from pages._language import _, counted
from pages._markup import Html, joined
from pages._scores import small
from pages._studio import errors_shown, get_acts, get_home, get_store, go_to
from pages._words import commas, escape, measured, percent
from studio import tasks
from studio.kept import answers, embeddings, groups, logits
from studio.kept import rows as stored
from studio.kept.answers import Kept
from studio.kept.groups import GROUPS, ORDERS, Explored, Group, Order, Wanted
from studio.kept.rows import Rows
from studio.language import escaping
from studio.pipeline.answers import Embedded
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import language

AT_ONCE, MOST_DOWNLOADED, NEAREST, MOST_COPIES = 8, 100_000, 4, 5
SPLIT = "test"
KEYS = ("group", "class", "sort", "q", "page", "row")
LONGEST = 400
"""Letters of a row in a list; all of it is one click away."""


@dataclass(frozen=True)
class Shown:
    """What the rows of a run are shown with. `models` are all of it, teacher first."""

    run: RunRow
    dataset: DatasetRow
    task: tasks.Task
    explored: Explored
    models: dict[str, Kept]

    @property
    def rows(self) -> Rows:
        return self.explored.rows

    @property
    def is_number(self) -> bool:
        return self.task.kind == "number"

    def words(self, row: int) -> list[str]:
        """The words that tags belong to; none where a row is something else."""
        value = self.rows.value(row)
        return value if isinstance(value, list) and self.task.kind == "class" and self.by_words else []

    @property
    def has_labels(self) -> bool:
        """Whether somebody said what a row is; texts that are written on are their own labels."""
        return self.task.targets.column is not None

    @property
    def by_words(self) -> bool:
        """Whether a row is answered word by word."""
        return isinstance(self.rows.label(0), list) and self.task.kind == "class"

    def named(self, value: Any, row: int) -> str:
        """A label or an answer in a few words; "" where rows have no labels."""
        if not self.has_labels:
            return ""
        name = stored.named(value, self.dataset.labels)
        return _("unlabelled") if name is None else _answers.meant(name, self.words(row))

    def said(self, kept: Kept, row: int) -> str:
        """What a model says of a row; where that has no label, how good the model is on it."""
        if self.has_labels:
            answer = kept.answers([row])[0]
            return _answers.number(answer) if isinstance(answer, float) else self.named(answer, row)
        measure = self.task.measures[0]
        value = self.task.targets.measure(kept.statistics[[row]])[measure.name]
        return f"{measured(value, measure)} {small(_(measure.title))}"

    def parts(self, rows: Rows, row: int) -> list[str]:
        """The texts of a row; none of a picture."""
        value = rows.value(row)
        if isinstance(value, bytes):
            return []
        if not self.has_labels:
            return language.shown(dict(zip(rows.inputs, value, strict=True)))
        return list(value) if isinstance(value, list) and len(rows.inputs) > 1 else [rows.text(row)]


def opened(run: RunRow, dataset: DatasetRow, task: tasks.Task) -> Shown | None:
    """What is kept of a run; None where nothing is, as of an older one."""
    home = get_home()
    models = answers.of_run(home, run.id, SPLIT)
    if not {"teacher", "student"} <= set(models):
        return None
    rows = stored.opened(home.dataset(dataset.id), SPLIT)
    if len(rows) != len(models["student"]):
        return None
    return Shown(run, dataset, task, Explored(rows, models["teacher"], models["student"]), models)


def show(shown: Shown) -> None:
    """The list, or the row that the address names."""
    address.follow(*KEYS)
    row = st.query_params.get("row", "")
    if row.isdecimal() and len(row) < 12 and 0 < int(row) <= len(shown.rows):
        _one(shown, int(row) - 1)
    else:
        _list(shown)


# --- the list

TELLING: tuple[Group, ...] = ("teacher", "student", "neither", "both")
"""The first of these groups that has rows is shown first."""


def _list(shown: Shown) -> None:
    wanted, order = _wanted(shown)
    mask = shown.explored.mask(wanted)
    counts = shown.explored.counts(mask)
    first = next((group for group in TELLING if counts[group]), TELLING[0])
    group = address.one("group", [first, *(group for group in GROUPS if group != first)])
    lost, gained = counts["teacher"], counts["student"]
    rows = sum(counts.values())
    if shown.is_number:
        st.subheader(_("The student is far off in {lost} of {rows} rows where the teacher is near", lost=f"{lost:,}",
                       rows=f"{rows:,}"), anchor=False)  # fmt: skip
        st.caption(_("Near: within half a standard deviation of the labels."))
    else:
        st.subheader(_("Rows lost on the way to the student: {lost}; gained: {gained}", lost=f"{lost:,}",
                       gained=f"{gained:,}"), anchor=False)  # fmt: skip
        if not shown.has_labels:
            st.caption(_("Right: of more than half of a text’s tokens the likeliest one is the one that stands there."))
    st.html(_explained.mosaic(counts, group, shown.is_number))
    st.segmented_control(
        _("Rows"), list(GROUPS), key="group", required=True, on_change=address.write, args=("group", first),
        format_func=lambda option: _explained.group_title(option, shown.is_number),
        label_visibility="collapsed",
    )  # fmt: skip
    numbers = shown.explored.sorted(mask & shown.explored.of(_group(group)), order)
    if not len(numbers):
        st.info(_("No row is like that."), icon=":material/search_off:")
        return
    last = (len(numbers) - 1) // AT_ONCE + 1
    page = _page(last)
    for row in numbers[(page - 1) * AT_ONCE : page * AT_ONCE].tolist():
        _line(shown, row)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if last > 1:
            st.button(_("Back"), icon=":material/chevron_left:", key="rows-back", disabled=page == 1,
                      on_click=_turn, args=(page - 1,))  # fmt: skip
            st.markdown(_("Page {page} of {pages}", page=f"{page:,}", pages=f"{last:,}"), width="content")
            st.button(_("Next"), icon=":material/chevron_right:", key="rows-next", disabled=page == last,
                      on_click=_turn, args=(page + 1,))  # fmt: skip
        st.download_button(
            _("Download these rows"), lambda: as_csv(shown, numbers[:MOST_DOWNLOADED]), key="rows-download",
            file_name=f"run-{shown.run.id}-rows.csv", mime="text/csv", icon=":material/download:", type="tertiary",
            on_click="ignore",
        )  # fmt: skip
    if shown.has_labels:
        _corrections(shown)


def _wanted(shown: Shown) -> tuple[Wanted, Order]:
    """The filters and the order: class and words in sight, the rest behind a button."""
    labels = [] if shown.is_number else shown.dataset.labels
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="rows-filters"):
        label = ""
        if labels:
            address.one("class", ["", *labels])
            label = st.selectbox(_("Class"), ["", *labels], key="class", on_change=address.write, args=("class",),
                                 format_func=lambda name: escaping.unturned(name) or _("All"), width=200)  # fmt: skip
        address.text("q")
        words = ""
        if shown.rows.is_text:
            words = st.text_input(_("Search"), key="q", on_change=address.write, args=("q",), width=200,
                                  placeholder=_("words of a row"), max_chars=200)  # fmt: skip
        order = _order(shown)
        confidence, length = (0.0, 1.0), None
        with st.popover(_("More filters"), icon=":material/tune:", width="content"):
            if logits.has_probabilities(shown.task.kind):
                low, high = st.slider(_("How sure the student is, in per cent"), 0, 100, (0, 100), key="rows-sure")
                confidence = (low / 100, high / 100)
            longest = int(shown.rows.lengths.max(initial=0)) if shown.rows.is_text else 0
            if longest > 1:
                length = st.slider(_("Length in letters"), 0, longest, (0, longest), key="rows-length")
                length = None if length == (0, longest) else length
    number = labels.index(label) if label else None
    return Wanted(label=number, words=words or "", confidence=confidence, length=length), order


def _order(shown: Shown) -> Order:
    titles = {
        "loss": _("The student’s largest loss first"),
        "gap": _("Teacher and student furthest apart first"),
        "unsure": _("The least sure first"),
        "place": _("As in the data"),
    }
    options = [order for order in ORDERS if logits.has_probabilities(shown.task.kind) or order in ("loss", "place")]
    address.one("sort", list(options))
    chosen = st.selectbox(_("Order"), options, key="sort", on_change=address.write, args=("sort", "loss"),
                          format_func=lambda order: titles[order], width=300)  # fmt: skip
    return next(order for order in options if order == chosen)


def _group(name: str) -> Group:
    return next(group for group in GROUPS if group == name)


def _page(last: int) -> int:
    said = st.query_params.get("page", "1")
    return min(last, max(1, int(said))) if said.isdecimal() and len(said) < 12 else 1


def _turn(page: int) -> None:
    st.query_params["page"] = str(page)


def _line(shown: Shown, row: int) -> None:
    said = {
        name: (shown.said(kept, row), float(kept.confidence[row]), bool(kept.right[row]))
        for name, kept in shown.models.items() if name in ("teacher", "student")
    }  # fmt: skip
    with st.container(border=True, key=f"line-{row}", gap="xsmall"):
        value = shown.rows.value(row)
        if isinstance(value, bytes):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.image(value, width=64)
                st.html(_explained.row_line("", shown.named(shown.rows.label(row), row), said))
        else:
            text = " · ".join(shown.parts(shown.rows, row))
            text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
            st.html(_explained.row_line(text, shown.named(shown.rows.label(row), row), said))
        st.page_link("results.py", label=_("Row {row}", row=f"{row + 1:,}"), query_params=_here(row=str(row + 1)))


def _here(**changes: str) -> dict[str, str]:
    """The address of this view, with some of it changed; "" leaves it out."""
    kept = {name: st.query_params[name] for name in ("run", "tab", *KEYS) if name in st.query_params}
    return {name: value for name, value in (kept | changes).items() if value}


def as_csv(shown: Shown, numbers: np.ndarray) -> bytes:
    """Rows with what every model says of them; whatever a spreadsheet would take for a formula is text."""
    written = io.StringIO()
    table = csv.writer(written)
    names = list(shown.models)
    table.writerow(["row", *shown.rows.inputs, "label", *(f"{name} {what}" for name in names
                    for what in ("answer", "confidence", "loss", "right"))])  # fmt: skip
    for line in _cells(shown, numbers, names):
        table.writerow([escaping.in_table(cell) for cell in line])
    return written.getvalue().encode("utf-8-sig")


def _cells(shown: Shown, numbers: np.ndarray, names: list[str]) -> Iterator[list[object]]:
    said = {name: shown.models[name].answers(numbers) for name in names}
    for place, row in enumerate(numbers.tolist()):
        value = shown.rows.value(row)
        inputs = value if len(shown.rows.inputs) > 1 else [value]
        cells = [
            "" if isinstance(cell, bytes) else " ".join(cell) if isinstance(cell, list) else cell for cell in inputs
        ]
        models: list[object] = []
        for name in names:
            kept = shown.models[name]
            sure, loss = float(kept.confidence[row]), float(kept.loss[row])
            models += [shown.named(said[name][place], row), "" if sure != sure else round(sure, 6),
                       "" if loss != loss else round(loss, 6), bool(kept.right[row])]  # fmt: skip
        yield [row + 1, *cells, shown.named(shown.rows.label(row), row), *models]


# --- one row


def _one(shown: Shown, row: int) -> None:
    """A row with all that is known of it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link("results.py", label=_("All rows"), icon=":material/arrow_back:", query_params=_here(row=""),
                     width="content")  # fmt: skip
        st.markdown(f":gray[{_('Test row {row} of {rows}', row=f'{row + 1:,}', rows=f'{len(shown.rows):,}')}]",
                    width="content")  # fmt: skip
    value, label = shown.rows.value(row), shown.rows.label(row)
    if isinstance(value, bytes):
        st.image(value, width=200)
    else:
        for part in shown.parts(shown.rows, row):
            st.markdown(escape(part))
    if shown.has_labels:
        st.markdown(_("Label in the data: **{label}**", label=escape(shown.named(label, row))))
    _opinions(shown, row, label)
    what_if.show(
        shown.run, shown.task, shown.models["teacher"], shown.models["student"], row, label, shown.dataset.labels
    )
    if get_home().model(shown.run.id, "student").is_dir():
        why.section(shown.run, shown.task, value, shown.dataset.labels)
    if shown.has_labels:
        _mark(shown, row, label)
    _likeness(shown, row)


def _opinions(shown: Shown, row: int, label: Any) -> None:
    """What each model says, side by side."""
    names = list(shown.models)
    for start in range(0, len(names), 4):
        for place, name in zip(st.columns(min(4, len(names))), names[start : start + 4], strict=False):
            kept = shown.models[name]
            with place:
                sure, loss = float(kept.confidence[row]), float(kept.loss[row])
                notes = [_("sure: {share}", share=percent(sure))] if sure == sure else []
                notes += [_("loss: {loss}", loss=f"{loss:.3g}")] if loss == loss else []
                st.html(
                    _explained.opinion(name, shown.said(kept, row), " · ".join(notes), _inside(shown, name, row, label))
                )


def _inside(shown: Shown, name: str, row: int, label: Any) -> Html:
    """The bars of a model, or the words of a row with its tags."""
    kept, labels = shown.models[name], shown.dataset.labels
    if shown.by_words:
        tags = stored.named(kept.answers([row])[0], labels)
        return _explained.tagged(shown.words(row), tags)
    if shown.is_number or not shown.has_labels or not kept.has_logits:
        return joined()
    shares = logits.shares(kept.logits_of(row), shown.task.kind)[0]
    true = stored.named(label, labels)
    return _explained.bars(dict(zip(labels, shares.tolist(), strict=True)), name,
                           true if isinstance(true, list) else [true] if true else [])  # fmt: skip


def _likeness(shown: Shown, row: int) -> None:
    """Copies among the training rows, and those that the teacher takes for most alike."""
    training = stored.opened(get_home().dataset(shown.dataset.id), "train")
    copies = training.like(shown.rows, row)
    if len(copies):
        text = counted("{number} training row is the same to the letter.",
                       "{number} training rows are the same to the letter.", len(copies))  # fmt: skip
        st.warning(text, icon=":material/content_copy:")
        for copy in copies[:MOST_COPIES].tolist():
            _training_row(shown, training, copy)
    if not shown.has_labels:
        return
    recorded = answers.opened(get_home(), shown.run.id, "teacher", "train")
    if recorded is not None and len(recorded) != len(training):
        recorded = None
    by_place = _by_embedding(shown, row, training)
    if by_place is not None:
        st.subheader(_("Training rows that the teacher takes for most alike"), anchor=False)
        st.caption(_("By its embedding: the mean of its last layer."))
        for other in by_place.tolist():
            _training_row(shown, training, other, recorded)
        return
    if recorded is not None and recorded.has_logits and shown.models["teacher"].has_logits:
        st.subheader(_("Training rows that the teacher takes for most alike"), anchor=False)
        st.caption(_("By what it says of them: the nearest of its recorded answers."))
        for other in groups.nearest(shown.models["teacher"], row, recorded, NEAREST).tolist():
            _training_row(shown, training, other, recorded)
    _offer_embedding(shown)


def _by_embedding(shown: Shown, row: int, training: Rows) -> np.ndarray | None:
    """The nearest training rows by the teacher's embedding; None where that is not there."""
    known = {split: embeddings.opened(get_home(), shown.run.id, split) for split in embeddings.SPLITS}
    train, test = known["train"], known["test"]
    if train is None or test is None or (len(train), len(test)) != (len(training), len(shown.rows)):
        return None
    return embeddings.nearest(np.asarray(test[row]), train, NEAREST)


def _offer_embedding(shown: Shown) -> None:
    """Have the teacher place all rows, once for all of them."""
    acts, run = get_acts(), shown.run
    if not acts.person.has("member") or run.verdict is None:
        return
    why = _("The teacher reads all training and test rows once more; that is kept for all rows.")
    if st.button(_("Look for nearer ones by the teacher’s embedding"), icon=":material/scatter_plot:", key="embed",
                 help=why):  # fmt: skip
        with errors_shown():
            with st.spinner(_("Asking the teacher about all rows …")):
                acts.examine(run.id, Embedded)
            st.rerun()


def _training_row(shown: Shown, training: Rows, row: int, recorded: Kept | None = None) -> None:
    """A training row with its label, and what the teacher said of it."""
    value = training.value(row)
    words = value if shown.by_words else []

    def in_words(said: Any) -> str:
        name = stored.named(said, shown.dataset.labels)
        return _("unlabelled") if name is None or name == [] else _answers.meant(name, words)

    label = in_words(training.label(row)) if shown.has_labels else ""
    teacher = {}
    if recorded is not None:
        right = bool(recorded.right[row]) or not recorded.labelled[row]
        teacher["teacher"] = (in_words(recorded.answers([row])[0]), float(recorded.confidence[row]), right)
    with st.container(border=True, gap="xsmall"):
        if isinstance(value, bytes):
            st.image(value, width=64)
        text = " · ".join(shown.parts(training, row))[:LONGEST]
        st.html(_explained.row_line(text, label, teacher))


# --- what is wrong in the data


def _mark(shown: Shown, row: int, label: Any) -> None:
    """Say what a row should be labelled as."""
    acts, dataset = get_acts(), shown.dataset
    marked = {mark.row: mark for mark in get_store().marks(dataset.id) if mark.split == SPLIT}.get(row)
    if marked is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            right = escape(shown.named(marked.label, row))
            st.markdown(_("Marked as mislabelled: it should be **{label}**.", label=right), width="content")
            if acts.person.has("member"):
                st.button(_("Take back"), key="unmark", type="tertiary", on_click=_deed,
                          args=(lambda: acts.unmark(dataset.id, SPLIT, row),))  # fmt: skip
        return
    if not acts.person.has("member"):
        return
    with st.popover(_("The label is wrong"), icon=":material/flag:"):
        right = _right_label(shown, row, label)
        st.button(_("Mark as mislabelled"), key="mark", type="primary", disabled=right is None or right == label,
                  on_click=_deed, args=(lambda: acts.mark(dataset.id, SPLIT, row, right),))  # fmt: skip


def _right_label(shown: Shown, row: int, label: Any) -> Any:
    """What the label should be, in the form of the column `label`; None where nothing is chosen."""
    labels = shown.dataset.labels
    if shown.is_number:
        return st.number_input(_("It should be"), value=None, key="right-number")
    if shown.by_words:
        words, tags = shown.words(row), stored.named(label, labels)
        typed = st.text_area(_("The right tags, one a word"), " ".join(tags), key="right-tags")
        st.caption(escape(" ".join(words)))
        found = typed.split()
        if len(found) != len(words) or not set(found) <= set(labels):
            st.caption(
                _("{words} words need {words} tags of these: {tags}", words=len(words), tags=escape(commas(labels)))
            )
            return None
        return [labels.index(tag) for tag in found]
    if isinstance(label, list):
        chosen = st.multiselect(_("It should be"), labels, key="right-labels", format_func=escaping.unturned)
        return sorted(labels.index(name) for name in chosen) or None
    name = st.selectbox(_("It should be"), labels, index=None, key="right-label", format_func=escaping.unturned)
    return None if name is None else labels.index(name)


def _deed(deed: Callable[[], object]) -> None:
    with errors_shown():
        deed()


def _corrections(shown: Shown) -> None:
    """Marked rows lead to a new data set; the old one stays."""
    marks, acts = get_store().marks(shown.dataset.id), get_acts()
    if not marks:
        st.caption(_("Open a row to mark a wrong label; marked rows can be learned from anew."))
        return
    with st.container(border=True, key="corrections"):
        title = counted("{number} row is marked as mislabelled", "{number} rows are marked as mislabelled", len(marks))
        st.markdown(f"**{title}**")
        st.caption(_("A new data set gets the corrected labels; this one stays as it is, and so do its runs."))
        if acts.person.has("member") and st.button(_("Continue with corrected labels"), key="correct", type="primary"):
            with errors_shown():
                from studio.service import corrections

                new = acts.correct(shown.dataset.id, corrections.name_for(get_store(), shown.dataset))
                go_to("new_run.py", {"from": str(shown.run.id), "dataset": str(new.id)})
