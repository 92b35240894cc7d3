"""Personal data: something in a row that identifies or reaches a person.

What it finds: e-mail addresses, phone numbers, payment cards (Luhn), IBANs (mod 97), bank accounts, national, tax, health and
social security numbers of some forty countries (check digits where there are any), passports and driving licences behind a cue,
IP and MAC addresses, crypto wallets (checksum), coordinates, dates of birth, profiles and handles, IMEI, VIN, and names behind
words such as "my name is", in any message. Kinds in `audit.exempt` are passed over.
Why it matters: a tuned model can repeat what it saw, and a person can ask for it to be erased.
Limits: patterns see forms, not meaning: other names, street addresses and user names without an @ are not found, and labels are
not read. Forms are those of the pattern pack (`tunesmith.detect.patterns.personal`).
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
    """One finding a row, with every span; nothing of what was found is repeated."""

    id: ClassVar[str] = "personal-data"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "redact"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "redact", "warn")
    turn: ClassVar[int] = ROW_PHASE

    exempt: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        return pattern_findings(self, corpus, PERSONAL, exempt=self.exempt)
