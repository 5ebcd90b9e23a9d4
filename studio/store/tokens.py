"""The tokens with which programs ask the studio: kept are their hashes, never the tokens themselves."""

import time
from collections.abc import Iterable
from typing import Any

from studio.errors import StoreError
from studio.store.database import OpenDatabase
from studio.store.rows import TokenRow

_COLUMNS = "id, name, role, made_by, created_at, expires_at, used_at, revoked_at"


class Tokens(OpenDatabase):
    """The tokens, by their numbers and their hashes."""

    def add_token(self, *, name: str, hashed: str, role: str, made_by: str | None, expires_at: float) -> TokenRow:
        values = {"name": name, "hash": hashed, "role": role, "made_by": made_by, "created_at": time.time(),
                  "expires_at": expires_at}  # fmt: skip
        with self._on_the_disk():
            self._db.table("tokens").insert(values)
        return self._tokens("WHERE hash = ?", [hashed])[0]

    def token(self, token_id: int) -> TokenRow:
        """Raises `StoreError` where there is none."""
        found = self._tokens("WHERE id = ?", [token_id])
        if not found:
            raise StoreError(f"There is no token {token_id}.", "Choose one of the list.")
        return found[0]

    def token_by_hash(self, hashed: str) -> TokenRow | None:
        return next(iter(self._tokens("WHERE hash = ?", [hashed])), None)

    def tokens(self) -> list[TokenRow]:
        """All tokens, also those that work no more, the newest first."""
        return self._tokens("ORDER BY id DESC")

    def revoke_token(self, token_id: int) -> None:
        """From now on the token works no more."""
        self._db.execute("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                         [time.time(), token_id])  # fmt: skip

    def token_used(self, token_id: int, now: float) -> None:
        self._db.execute("UPDATE tokens SET used_at = ? WHERE id = ?", [now, token_id])

    def _tokens(self, where: str, values: Iterable[Any] = ()) -> list[TokenRow]:
        return [TokenRow(**row) for row in self._rows(f"SELECT {_COLUMNS} FROM tokens {where}", values)]
