"""Tokens for programs: made and revoked by people, shown once, good for no more than their maker may do."""

import hashlib
import secrets
import time

from studio.errors import AccessError, ConfigError
from studio.service import people
from studio.service.acts import Acts
from studio.service.people import GROUP, Person, Role
from studio.store.rows import TokenRow
from studio.store.store import Store

BEGINNING = "studio_"
DAYS, MOST_DAYS = 90, 366
LONGEST_NAME = 80
USED_SECONDS = 60.0
"""When a token was used is written down no finer than this."""


def make(acts: Acts, name: str, role: Role = "viewer", days: int = DAYS) -> tuple[TokenRow, str]:
    """A new token and its secret, which nobody can read again. A token may do at most what its maker may.

    Raises `ConfigError` for a name or a time out of range, `AccessError` for a role above the maker's.
    """
    acts.require("member")
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise ConfigError(f"The name of a token has 1 to {LONGEST_NAME} letters, got {len(name)}.", "Say who uses it.")
    if not 1 <= days <= MOST_DAYS:
        raise ConfigError(f"A token works for 1 to {MOST_DAYS} days, got {days}.", "Choose a time within that.")
    if not acts.person.has(role):
        raise AccessError(f"A {acts.person.role} cannot make a token for a {role}.", "Choose a lower role.")
    secret = BEGINNING + secrets.token_urlsafe(32)
    row = acts.store.add_token(name=name, hashed=_hashed(secret), role=role, made_by=acts.person.address,
                     expires_at=time.time() + days * 86_400)  # fmt: skip
    acts.note("make token", f"token {row.id}, {name!r}, {role}, {days} days")
    return row, secret


def revoke(acts: Acts, token_id: int) -> None:
    """End a token. Raises `AccessError` where it is another's and the person is no admin."""
    row = acts.store.token(token_id)
    if not acts.person.may_change(row.made_by):
        raise AccessError(f"{acts.person.name} may not revoke token {token_id}.", "Ask who made it, or an admin.")
    acts.store.revoke_token(token_id)
    acts.note("revoke token", f"token {row.id}, {row.name!r}")


def visible(acts: Acts) -> list[TokenRow]:
    """The tokens that this person may revoke, without those that work no more."""
    now = time.time()
    return [row for row in acts.store.tokens() if row.works(now) and acts.person.may_change(row.made_by)]


def person(store: Store, secret: str) -> Person:
    """Who asks with this token. Raises `AccessError` where it does not work, or its maker may no longer enter."""
    row = store.token_by_hash(_hashed(secret))
    now = time.time()
    if row is None or not row.works(now):
        raise AccessError("This token does not work: it is unknown, revoked or expired.", "Make a new one on Settings.")
    role = _role(row)
    if row.used_at is None or now - row.used_at > USED_SECONDS:
        store.token_used(row.id, now)
    return Person(f"token {row.id}", role, row.made_by)


def _role(row: TokenRow) -> Role:
    """The token's role, or a lower one that its maker has by now."""
    known = [role for role in people.LISTS if role == row.role]
    role: Role = known[0] if known else "viewer"
    if row.made_by is None:
        return role
    try:
        maker = people.person({"email": row.made_by, "email_verified": True})
    except AccessError:
        if _has_groups():  # whether the maker is in one of them, the provider alone knows
            return role
        raise AccessError(f"{row.made_by}, who made this token, may no longer enter.", "Ask an admin.") from None
    return role if maker.has(role) or _has_groups() else maker.role


def _has_groups() -> bool:
    return any(entry.startswith(GROUP) for entries in people.lists().values() for entry in entries)


def _hashed(secret: str) -> str:
    """A token holds 256 random bits: a plain hash cannot be guessed back, and needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()
