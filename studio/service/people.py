"""Who uses the studio, and what each of them may do.

What a login says of a person is held against three lists in the environment, each with commas between its entries:
`STUDIO_VIEWERS` see runs and results, `STUDIO_MEMBERS` also start runs and bring data, `STUDIO_ADMINS` may do
everything. An entry is an address (`ada@example.org`), a domain (`@example.org`) or a group (`group:research`), as the
claim `STUDIO_GROUPS_CLAIM` (groups) names them. Who is on several lists has the highest role, who is on none does not
enter. Without a login there is one person, who sits at this machine and is admin.
"""

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio.errors import AccessError, ConfigError
from studio.service.program import program_folder

Role = Literal["viewer", "member", "admin"]
LISTS: dict[Role, str] = {"viewer": "STUDIO_VIEWERS", "member": "STUDIO_MEMBERS", "admin": "STUDIO_ADMINS"}
"""The variable that lists those of a role, the lowest role first."""

GROUP = "group:"
_ADDRESS = re.compile(r"[^@\s:,]+@[^@\s:,]+")
_ENTRY = re.compile(rf"[^@\s]*@[^@\s]+|{GROUP}.+")


@dataclass(frozen=True)
class Person:
    """Who does something. `address` is None for the one who sits at this machine."""

    name: str
    role: Role
    address: str | None = None

    def has(self, role: Role) -> bool:
        """Whether the person's role is this one or a higher one.

        >>> Person("ada", "member").has("viewer"), Person("ada", "member").has("admin")
        (True, False)
        """
        order = list(LISTS)
        return order.index(self.role) >= order.index(role)

    def may_change(self, made_by: str | None) -> bool:
        """Whether the person may stop, rename, delete what somebody has made: its owner, or an admin."""
        return self.role == "admin" or (self.has("member") and made_by is not None and made_by == self.address)


def local() -> Person:
    """Whoever sits at this machine: in a terminal, in Python, or at pages that need no login."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        name = f"user {os.getuid()}"
    return Person(f"{name} (local)", "admin")


def lists() -> dict[Role, tuple[str, ...]]:
    """The entries of each list, in small letters but for groups. Raises `ConfigError` where one is none."""
    found: dict[Role, tuple[str, ...]] = {}
    for role, variable in LISTS.items():
        entries = [entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip()]
        wrong = next((entry for entry in entries if not _ENTRY.fullmatch(entry)), None)
        if wrong is not None:
            raise ConfigError(
                f"{variable} names {wrong!r}, which is no person.",
                "Write addresses (ada@example.org), domains (@example.org) or groups (group:research), with commas.",
            )
        found[role] = tuple(entry if entry.startswith(GROUP) else entry.lower() for entry in entries)
    return found


def person(claims: Mapping[str, Any]) -> Person:
    """Who has signed in, by what the provider says. Raises `AccessError`, which says why, where that person may not
    enter: no address that the provider has verified, or on no list."""
    address = claims.get("email")
    if not isinstance(address, str) or not _is_plain(address):
        raise AccessError("Your account has no email address.", "Use one that has.")
    address = address.lower()
    if claims.get("email_verified") not in (True, "true"):
        raise AccessError(
            f"The address {address} is not verified by your provider.", "Verify it there, then sign in again."
        )
    names = {address, address[address.index("@") :], *(f"{GROUP}{group}" for group in _groups(claims))}
    role = next((role for role, entries in reversed(lists().items()) if names & set(entries)), None)
    if role is None:
        raise AccessError(f"{address} may not use this studio.", "Ask whoever runs it, or use another account.")
    return Person(address, role, address)


def _is_plain(address: str) -> bool:
    """Whether an address is one of letters that everybody reads as the same.

    >>> _is_plain("ada@example.org"), _is_plain("a@b@example.org"), _is_plain("ad\u0430@example.org")
    (True, False, False)
    >>> _is_plain("ada\x1b[2J@example.org")
    False
    """
    return address.isascii() and address.isprintable() and _ADDRESS.fullmatch(address) is not None


def may_open(folder: Path) -> bool:
    """Whether the folder of a model lies in one of `STUDIO_MODEL_FOLDERS`, wherever links lead; those of the demos are
    the program's own."""
    allowed = [program_folder() / "assets" / "demo", *model_folders()]
    real = folder.resolve()
    return any(real.is_relative_to(root.resolve()) for root in allowed)


def model_folders() -> list[Path]:
    """The folders that `STUDIO_MODEL_FOLDERS` names, separated as in PATH."""
    return [Path(path).expanduser() for path in os.environ.get("STUDIO_MODEL_FOLDERS", "").split(os.pathsep) if path]


def _groups(claims: Mapping[str, Any]) -> list[str]:
    groups = claims.get(os.environ.get("STUDIO_GROUPS_CLAIM") or "groups", [])
    groups = [groups] if isinstance(groups, str) else groups
    return [group for group in groups if isinstance(group, str)] if isinstance(groups, list) else []
