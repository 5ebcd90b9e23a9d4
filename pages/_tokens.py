"""Tokens for programs: made, shown once, revoked."""

import time

import streamlit as st

from pages._language import N_, _, counted
from pages._studio import errors_shown, get_acts
from pages._words import ago, escape
from studio.service import tokens
from studio.service.people import Role
from studio.store.rows import TokenRow

DAYS = (30, 90, 365)
ROLES: dict[Role, str] = {"viewer": N_("viewer"), "member": N_("member"), "admin": N_("admin")}
SHOWN = "new-token"
EXAMPLE = """curl ADDRESS/api/runs/1/predict \\
  -H "Authorization: Bearer TOKEN" \\
  -d '{"inputs": ["a text"]}'"""


def section() -> None:
    """Programs ask the models over HTTP: who may, and how."""
    acts = get_acts()
    st.header(_("Access for programs"), anchor=False)
    st.markdown(
        _("Your own programs can ask the models of a run over HTTP. Each needs a token: a password of its own.")
    )
    with st.expander(_("How to ask"), key="fold-ask"):
        address = str(st.context.url or "").split("/settings")[0].rstrip("/")
        st.code(EXAMPLE.replace("ADDRESS", address), language="bash")
        st.markdown(_("Everything that can be asked is described in [OpenAPI form]({address}).",
                      address=f"{address}/api/openapi.json"))  # fmt: skip
    if not acts.person.has("member"):
        st.caption(_("Members and admins make tokens."))
        return
    _new()
    for row in tokens.visible(acts):
        _line(row)


def _new() -> None:
    """The form, and the secret of the token that was made last."""
    acts = get_acts()
    with st.form("token", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name"), key="token-name", max_chars=tokens.LONGEST_NAME,
                             placeholder=_("Which program uses it"))  # fmt: skip
        may = [role for role in ROLES if acts.person.has(role)]
        role = st.selectbox(_("Role"), may, key="token-role", width=140, format_func=_,
                            help=_("A viewer’s token asks models; a member’s also starts runs."))  # fmt: skip
        days = st.selectbox(_("Works for"), DAYS, index=1, key="token-days", width=140,
                            format_func=lambda number: _("{number} days", number=number))  # fmt: skip
        made = st.form_submit_button(_("Make a token"), icon=":material/key:", key="token-make")
    if made:
        with errors_shown():
            st.session_state[SHOWN] = tokens.make(acts, name, role, days)[1]
    secret = st.session_state.pop(SHOWN, None)
    if secret is not None:
        st.success(_("Copy it now: it is not shown again, and the studio keeps only its hash."),
                   icon=":material/key:")  # fmt: skip
        st.code(secret, language=None)


def _line(row: TokenRow) -> None:
    """One token that works."""
    used = _("used {ago}", ago=ago(row.used_at)) if row.used_at else _("never used")
    days = max(1, round((row.expires_at - time.time()) / 86_400))
    left = counted("{number} day left", "{number} days left", days)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("**{name}** · {role} · made {ago} · {used} · {left}", name=escape(row.name),
              role=_(row.role), ago=ago(row.created_at), used=used, left=left)
        )  # fmt: skip
        if st.button(_("Revoke"), icon=":material/block:", key=f"revoke-{row.id}"):
            with errors_shown():
                tokens.revoke(get_acts(), row.id)
                st.rerun()
