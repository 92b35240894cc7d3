"""Lexicons: word lists of our own writing, matched by one native gate and read closely only where it opens.

They hold offensive words, because that is what they look for.
"""

from tunesmith.detect.lexicons.identities import IDENTITIES, Identity, mentioned_identities
from tunesmith.detect.lexicons.refusals import starts_with_refusal
from tunesmith.detect.lexicons.toxic import TOXIC_ENTRIES, find_toxic_terms, toxic_gate

__all__ = [
    "TOXIC_ENTRIES",
    "IDENTITIES",
    "Identity",
    "find_toxic_terms",
    "toxic_gate",
    "mentioned_identities",
    "starts_with_refusal",
]
"""`found` and `mentions` take what they read from the same expressions as their gates, so that no gate loses a hit."""
