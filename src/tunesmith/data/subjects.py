"""Pseudonyms of data subjects: the store keeps no names and no addresses."""

import hashlib
import hmac
from typing import Final

SUBJECT_SALT: Final = "subject"
"""Name of the ledger's salt for pseudonyms, one for all data sets. Once it is deleted, pseudonyms can no longer be computed."""


def subject_pseudonym(salt: bytes, value: str) -> str:
    """32 hex digits of HMAC-SHA256 (salt; the identifying value, stripped and case-folded)."""
    return hmac.new(salt, value.strip().casefold().encode(), hashlib.sha256).hexdigest()[:32]
