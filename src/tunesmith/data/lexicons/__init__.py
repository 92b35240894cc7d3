"""Lexicons: word lists of our own writing, matched by one native gate and read closely only where it opens.

They hold offensive words, because that is what they look for.
"""

from tunesmith.data.lexicons.identities import IDENTITIES, Identity, mentions
from tunesmith.data.lexicons.refusals import refuses
from tunesmith.data.lexicons.toxic import ENTRIES, found, gate

__all__ = ["ENTRIES", "IDENTITIES", "Identity", "found", "gate", "mentions", "refuses"]
"""`found` and `mentions` take what they read from the same expressions as their gates, so that no gate loses a hit."""
