"""What the language models of a run write after the same openings: in numbers, and to be read."""

import streamlit as st

from pages import _answers as answers
from pages import _pictures as pictures
from pages import _results_examined as examinations
from pages._language import _, retell
from pages._studio import errors_shown, get_acts, get_home
from pages._words import changes, escape, low_and_high, measured, percent, role
from studio.evaluate import written
from studio.evaluate.measured import is_clear
from studio.events import Comparison
from studio.pipeline.answers import Written
from studio.store.rows import RunRow
from studio.tasks import Measure

SHOWN = 3
"""Texts that are shown before somebody asks for more."""

EXAMPLE, LONGEST_RULE = "#### *(.+)", 200
"""A rule for answers as they are in GSM8K, and how many letters one may have."""

MOST_TOKENS = 100_000
LONGEST = 400
"""So many characters of an opening, and of what the data says, are shown."""


def show(run: RunRow) -> None:
    """Asked for once, then shown."""
    found = examinations.known(
        run, Written, _("Does the student write as its teacher does?"), _("Let the models write"),
        _("All models go on from the same test rows. It takes from seconds to some minutes."),
        _("All models are writing …"),
    )  # fmt: skip
    if found is None:
        return
    st.subheader(finding(found), anchor=False)
    st.caption(
        _("Each model went on after the same openings of test rows ({rows}), at most {most} tokens each. Nothing is "
          "chosen by it. In brackets 95 % intervals.", rows=f"{found.rows:,}", most=found.most)
    )  # fmt: skip
    st.html(pictures.table(numbers(found)))
    if found.left_out:
        st.caption(_("The small model before training did not write. {why}", why=escape(retell(found.left_out))))
    _again(run, found)
    with st.expander(_("What these numbers mean")):
        known = {name for model in found.by for name in model.values}
        st.html(
            pictures.words({_(measure.title): _(measure.help) for measure in written.MEASURES if measure.name in known})
        )
    st.subheader(_("What they wrote"), anchor=False)
    for number in range(min(SHOWN, len(found.given))):
        _text(found, number)
    if len(found.given) > SHOWN:
        with st.expander(_("More texts")):
            for number in range(SHOWN, len(found.given)):
                _text(found, number)


def _again(run: RunRow, found: Written) -> None:
    """With another limit of tokens; where the data has answers, they are compared by a pattern, too."""
    if not get_acts().person.has("member") or not get_home().model(run.id, "student").is_dir():
        return
    has_answers = any(written.EXACT.name in model.values for model in found.by)
    with st.form("written-again", border=False):
        first, middle, last = st.columns([3, 2, 2] if has_answers else [2, 2, 3], vertical_alignment="bottom")
        rule = first.text_input(
            _("Rule for answers"), found.rule, max_chars=LONGEST_RULE, placeholder=EXAMPLE,
            help=_("A pattern (a regular expression): what it finds last in an answer, its first group, is compared "
                   "with what it finds in the answer in the data. {example} finds what stands behind ####.",
                   example=f"`{EXAMPLE}`"),
        ).strip() if has_answers else ""  # fmt: skip
        most = (middle if has_answers else first).number_input(
            _("Tokens of a text, at most"), 1, MOST_TOKENS, found.most,
            help=_("What a model can read bounds them: what it is given and what it writes."),
        )  # fmt: skip
        wanted = (last if has_answers else middle).form_submit_button(_("Let them write again"), width="stretch")
        if wanted and (rule or found.rule, most) != (found.rule, found.most):
            with errors_shown():
                with st.spinner(_("All models are writing …")):
                    get_acts().examine_written(run.id, rule, int(most))
                st.rerun()


def finding(found: Written) -> str:
    """Whether what the teacher taught can be told from what the student writes."""
    pair = _against(found, "control").get(written.FOR_THE_TEACHER.name)
    if pair is None:
        return _("What the models write")
    if is_clear(pair, 1):
        return _("The teacher finds what the student writes likelier than what the control writes")
    if is_clear(pair, -1):
        return _("The teacher finds what the control writes likelier than what the student writes")
    return _("To the teacher, student and control write alike, as far as {rows} texts can tell", rows=f"{found.rows:,}")


def _against(found: Written, second: str) -> dict[str, Comparison]:
    """How the student differs from another model, by measure."""
    return {comparison.metric: comparison for comparison in found.against if comparison.second == second}


def numbers(found: Written) -> list[dict[str, str]]:
    """A line for each measure: every model's value, and by how much the student differs from the control, and from
    itself before it learned."""
    titles = {"control": _("Student − control"), "untouched": _("Student − before training")}
    pairs = {title: against for second, title in titles.items() if (against := _against(found, second))}
    lines = []
    for measure in written.MEASURES:
        if not any(measure.name in model.values for model in found.by):
            continue
        line = {_("Measure"): _(measure.title)}
        for model in found.by:
            line[role(model.role)] = _with_interval(model.values.get(measure.name), measure)
        for title, against in pairs.items():
            pair = against.get(measure.name)
            line[title] = _("{low} to {high}", **changes(pair.low, pair.high, measure)) if pair else "–"
        lines.append(line)
    none = dict.fromkeys(pairs, "")
    cut = {role(model.role): percent(model.cut_share) for model in found.by if model.cut_share is not None}
    lines += [{_("Measure"): _("Cut off by the limit of tokens")} | cut | none] if cut else []
    speed = {role(model.role): f"{model.tokens_per_second:,.0f}" for model in found.by}
    lines.append({_("Measure"): _("Tokens a second")} | speed | none)
    return lines


def _with_interval(numbers: tuple[float, float, float] | None, measure: Measure) -> str:
    """A measure of a model; of one that cuts texts otherwise than its teacher some are not known."""
    if numbers is None:
        return "–"
    value, low, high = numbers
    return _("{value} ({low} to {high})", value=measured(value, measure), **low_and_high(low, high, measure))


def _text(found: Written, number: int) -> None:
    """What was given, what the data says there, and what each model wrote."""
    texts = {_("Opening"): found.given[number], _("In the data"): found.expected[number]}
    st.html(pictures.words({title: shortened(text) for title, text in texts.items() if text.strip()}))
    cut = [model.role for model in found.by if model.cut and model.cut[number]]
    st.html(answers.texts({model.role: model.texts[number].strip() or "–" for model in found.by}, cut))


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} …"
