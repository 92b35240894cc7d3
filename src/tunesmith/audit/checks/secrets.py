"""Secrets: a password, key or token in a row.

What it finds: private keys, JSON Web Tokens, keys and tokens of some sixty providers by their format; passwords in URLs; and,
after a cue, bearer tokens, API keys, passwords, PINs, one-time codes, card codes, and random values after a name such as
`signing_secret =`. Kinds listed in `audit.exempt` are skipped.
Why it matters: anyone who can query the tuned model can extract them. A key in a file is already leaked: rotate it.
Limits: passwords that are plain words, or that have no cue, are not found. High entropy alone is not treated as a secret.
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
    """One finding per row with all spans; matched text is never repeated."""

    id: ClassVar[str] = "secrets"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "redact"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "redact", "warn")
    phase: ClassVar[int] = ROW_PHASE

    exempt: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        return pattern_findings(self, corpus, SECRETS, exempt=self.exempt)
