"""The data card: where the rows come from, on what ground, and what became of them. Every field says how it is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tunesmith.artifacts import AuditReport, SourceSummary, TrainReport
from tunesmith.recipe import Recipe
from tunesmith.release import wording
from tunesmith.release.cards.markdown import render

Mark = Literal["measured", "declared", "missing"]

UNASKED = (
    "How and when the rows were collected",
    "Whom the rows are about, and how those persons were told",
    "Who labelled the rows, and by what instruction",
    "How long the rows are kept, and who can have them removed",
)
"""Questions of Datasheets for Datasets (Gebru et al. 2021, arXiv 1803.09010) that no key of the recipe answers yet."""


@dataclass(frozen=True)
class Field:
    """One line of the card. `missing` has no value of its own: the card says so in words."""

    name: str
    value: str
    mark: Mark


@dataclass(frozen=True)
class RuleLine:
    """What one rule did: how many rows it took out, replaced something in, or warned of; and its most common reasons."""

    rule: str
    dropped: int
    redacted: int
    warned: int
    reasons: str


def render_data_card(recipe: Recipe, audit: AuditReport, *, train: TrainReport) -> str:
    """Markdown. No text of any row stands in it."""
    values = {
        "name": recipe.name,
        "audit": audit,
        "sources": [(source, _source_fields(source)) for source in audit.sources],
        "counts": _counts(audit, train),
        "rules": rule_lines(audit),
        "checks": sorted(audit.checks.items()),
        "off": recipe.audit.off,
        "exempt": sorted(recipe.audit.exempt.items()),
        "allowed": recipe.audit.allowed_licenses,
        "unasked": [declared(question, None) for question in UNASKED],
        "w": wording,
    }
    return render("data-card.md.j2", values)


def declared(name: str, value: str | None) -> Field:
    """A field that only the maker can know."""
    given = value is not None and bool(value.strip())
    return Field(name, wording.stated(value), "declared" if given else "missing")


def rule_lines(audit: AuditReport) -> tuple[RuleLine, ...]:
    """Every rule that found something, the one that took out most rows first."""
    rules = {*audit.dropped, *audit.redacted, *audit.warned, *(finding.rule for finding in audit.findings)}
    lines = [
        RuleLine(
            rule=rule,
            dropped=audit.dropped.get(rule, 0),
            redacted=audit.redacted.get(rule, 0),
            warned=audit.warned.get(rule, 0),
            reasons="; ".join(_reasons(finding.reason for finding in audit.findings if finding.rule == rule)),
        )
        for rule in rules
    ]
    return tuple(sorted(lines, key=lambda line: (-line.dropped, -line.redacted, -line.warned, line.rule)))


def _reasons(reasons: Iterable[str], most: int = 3) -> list[str]:
    """The first few different reasons."""
    return list(dict.fromkeys(reasons))[:most]


def _source_fields(source: SourceSummary) -> tuple[Field, ...]:
    return (
        Field("Split", source.split, "declared"),
        Field("Format", source.format, "measured"),
        Field("Rows read", wording.count(source.rows), "measured"),
        Field("SHA-256", source.sha256.removeprefix("sha256:"), "measured"),
        declared("Licence", source.license),
        declared("Origin", source.origin),
        declared("Legal basis (GDPR Art. 6)", source.basis),
    )


def _counts(audit: AuditReport, train: TrainReport) -> tuple[Field, ...]:
    test = 0 if audit.test is None else audit.test.rows
    return (
        Field("Rows read", wording.count(audit.rows_read), "measured"),
        Field("Training rows after the audit", wording.count(audit.train.rows), "measured"),
        Field("Held-out rows after the audit", wording.count(test), "measured"),
        Field("Rows taken out", wording.count(audit.rows_read - audit.train.rows - test), "measured"),
        Field("Rows trained on", wording.count(train.rows), "measured"),
        Field("Tokens trained on, repeats included", wording.count(train.tokens), "measured"),
        Field("Digest of the training rows", audit.train.rows_digest, "measured"),
        Field("Digest of the held-out rows", "none" if audit.test is None else audit.test.rows_digest, "measured"),
        Field("Licences on the training rows", ", ".join(audit.train.licenses) or "none given", "declared"),
    )
