"""Whether a model's probability can be trusted: how often it is right where it says how sure it is."""

import streamlit as st

from pages import _explained
from pages import _pictures as pictures
from pages._language import _
from pages._studio import errors_shown, get_acts, get_home
from pages._words import change, percent, role
from studio.evaluate import calibration
from studio.evaluate.calibration import Estimate
from studio.kept import answers
from studio.kept.answers import Kept
from studio.kept.trust import MOST_ROWS, Run
from studio.service import calibrated
from studio.store.rows import RunRow
from studio.tasks import Task


def show(run: RunRow, task: Task, rows: Run, models: dict[str, Kept]) -> None:
    """The finding, the diagram, what a temperature would mend, and how near the student is to its teacher."""
    if task.kind == "number":
        st.info(
            _("A number comes without a probability: there is nothing to trust or to doubt."), icon=":material/info:"
        )
        _agreement(rows, models, task)
        return
    names = list(models)
    name = st.segmented_control(_("Model"), names, default="student", key="trusted", required=True, format_func=role)
    name = name or "student"
    samples = {model_name: rows.sample(kept) for model_name, kept in models.items()}
    mine = samples[name]
    gap = calibration.overconfidence(mine.confidence, mine.right)
    st.subheader(_finding(name, gap, len(mine.right)), anchor=False)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        shown = {model_name: calibration.bins(sample.confidence, sample.right) for model_name, sample in samples.items()
                 if model_name in (name, "teacher", "student")}  # fmt: skip
        st.html(_explained.reliability(shown, name))
        st.caption(
            _("Each dot: rows of which it is about equally sure; its area is how many, the line its 95 % interval. "
              "On the diagonal a probability can be taken at its word.")
        )  # fmt: skip
    with right:
        error, brier = (of(mine.confidence, mine.right) for of in (calibration.expected_error, calibration.brier))
        st.html(_explained.facts([
            (_("Surer than it is right, in points"), _told(gap, signs=True)),
            (_("Expected calibration error, in points"), _told(error)),
            (_("Brier score of being right"), _decimals(brier)),
        ]))  # fmt: skip
        st.caption(
            _(
                "In brackets: 95 % intervals. The calibration error says how far a probability is, on average, from "
                "how often it comes true. It and the Brier score are 0 for a perfect model."
            )
        )
        _temperature(run, rows, models[name], name)
    if len(mine.right) == MOST_ROWS:
        st.caption(_("Of {rows} rows, drawn by chance.", rows=f"{MOST_ROWS:,}"))
    _agreement(rows, models, task)


def _finding(name: str, gap: Estimate, rows: int) -> str:
    """Whether a model is surer than it is right, and no more than these rows can tell."""
    points = f"{abs(100 * gap.value):.1f}"
    if gap.low != gap.low:
        return _("{model}: too few rows to tell whether it is surer than right", model=role(name))
    if gap.low <= 0 <= gap.high:
        return _("{model}: neither surer nor less sure than it is right, as far as {rows} rows can tell",
                 model=role(name), rows=f"{rows:,}")  # fmt: skip
    if gap.value > 0:
        return _("{model}: {points} points surer than it is right", model=role(name), points=points)
    return _("{model}: {points} points more often right than it says", model=role(name), points=points)


def _told(found: Estimate, signs: bool = False) -> str:
    numbers = (found.value, found.low, found.high)
    value, low, high = (change(number, "share") if signs else f"{100 * number:.1f}" for number in numbers)
    return value if found.low != found.low else _("{value} ({low} to {high})", value=value, low=low, high=high)


def _decimals(found: Estimate) -> str:
    value, low, high = (f"{number:.3f}" for number in (found.value, found.low, found.high))
    return value if found.low != found.low else _("{value} ({low} to {high})", value=value, low=low, high=high)


