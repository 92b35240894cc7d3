"""Lexicons: toxic terms, groups of people and refusals. A native gate selects the texts that are then matched closely.

The word files contain offensive words, because that is what they look for.
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
