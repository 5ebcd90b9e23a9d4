"""Who did what, and who holds what: the audit log and the leases."""

import time

from studio.store.database import OpenDatabase
from studio.store.rows import AuditRow, Lease

SIGNED_OUT = "sign out"
"""That somebody has ended a login, whose name the entry is about."""


class Audit(OpenDatabase):
    """The audit log."""

    def note(self, who: str, what: str, about: str = "") -> None:
        """Write down that somebody did something. What stands here can be neither changed nor taken away."""
        with self._on_the_disk():
            self._db.execute(
                "INSERT INTO audit (time, who, what, about) VALUES (?, ?, ?, ?)", [time.time(), who, what, about]
            )

    def logins_over(self, days: float) -> set[str]:
        """The logins that somebody has ended within so many days."""
        sql = "SELECT about FROM audit WHERE what = ? AND time > ?"
        return {row["about"] for row in self._rows(sql, [SIGNED_OUT, time.time() - 24 * 3600 * days])}

    def audit(self, limit: int | None = 200) -> list[AuditRow]:
        """The newest entries first, all of them where `limit` is None."""
        sql = "SELECT id, time, who, what, about FROM audit ORDER BY id DESC LIMIT ?"
        return [AuditRow(**row) for row in self._rows(sql, [-1 if limit is None else limit])]


class Leases(OpenDatabase):
    """Who does what only one may do."""

    def hold_lease(self, name: str, owner: str, instead_of: str | None = None) -> bool:
        """Take a lease, or say that its holder lives; False while it is another's, except one that is gone."""
        self._db.execute(
            "INSERT INTO leases (name, owner, expires_at) VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE"
            " SET owner = excluded.owner, beat = beat + 1 WHERE leases.owner IN (excluded.owner, ?)",
            [name, owner, instead_of],
        )
        held = self.lease(name)
        return held is not None and held.owner == owner

    def lease(self, name: str) -> Lease | None:
        found = self._row("SELECT owner, beat FROM leases WHERE name = ?", [name])
        return Lease(**found) if found else None

    def release_lease(self, name: str, owner: str) -> None:
        self._db.execute("DELETE FROM leases WHERE name = ? AND owner = ?", [name, owner])
