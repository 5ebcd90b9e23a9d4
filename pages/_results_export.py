"""The student to take away: built when somebody asks for it, downloaded, or put on the Hugging Face Hub."""

import streamlit as st

from pages import _downloads as downloads
from pages import _pictures as pictures
from pages._language import N_, _, counted, retell
from pages._scores import milliseconds
from pages._studio import errors_shown, get_acts, get_home
from pages._words import escape, percent, size
from studio.pipeline.answers import Conversion, read_conversion
from studio.service.passing import room
from studio.store.rows import RunRow

FORMS = {"torch": "PyTorch", "float32": "ONNX", "int8": N_("ONNX in int8")}
"""What a form of the student is called; any other one by its own name."""


def can_get(run: RunRow) -> bool:
    """Whether there is a student, and this person may take it."""
    return get_acts().person.has("member") and get_home().model(run.id, "student").is_dir()


def show(run: RunRow) -> None:
    """Build, look at the forms, download."""
    home, acts = get_home(), get_acts()
    st.caption(_("A Hugging Face folder with a model card and the settings that produced it, plus ONNX files."))
    if st.button(_("Build download"), icon=":material/inventory_2:", key="prepare", type="primary"):
        with errors_shown(), st.spinner(_("Converting to ONNX and checking it on validation rows …")):
            acts.convert(run.id)
        with errors_shown(), st.spinner(_("Packing …")):
            target = room(home, home.downloads, owner=acts.person.address or "") / f"student-{run.id}.zip"
            st.session_state["packed"] = (run.id, acts.export(run.id, target))
    forms = read_conversion(home.onnx(run.id))
    if forms is not None:
        _show_forms(forms)
    packed = st.session_state.get("packed")
    if packed and packed[0] == run.id and packed[1].exists():
        downloads.button(_("Download the student"), packed[1], primary=True)
    if acts.may_change(run):
        _push(run)
    st.page_link(
        "new_run.py",
        label=_("Continue with new data"),
        query_params={"student": f"run:{run.id}/student", "teacher": _teacher_of(run)},
        icon=":material/update:",
    )


def _show_forms(conversion: Conversion) -> None:
    """The student in torch and as ONNX side by side."""
    table = [
        {
            _("Format"): _(FORMS.get(form.name, form.name)),
            _("Size"): size(form.size_bytes),
            _("Latency"): "–" if form.latency_ms is None else milliseconds(form.latency_ms),
            _("Same answer as in torch"): percent(form.same),
        }
        for form in conversion.forms
        if form.rows
    ]
    st.html(pictures.table(table))
    for form in conversion.forms:
        if form.left_out:
            sentence = _("The {form} file is left out.", form=_(FORMS.get(form.name, form.name)))
            st.warning(f"{sentence} {escape(retell(form.left_out))}", icon=":material/warning:")
    rows, threads = conversion.forms[0].rows, conversion.threads
    st.caption(counted("Compared on {rows} validation rows, timed in turns, {threads} thread.",
                       "Compared on {rows} validation rows, timed in turns, {threads} threads.", threads, rows=rows,
                       threads=threads))  # fmt: skip


def _teacher_of(run: RunRow) -> str:
    """The teacher as this run left it: fine-tuned, where it was fine-tuned here."""
    return f"run:{run.id}/teacher" if get_home().model(run.id, "teacher").is_dir() else run.config.teacher


def _push(run: RunRow) -> None:
    """To the Hugging Face Hub, where this machine is signed in there."""
    from studio.models import hub

    with st.expander(_("Push to the Hugging Face Hub")):
        if not hub.has_token():
            st.caption(_("Sign in on the studio’s machine first, with `hf auth login`, or set HF_TOKEN."))
            return
        name = st.text_input(_("New repository"), placeholder="my-name/my-student", key="push-name")
        public = st.toggle(_("Public"), key="push-public", help=_("Anybody can see and download it."))
        if st.button(_("Push"), icon=":material/cloud_upload:", key="push", disabled=not name.strip()):
            with errors_shown(), st.spinner(_("Pushing …")):
                address = get_acts().push(run.id, name.strip(), private=not public)
                st.success(_("Pushed to {address}.", address=escape(address)), icon=":material/check_circle:")
