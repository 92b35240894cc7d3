"""Personal data: text in a row that identifies or reaches a person.

What it finds: in any message, e-mail addresses, phone numbers, payment cards (Luhn), IBANs (mod 97), bank accounts; national,
tax, health and social security numbers of some forty countries (with check digits where they exist); passports and driving
licences after a cue; IP and MAC addresses, crypto wallets (checksum), coordinates, dates of birth, profiles and handles, IMEI,
VIN, and names after phrases such as "my name is". Kinds listed in `audit.exempt` are skipped.
Why it matters: a tuned model can repeat personal data, and a person can request its erasure.
Limits: patterns match form, not meaning: other names, street addresses and user names without an @ are not found, and labels
are not searched. The forms are those of the pattern pack (`tunesmith.detect.patterns.personal`).
Reference: Carlini et al. 2021, Extracting Training Data from Large Language Models, arXiv:2012.07805; GDPR Art. 4(1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.audit.pattern_findings import pattern_findings
from tunesmith.detect.patterns import PERSONAL


@CHECKS.register
@dataclass(frozen=True)
class PersonalData:
    """One finding per row with all spans; matched text is never repeated."""

    id: ClassVar[str] = "personal-data"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "redact"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "redact", "warn")
    phase: ClassVar[int] = ROW_PHASE

    exempt: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        return pattern_findings(self, corpus, PERSONAL, exempt=self.exempt)
