"""The verdict on one run: three numbers, a picture, what to look at, what to do next; details on tabs; export."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import streamlit as st

from pages import _charts as charts
from pages import _pictures as pictures
from pages._glossary import words_of_results
from pages._picture_file import picture_button
from pages._scores import ROLES, Scored, headline, milliseconds, on_test, scored, three
from pages._studio import errors_shown, get_acts, get_home, get_store, run_in_address, set_title, show_error, task_of
from pages._words import (
    OUTCOMES,
    ago,
    change,
    count,
    effect_of,
    escape,
    measured,
    model,
    percent,
    size,
    status_word,
    teachers,
)
from studio import tasks
from studio.config.reading import with_values
from studio.errors import StudioError
from studio.events import OLD_TEST, Caution, Confusion, Evaluation
from studio.pipeline.answers import Conversion, read_conversion
from studio.service.questions import convert
from studio.store.rows import RunRow

MOST_CLASSES, MOST_MIX_UPS, LARGEST_MATRIX, MOST_CAUTIONS = 8, 6, 20, 2

acts, home, store = get_acts(), get_home(), get_store()


def choose() -> RunRow | None:
    """The run in the address, or the newest one with results."""
    wanted = run_in_address("run")
    if wanted is not None and not has_results(wanted):
        st.title("Results", anchor=False)
        st.info(f"Run {wanted.id} is {status_word(wanted)}: it has no results.", icon=":material/info:")
        st.page_link("run.py", label="Open the run", query_params={"run": str(wanted.id)}, icon=":material/timeline:")
        return None
    if wanted is not None:
        return wanted
    newest = next((run for run in store.runs() if has_results(run)), None)
    if newest is None:
        st.title("Results", anchor=False)
        st.info("No run has finished yet.", icon=":material/inbox:")
        st.page_link("home.py", label="Try a demo", icon=":material/play_arrow:")
        return None
    st.query_params["run"] = str(newest.id)
    return newest


def has_results(run: RunRow) -> bool:
    """Whether there is a verdict, or at least a student to download."""
    return run.verdict is not None or (run.is_over and home.model(run.id, "student").is_dir())


def crumbs(run: RunRow) -> None:
    """Where one is: the run, its data and models, when it ended; the way to other results."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link("run.py", label=f"Run {run.id}", query_params={"run": str(run.id)}, icon=":material/arrow_back:",
                     width="content")  # fmt: skip
        ended = run.finished_at or run.created_at
        date = time.strftime("%-d %B %Y", time.localtime(ended))
        st.markdown(
            f":gray[{escape(run.config.dataset)} · {escape(teachers(run.config))} → "
            f"{escape(model(run.config.student))} · {date}, {ago(ended)}]",
            width="content",
        )
        others = [other for other in store.runs() if other.id != run.id and has_results(other)]
        if others:
            with st.popover("Other results", type="tertiary", width="content"):
                for other in others:
                    name = f"Run {other.id} · {other.config.dataset} · {model(other.config.student)}"
                    st.page_link("results.py", label=escape(name), query_params={"run": str(other.id)})


def verdict(run: RunRow, models: list[Scored], task: tasks.Task, evaluations: list[Evaluation]) -> None:
    """The answer: badge, headline and sentence beside the picture; the three numbers below."""
    measure = task.measures[0]
    if run.verdict is None:
        st.title(f"Run {run.id} has no verdict", anchor=False)
        st.warning("This run ended before it was evaluated. The student so far can be downloaded.")
        return
    left, right = st.columns([6, 5], gap="medium", vertical_alignment="top")
    with left:
        outcome = OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"])
        st.html(pictures.badge(outcome.words, outcome.kind))
        st.title(escape(headline(models, measure)), anchor=False)
        st.markdown(escape(effect_of(run.verdict) if models else run.verdict))
        explain(run, models, task, evaluations)
        actions(run, models, task)
    with right:
        if models:
            st.html(pictures.sizes(models, measure))
    st.html(pictures.numbers(three(models, measure)) or " ")
    cautions(run)