def _temperature(run: RunRow, rows: Run, kept: Kept, name: str) -> None:
    """What dividing the logits by one number would mend. It is offered for the download where it helps on validation
    rows; what it does to the test rows is told, and decides nothing."""
    temperature = rows.temperature(name)
    if temperature is None or not kept.has_logits:
        st.caption(_("No probabilities of validation rows are kept: no temperature can be fitted."))
        return
    test = rows.sample(kept, temperature.value)
    before, after = (calibration.expected_error(sure, temperature.right).value
                     for sure in (temperature.before, temperature.after))  # fmt: skip
    facts = {
        "temperature": f"{temperature.value:.2f}",
        "before": f"{100 * before:.1f}",
        "after": f"{100 * after:.1f}",
        "error": _told(calibration.expected_error(test.confidence, test.right)),
    }
    helps = round(100 * after, 1) < round(100 * before, 1)
    if helps:
        st.markdown(
            _("**Dividing its scores (logits) by {temperature} lowers the calibration error** on validation rows from "
              "{before} to {after} points, each half mended by what fits the other half; on the test rows it is then "
              "{error}. The answers stay the same.", **facts)
        )  # fmt: skip
    else:
        st.markdown(
            _("**Dividing its scores (logits) by a temperature does not help.** The best one found, {temperature}, "
              "does not lower the calibration error on validation rows: {before} points without, {after} with it, each "
              "half mended by what fits the other half. On the test rows it would be {error}.", **facts)
        )  # fmt: skip
    known = calibrated.read(get_home(), run.id)
    if name != "student" or not get_acts().may_change(run) or not (helps or known is not None):
        return
    wanted = st.toggle(_("Put this temperature into the download"), value=known is not None, key="calibrate")
    if wanted != (known is not None):
        with errors_shown():
            get_acts().calibrate(run.id, temperature.value if wanted else None)


def _agreement(rows: Run, models: dict[str, Kept], task: Task) -> None:
    """How often each model says what the teacher says, and how far its distribution is from the teacher's."""
    teacher = models["teacher"]
    table = []
    for name, kept in models.items():
        if name == "teacher":
            continue
        row = {_("Model"): role(name)}
        if task.kind == "number":
            row[_("Correlation with the teacher")] = f"{_correlation(teacher, kept):.3f}"
        else:
            row[_("Agrees with the teacher")] = percent(float(answers.same(teacher, kept).mean()))
            apart = rows.divergence(teacher, kept)
            row[_("KL divergence from the teacher, nats")] = "–" if apart is None else f"{apart:.3f}"
        table.append(row)
    st.subheader(_nearness(models, task), anchor=False)
    st.html(pictures.table(table))
    if task.kind != "number":
        st.caption(_("KL divergence: how far all its probabilities are from the teacher’s; 0 where they are the same."))


def _nearness(models: dict[str, Kept], task: Task) -> str:
    """How often the student says what its teacher says, and what it would say without one."""
    known = [models[name] for name in ("student", "control") if name in models]
    if not known:
        return _("How near to the teacher")
    if task.kind == "number":
        student, *control = (f"{_correlation(models['teacher'], kept):.2f}" for kept in known)
        return _near_in_numbers(student, *control)
    student, *control = (percent(float(answers.same(models["teacher"], kept).mean())) for kept in known)
    if not control:
        return _("The student agrees with the teacher on {student} of the test rows", student=student)
    return _("The student agrees with the teacher on {student} of the test rows, without a teacher on {control}",
             student=student, control=control[0])  # fmt: skip


def _near_in_numbers(student: str, control: str = "") -> str:
    if not control:
        return _("Correlation of the student’s numbers with the teacher’s: {student}", student=student)
    return _("Correlation of the student’s numbers with the teacher’s: {student}, without a teacher {control}",
             student=student, control=control)  # fmt: skip


def _correlation(first: Kept, second: Kept) -> float:
    from studio.tasks import scores

    values = [kept.batch.column("answer").to_numpy() for kept in (first, second)]
    return scores.pearson(values[0], values[1])
