"""Persons, known by a mark: no name and no address is kept."""

import hashlib
import hmac
from typing import Final

SUBJECT_SALT: Final = "subject"
"""The salt of persons in the ledger, one for all data sets; deleting it makes their marks meaningless."""


def subject_pseudonym(salt: bytes, value: str) -> str:
    """32 hex digits of HMAC-SHA256 (the salt of persons; what identifies one, without case and outer spaces)."""
    return hmac.new(salt, value.strip().casefold().encode(), hashlib.sha256).hexdigest()[:32]