def explain(run: RunRow, models: list[Scored], task: tasks.Task, evaluations: list[Evaluation]) -> None:
    """Every word of the field behind a click, with this run's numbers."""
    others = {key: one.value for key, one in on_test(evaluations).items()}
    effect = next(
        (one for one in store.comparisons(run.id) if (one.first, one.second) == ("student", "control")
         and one.metric == task.measures[0].name and one.split == "test"), None)  # fmt: skip
    words = words_of_results(models, task.measures, others, effect)
    if not words:
        return
    st.caption("What do these words mean?")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="words"):
        for word, meaning in words.items():
            with st.popover(word, type="tertiary", width="content"):
                st.markdown(meaning)


def actions(run: RunRow, models: list[Scored], task: tasks.Task) -> None:
    """What one does with a result."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="actions"):
        if acts.person.has("member") and home.model(run.id, "student").is_dir():
            st.button("Get the student", type="primary", icon=":material/download:", key="get", on_click=export_asked)
        if home.model(run.id, "student").is_dir() and st.button("Try it", icon=":material/experiment:", key="try"):
            st.switch_page("playground.py", query_params={"run": str(run.id)})
        if acts.person.has("member") and st.button("Change and start again", icon=":material/replay:", key="again"):
            st.switch_page("new_run.py", query_params={"from": str(run.id)})
        measure = task.measures[0]
        picture_button(
            "Save as a picture",
            f"run-{run.id}.png",
            about=f"{run.config.dataset} · {teachers(run.config)} → {model(run.config.student)}",
            title=headline(models, measure),
            numbers=three(models, measure),
            effect=effect_of(run.verdict or ""),
            foot=f"Distillation Studio · run {run.id} · "
            + time.strftime("%-d %B %Y", time.localtime(run.finished_at or run.created_at)),
        )


def export_asked() -> None:
    st.session_state["export"] = True


def cautions(run: RunRow) -> None:
    """Why a number may say less than it seems to, and the one thing to do next."""
    first, rest = run.cautions[:MOST_CAUTIONS], run.cautions[MOST_CAUTIONS:]
    for caution in first:
        show_caution(run, caution)
    if rest:
        with st.expander(f"{len(rest)} more"):
            for caution in rest:
                show_caution(run, caution)
    step = run.next_step
    if step is not None and step.changes and acts.person.has("member"):
        st.page_link("new_run.py", label=f"Next: {escape(step.label)}",
                     query_params={"from": str(run.id), "next": "1"}, icon=":material/arrow_forward:")  # fmt: skip
    elif step is not None:
        st.markdown(f"**Next:** {escape(step.label)}")


def show_caution(run: RunRow, caution: Caution) -> None:
    """A caution, with a button where another run is its cure: it starts that run."""
    st.html(pictures.strip("Look at this:", f"{caution.sentence} {caution.cure}"))
    step = caution.next_step
    if step is None or not step.changes:
        return
    if st.button(step.label, key=f"cure-{caution.code}", icon=":material/play_arrow:"):
        with errors_shown():
            new = store.submit(with_values(run.config, **step.changes), key=f"{step.code}-of-{run.id}")
            st.switch_page("run.py", query_params={"run": str(new.id)})


# --- details


def classes(matrices: dict[str, Confusion]) -> None:
    """What each class lost on the way from teacher to student."""
    if "teacher" not in matrices or "student" not in matrices:
        st.caption("There is no teacher to compare with.")
        return
    found = pictures.losses(matrices["teacher"], matrices["student"])
    st.subheader(escape(pictures.lost_and_kept(found)), anchor=False)
    st.caption(
        "The share of each class that a model gets right: teacher (orange), student (teal). The largest loss first."
    )
    st.html(pictures.class_changes(found[:MOST_CLASSES]))
    if len(found) > MOST_CLASSES:
        more = len(found) - MOST_CLASSES
        with st.expander(f"{more} more class{'' if more == 1 else 'es'}"):
            st.html(pictures.class_changes(found[MOST_CLASSES:]))


def mix_ups(matrices: dict[str, Confusion]) -> None:
    """What is taken for what; the whole table where it can be read."""
    roles = list(matrices)
    role = st.segmented_control("Model", roles, default="student" if "student" in roles else roles[0], key="matrix",
                                format_func=str.capitalize)  # fmt: skip
    matrix = matrices[role or roles[0]]
    wrong = pictures.mix_ups(matrix)
    for true, guess, number, rows in wrong[:MOST_MIX_UPS]:
        st.markdown(f"**{number} of {rows}** rows of “{escape(true)}” are taken for “{escape(guess)}”.")
    if not wrong:
        st.markdown("No row is taken for another class.")
    if len(matrix.labels) <= LARGEST_MATRIX:
        st.html(pictures.confusion(matrix))
        st.caption("Each row is a true class, each column what the model says. The diagonal is right.")
    else:
        st.plotly_chart(charts.confusion(matrix), key=f"confusion-{matrix.role}")


def all_numbers(models: list[Scored], evaluations: list[Evaluation], task: tasks.Task) -> None:
    """Everything that was measured of every model."""
    found, names = on_test(evaluations), {model.role: model.name for model in models}
    rows = [
        {"": measure.title}
        | {name: with_interval(found.get((role, measure.name)), measure) for role, name in names.items()}
        for measure in task.measures
        if any((role, measure.name) in found for role in names)
    ]
    costs: dict[str, tuple[str, Callable[[float], str]]] = {
        "Parameters": ("parameters", count),
        "Size on disk": ("size_bytes", size),
        "One row at a time, median": ("latency_ms", milliseconds),
        "One row at a time, 95 % take less than": ("latency_p95_ms", milliseconds),
        "32 rows at a time, median": ("latency_32_ms", milliseconds),
        "One row at a time, one thread": ("one_thread_latency_ms", milliseconds),
        "32 rows at a time, one thread": ("one_thread_latency_32_ms", milliseconds),
    }
    for title, (metric, words) in costs.items():
        known = {name: words(found[role, metric].value) for role, name in names.items() if (role, metric) in found}
        if known:
            rows.append({"": title} | dict.fromkeys(names.values(), "–") | known)
    ratios = {
        "Times as long as the student": "latency_ratio",
        "Times as long as the student, one thread": "one_thread_latency_ratio",
    }
    for title, metric in ratios.items():
        known = {name: ratio_words(found[role, metric]) for role, name in names.items() if (role, metric) in found}
        if known:
            rows.append({"": title} | dict.fromkeys(names.values(), "–") | known)
    st.html(pictures.table(rows))
    st.caption(timed_on(evaluations))
    st.caption(
        f"Measured on {max(model.rows for model in models):,} test rows that no model had seen, in the form in which "
        "each model is saved. In brackets: 95 % intervals. "
        + " ".join(f"{model.name}: {ROLES[model.role]}." for model in models)
    )


def ratio_words(ratio: Evaluation) -> str:
    ends = f" ({ratio.low:.2f} to {ratio.high:.2f})" if ratio.low is not None and ratio.high is not None else ""
    return f"{ratio.value:.2f}{ends}"


def timed_on(evaluations: list[Evaluation]) -> str:
    """On what and in what the models were timed."""
    timed = [one for one in evaluations if one.metric == "latency_ms" and one.device]
    if not timed:
        return ""
    threads = f", {timed[0].threads} thread{'' if timed[0].threads == 1 else 's'}" if timed[0].threads else ""
    where = f"{escape(timed[0].device)}{threads}; {', '.join(sorted({one.runtime for one in timed}))}"
    return (
        f"Timed in turn on {where}. The model without teacher is the same network as the student: "
        "how far its ratio is from 1 tells how exact the times are."
    )


def with_interval(found: Evaluation | None, measure: tasks.Measure) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return measured(found.value, measure)
    return f"{measured(found.value, measure)} ({measured(found.low, measure)} to {measured(found.high, measure)})"


def old_and_new(run: RunRow, evaluations: list[Evaluation], measure: tasks.Measure) -> None:
    """Where a student continued with new data: what it knows of each."""
    st.caption(f"The student continued with **{escape(run.config.dataset)}** and repeated "
               f"**{escape(run.config.replay)}** so as not to forget it. {measure.title} on each:")  # fmt: skip
    table = []
    for words, split in (("New", "test"), ("Old", OLD_TEST)):
        by_role = {found.role: found for found in evaluations if found.split == split and found.metric == measure.name}
        values = {role.capitalize(): with_interval(found, measure) for role, found in by_role.items()}
        rows = next(iter(by_role.values())).n or 0
        table.append({"Data": words, **values, "Test rows": f"{rows:,}"})
    st.html(pictures.table(table))


def steps_taken(run: RunRow, task: tasks.Task) -> None:
    """What each step of the plan cost and brought."""
    results = store.stage_results(run.id)
    measure = next((known for known in task.measures if known.name == results[0].metric), task.measures[0])
    st.caption("The student after each step of the plan, on validation rows; the test rows are read once, above.")
    table = []
    for number, result in enumerate(results):
        before = results[number - 1] if number > 1 else None
        low, high = measured(result.low, measure), measured(result.high, measure)
        table.append({
            "Step": result.title,
            measure.title: f"{measured(result.value, measure)} ({low} to {high})",
            "Change, points" if measure.unit == "share" else "Change":
                change(result.value - before.value, measure.unit) if before else "",
            "Parameters": count(result.parameters),
            "Size": size(result.size_bytes),
            "Latency": milliseconds(result.latency_ms),
        })  # fmt: skip
    st.html(pictures.table(table))
    st.plotly_chart(charts.stage_results(results, measure), key="stage-results", config={"displayModeBar": False})


def under_each_seed(run: RunRow, models: list[Scored], measure: tasks.Measure) -> None:
    """How far the seeds are apart, and which student is exported."""
    found = [one for one in store.evaluations_of_seeds(run.id) if (one.metric, one.split) == (measure.name, "test")]
    by_seed = {role: {one.seed: one.value for one in found if one.role == role} for role in ("student", "control")}
    of_seeds = {role: list(values.values()) for role, values in by_seed.items() if values}
    st.html(pictures.seeds(models, of_seeds, measure))
    seeds = store.seeds(run.id)
    table = []
    for one in seeds:
        row = {"Seed": f"{one.seed}{' (exported)' if one.exported else ''}"}
        for role in of_seeds:
            value, best = by_seed[role][one.seed], one.student if role == "student" else one.control
            row[role.capitalize()] = measured(value, measure)
            row[f"{role.capitalize()} on validation rows"] = "–" if best is None else measured(best, measure)
        table.append(row)
    st.html(pictures.table(table))
    st.caption("The student that did best on validation rows is exported; the test rows have no part in that choice.")


def what_was_chosen(run: RunRow, measure: tasks.Measure) -> None:
    """Temperature and alpha that the run found by trying, and all that it tried."""
    choice = store.choice(run.id)
    if choice is None:
        return
    st.markdown(f"T = **{choice.temperature:g}**, alpha = **{choice.alpha:g}**. {escape(choice.reason)}")
    title = f"{measure.title} on validation rows"
    st.html(
        pictures.table(
            [
                {"Temperature": f"{temperature:g}", "Alpha": f"{alpha:g}", title: measured(value, measure)}
                for temperature, alpha, value in choice.tried
            ]
        )
    )


def curves(run: RunRow, measure: tasks.Measure) -> None:
    points = store.curve(run.id)
    st.markdown(f"**{measure.title} on validation data**")
    st.plotly_chart(charts.measure_curves(points, measure), key="measure")
    st.markdown("**Loss**: what training makes small; the losses of two models are not comparable.")
    st.plotly_chart(charts.loss_curves(points), key="loss")


def details(run: RunRow, models: list[Scored], evaluations: list[Evaluation], task: tasks.Task) -> None:
    """Everything else, on tabs."""
    measure = task.measures[0]
    matrices: dict[str, Confusion] = {one.role: one for one in store.confusions(run.id) if one.split == "test"}
    shown: dict[str, Callable[[], object]] = {}
    if matrices:
        shown |= {"Classes": partial(classes, matrices), "Mix-ups": partial(mix_ups, matrices)}
    if models:
        shown["All numbers"] = partial(all_numbers, models, evaluations, task)
    if run.config.seeds > 1 and models and store.seeds(run.id):
        shown["Seeds"] = partial(under_each_seed, run, models, measure)
    if store.stage_results(run.id):
        shown["Step by step"] = partial(steps_taken, run, task)
    if any(found.split == OLD_TEST for found in evaluations):
        shown["New and old data"] = partial(old_and_new, run, evaluations, measure)
    if store.choice(run.id):
        shown["Tuning"] = partial(what_was_chosen, run, measure)
    shown["Curves"] = partial(curves, run, measure)
    shown["Settings"] = lambda: st.code(run.config.to_yaml(), language="yaml")
    for tab, show_tab in zip(st.tabs(list(shown)), shown.values(), strict=True):
        with tab:
            show_tab()


# --- export


def show_forms(conversion: Conversion) -> None:
    """The student in torch and as ONNX side by side."""
    st.html(
        pictures.table(
            [
                {
                    "Format": form.name,
                    "Size": size(form.size_bytes),
                    "Latency": milliseconds(form.latency_ms),
                    "Same answer as in torch": percent(form.same),
                }
                for form in conversion.forms
            ]
        )
    )
    for form in conversion.forms:
        if form.left_out:
            st.warning(f"The {form.name} file is left out. {escape(form.left_out)}", icon=":material/warning:")
    st.caption(f"Compared on {conversion.forms[0].rows} validation rows, timed in turns, {conversion.threads} threads.")


def teacher_of(run: RunRow) -> str:
    """The teacher as this run left it: fine-tuned, where it was fine-tuned here."""
    return f"run:{run.id}/teacher" if home.model(run.id, "teacher").is_dir() else run.config.teacher


def push(run: RunRow) -> None:
    """To the Hugging Face Hub, where this machine is signed in there."""
    from studio.models import hub

    with st.expander("Push to the Hugging Face Hub"):
        if not hub.has_token():
            st.caption("Sign in on the studio's machine first, with `hf auth login`, or set HF_TOKEN.")
            return
        name = st.text_input("New repository", placeholder="my-name/my-student", key="push-name")
        public = st.toggle("Public", key="push-public", help="Anybody can see and download it.")
        if st.button("Push", icon=":material/cloud_upload:", key="push", disabled=not name.strip()):
            with errors_shown(), st.spinner("Pushing …"):
                address = acts.push(run.id, name.strip(), private=not public)
                st.success(f"Pushed to {escape(address)}.", icon=":material/check_circle:")


def download(run: RunRow) -> None:
    """The student as files, made when somebody asks for them."""
    if not acts.person.has("member"):
        return
    st.subheader("Get the student", anchor=False)
    if not home.model(run.id, "student").is_dir():
        st.caption("This run saved no student.")
        return
    st.caption("A Hugging Face folder with a model card and the settings that produced it, plus ONNX files.")
    asked = st.session_state.pop("export", False)
    if st.button("Build download", icon=":material/inventory_2:", key="prepare") or asked:
        with errors_shown(), st.spinner("Converting to ONNX and checking it on validation rows …"):
            convert(home, store, run.id)
        with errors_shown(), st.spinner("Packing …"):
            target = Path(mkdtemp(prefix="student-")) / f"student-{run.id}.zip"
            st.session_state["packed"] = (run.id, acts.export(run.id, target))
    forms = read_conversion(home.onnx(run.id))
    if forms is not None:
        show_forms(forms)
    packed = st.session_state.get("packed")
    if packed and packed[0] == run.id and packed[1].exists():
        with packed[1].open("rb") as file:
            st.download_button("Download the student", file, file_name=packed[1].name, mime="application/zip",
                               type="primary", icon=":material/download:")  # fmt: skip
    if acts.may_change(run):
        push(run)
    st.page_link(
        "new_run.py",
        label="Continue with new data",
        query_params={"student": f"run:{run.id}/student", "teacher": teacher_of(run)},
        icon=":material/update:",
    )


def show(run: RunRow) -> None:
    set_title(f"Results of run {run.id}")
    task = task_of(run)
    evaluations = store.evaluations(run.id)
    models = scored(evaluations, task.measures[0])
    crumbs(run)
    verdict(run, models, task, evaluations)
    if evaluations:
        details(run, models, evaluations, task)
    download(run)


try:
    chosen = choose()
    if chosen is not None:
        show(chosen)
except StudioError as error:
    st.title("Results", anchor=False)
    show_error(error)
    st.page_link("all_runs.py", label="All runs", icon=":material/arrow_back:")
