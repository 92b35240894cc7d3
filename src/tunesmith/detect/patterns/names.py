"""Names of people, behind a phrase such as "my name is". Titles such as Dr do not count: public figures have them too."""

from typing import Final

from tunesmith.detect.patterns.pattern import Pattern

NOT_NAMES: Final = frozenset(
    {"first", "last", "name", "surname", "full", "your", "the", "a", "an", "not", "here", "required", "none", "unknown"}
)
"""Words that fill a form in place of a name."""


def _name(text: str) -> int:
    return 0 if NOT_NAMES & set(text.lower().split()) else len(text)


_ROLE = r"(?:patient|customer|client|employee|applicant|tenant|insured|cardholder|account holder|emergency contact)"
_NAME_CUE = (
    rf"(?i:my (?:full |legal )?name is|(?:full|legal|maiden|{_ROLE}(?:'s)?) name(?: is|:)|"
    rf"name of (?:the )?{_ROLE}(?: is|:))"
)
_NAME_PART = r"[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ž'’-]{1,30}"

NAMES: Final = (
    Pattern(
        "person-name",
        rf"(?<![A-Za-z]){_NAME_CUE}[ ]{{1,3}}(?P<value>{_NAME_PART}(?: {_NAME_PART}){{1,3}})(?![A-Za-z])",
        _name,
    ),
)
