"""The head of a result: where one is, the verdict, three numbers, what one does with it, what to look at."""

import streamlit as st

from pages import _documents as documents
from pages import _pictures as pictures
from pages import _results_export as export
from pages import _size_and_quality as size_and_quality
from pages._glossary import words_of_results
from pages._language import _, counted, retell
from pages._markup import element
from pages._picture_file import picture_button
from pages._scores import Scored, comparison_of, headline, on_test, three
from pages._studio import errors_shown, get_acts, get_home, get_store, go_to
from pages._words import OUTCOMES, ago, commas, data_name, day, effect_of, escape, model, teachers
from studio import tasks
from studio.config.reading import with_values
from studio.events import Caution, Evaluation
from studio.store.rows import RunRow

MOST_OTHERS = 30


def has_results(run: RunRow) -> bool:
    """Whether there is a verdict, or at least a student to download."""
    return run.verdict is not None or (run.is_over and get_home().model(run.id, "student").is_dir())


def crumbs(run: RunRow) -> None:
    """Where one is: the run, its data and models, when it ended and whose it is; the way to other results."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link("run.py", label=_("Run {run}", run=run.id), query_params={"run": str(run.id)},
                     icon=":material/arrow_back:", width="content")  # fmt: skip
        ended = run.finished_at or run.created_at
        facts = [
            escape(data_name(run.config.dataset)),
            f"{escape(teachers(run.config))} → {escape(model(run.config.student))}",
            commas([day(ended), ago(ended)]),
            *([escape(run.made_by)] if run.made_by else []),
        ]
        st.caption(" · ".join(facts), width="content")
        others = [other for other in get_store().runs() if other.id != run.id and has_results(other)][:MOST_OTHERS]
        if others:
            with st.popover(_("Other results"), type="tertiary", width="content"):
                for other in others:
                    data, student = data_name(other.config.dataset), model(other.config.student)
                    name = f"{_('Run {run}', run=other.id)} · {data} · {student}"
                    st.page_link("results.py", label=escape(name), query_params={"run": str(other.id)})


def verdict(run: RunRow, models: list[Scored], task: tasks.Task, evaluations: list[Evaluation]) -> None:
    """The answer: badge, headline and sentence beside the picture; the three numbers below."""
    measure = task.measures[0]
    if run.verdict is None:
        st.title(_("Run {run} has no verdict", run=run.id), anchor=False)
        st.warning(_("This run ended before it was evaluated. The student so far can be downloaded."))
        if export.can_get(run):
            export.show(run)
        return
    left, right = st.columns([6, 5], gap="medium", vertical_alignment="top")
    with left:
        outcome = OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"])
        st.html(pictures.badge(_(outcome.words), outcome.kind))
        st.title(escape(headline(models, measure, run.outcome)), anchor=False)
        st.markdown(escape(effect_of(run.verdict) if models else retell(run.verdict)))
        _numbers(run, models, measure, "phone-numbers")
        _explain(run, models, task, evaluations)
        _actions(run, models, task)
    with right:
        if models:
            st.html(size_and_quality.sizes(models, measure))
    _numbers(run, models, measure, "wide-numbers")
    _look_at(run)


def _numbers(run: RunRow, models: list[Scored], measure: tasks.Measure, kind: str) -> None:
    """Kept, smaller, faster; on a phone they come before the picture."""
    found = three(models, measure, run.outcome)
    if found:
        st.html(element("div", pictures.numbers(found), kind=kind))


def _explain(run: RunRow, models: list[Scored], task: tasks.Task, evaluations: list[Evaluation]) -> None:
    """Every word of the field behind a click, with this run's numbers."""
    others = {key: evaluation.value for key, evaluation in on_test(evaluations).items()}
    pairs = get_store().comparisons(run.id)
    effect, training = (comparison_of(pairs, second, task.measures[0]) for second in ("control", "untouched"))
    words = words_of_results(models, task.measures, others, effect, training)
    if not words:
        return
    st.caption(_("What do these words mean?"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="words"):
        for word, meaning in words.items():
            with st.popover(word, type="tertiary", width="content"):
                st.markdown(meaning)


def _actions(run: RunRow, models: list[Scored], task: tasks.Task) -> None:
    """What one does with a result."""
    has_student = get_home().model(run.id, "student").is_dir()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="actions"):
        if has_student and st.button(_("Try it"), type="primary", icon=":material/experiment:", key="try"):
            go_to("playground.py", {"run": str(run.id)})
        if export.can_get(run) and st.button(_("Get the student"), icon=":material/download:", key="get"):
            _get(run)
        if get_acts().person.has("member") and st.button(
            _("Change and start again"), icon=":material/replay:", key="again"
        ):
            go_to("new_run.py", {"from": str(run.id)})
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="share"):
        measure = task.measures[0]
        ended = day(run.finished_at or run.created_at)
        documents.buttons(run.id)
        picture_button(
            _("Save as a picture"),
            f"run-{run.id}.png",
            about=f"{data_name(run.config.dataset)} · {teachers(run.config)} → {model(run.config.student)}",
            title=headline(models, measure, run.outcome),
            numbers=three(models, measure, run.outcome),
            effect=effect_of(run.verdict or ""),
            foot=f"Distillation Studio · {_('Run {run}', run=run.id)} · {ended}",
        )


def _get(run: RunRow) -> None:
    st.dialog(_("Get the student"), width="medium")(export.show)(run)


def _look_at(run: RunRow) -> None:
    """One strip: the gravest reason why a number may say less than it seems to, and what to do about it on the right.
    Others are one click away. Without any, the next step alone."""
    if not run.cautions:
        _next_alone(run)
        return
    first, rest = run.cautions[0], run.cautions[1:]
    with st.container(key="caution"), st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(pictures.strip(_("Look at this:"), retell(f"{first.sentence} {first.cure}")))
        with st.container(key="caution-do", width="content", horizontal=True, vertical_alignment="center"):
            if not _cure(run, first):
                _next(run)
            if rest:
                with st.popover(counted("{number} more", "{number} more", len(rest)), type="tertiary"):
                    for caution in rest:
                        st.markdown(escape(retell(f"{caution.sentence} {caution.cure}")))
                        _cure(run, caution)


def _cure(run: RunRow, caution: Caution) -> bool:
    """A button that starts the run which is the cure, where one is; whether there is a button."""
    step = caution.next_step
    if step is None or not step.changes or not get_acts().person.has("member"):
        return False
    if st.button(retell(step.label), key=f"cure-{caution.code}", icon=":material/play_arrow:"):
        with errors_shown():
            new = get_acts().start(with_values(run.config, **step.changes), key=f"{step.code}-of-{run.id}")
            go_to("run.py", {"run": str(new.id)})
    return True


def _next(run: RunRow) -> None:
    """The run to try next, with its settings filled in."""
    step = run.next_step
    if step is not None and step.changes and get_acts().person.has("member"):
        st.page_link("new_run.py", label=_("Next: {step}", step=escape(retell(step.label))), width="content",
                     query_params={"from": str(run.id), "next": "1"}, icon=":material/arrow_forward:")  # fmt: skip


def _next_alone(run: RunRow) -> None:
    step = run.next_step
    if step is not None and step.changes:
        _next(run)
    elif step is not None:
        st.markdown(_("**Next:** {step}", step=escape(retell(step.label))))
