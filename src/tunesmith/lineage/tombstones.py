"""Tombstones of rows: keyed marks by which an audit recognizes an erased row that its source file still contains.

A mark is an HMAC-SHA256 under the ledger's salt `erased` of the example's digest, of the place (digest of the source file, line),
or of the subject's pseudonym. Without a copy of the row and the ledger, a mark reveals nothing.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tunesmith.store import Store

ERASED_SALT: Final = "erased"
"""Name of the salt. It is never deleted, or erased rows could return unnoticed."""

CONTENT_REASON: Final = "the same content as an erased row"
PLACE_REASON: Final = "the line of an erased row, in the same file"
PERSON_REASON: Final = "a row of a person who is to be kept out"


def content_mark(key: bytes, digest: str) -> bytes:
    """The mark of an example, by the digest of its canonical bytes."""
    return _keyed_mark(key, "content", digest.removeprefix("sha256:"))


def place_mark(key: bytes, sha256: str, line: int) -> bytes:
    """The mark of a line (from 1) of a file, by the file's digest."""
    return _keyed_mark(key, "place", f"{sha256.removeprefix('sha256:')}:{line}")


def person_mark(key: bytes, subject: str) -> bytes:
    """The mark of a person, by the pseudonym in `Rights.subject` (32 hex digits)."""
    return _keyed_mark(key, "person", subject)


def _keyed_mark(key: bytes, kind: str, value: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{value}".encode(), hashlib.sha256)


@dataclass(frozen=True)
class Tombstones:
    """Marks of a store and digests of the files to read, by name; `matches` collects (file, line, reason) of erased rows."""

    key: bytes
    marks: frozenset[bytes]
    files: Mapping[str, str]
    matches: list[tuple[str, int, str]] = field(default_factory=list)

    def match_reason(self, digest: str, file: str, *, line: int, subject: str | None) -> str | None:
        """Why a row is an erased one (by its example's digest, its place or its subject), or None when it is not."""
        if content_mark(self.key, digest) in self.marks:
            return CONTENT_REASON
        if file in self.files and place_mark(self.key, self.files[file], line) in self.marks:
            return PLACE_REASON
        return PERSON_REASON if subject is not None and person_mark(self.key, subject) in self.marks else None


def load_tombstones(store: Store, files: Callable[[], Mapping[str, str]]) -> Tombstones:
    """The tombstones of a store. `files` returns the digests of the files to read, by split and name as in `sources.fingerprint`;
    it is called only when there are tombstones.
    """
    marks = store.ledger.erasures.marks()
    if not marks:
        return Tombstones(b"", marks, {})
    return Tombstones(
        store.ledger.salt(ERASED_SALT), marks, {name.partition("/")[2]: sha256 for name, sha256 in files().items()}
    )
