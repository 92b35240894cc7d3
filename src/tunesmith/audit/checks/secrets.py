"""Secrets: a password, key or token in a row.

What it finds: private keys, JSON Web Tokens, keys and tokens of some sixty providers by their form; passwords in URLs; bearer
tokens, API keys, passwords, PINs, one-time and card codes, and random values behind a name such as `signing_secret =`, by their
cue. Kinds in `audit.exempt` are passed over.
Why it matters: whoever talks to the tuned model can draw them out, and a key in a file has leaked already: change it.
Limits: a password that is a plain word, or one without a cue, is not found. High entropy alone is no sign of a secret.
Reference: Carlini et al. 2019, The Secret Sharer, arXiv:1802.08232; the providers' own key formats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.audit.pattern_findings import pattern_findings
from tunesmith.detect.patterns import SECRETS


@CHECKS.register
@dataclass(frozen=True)
class Secrets:
    """One finding a row, with every span; nothing of what was found is repeated."""

    id: ClassVar[str] = "secrets"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "redact"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "redact", "warn")
    turn: ClassVar[int] = ROW_PHASE

    exempt: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        return pattern_findings(self, corpus, SECRETS, exempt=self.exempt)
