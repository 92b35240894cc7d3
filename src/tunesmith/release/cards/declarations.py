"""What the maker stated of the rows: by file, over all files, and the licence of the whole."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import AuditReport, SourceSummary
from tunesmith.data.licenses import combine_licenses

DECLARED_KEYS: Final = (
    *("license", "origin", "author", "basis", "purpose"),
    *("collected", "expires", "source_class", "generator", "language"),
)
LICENSE_CHECK: Final = "unlicensed-source"


@dataclass(frozen=True)
class Declaration:
    """Rows by the value of one key; `unnamed` rows carry a value that is not listed, `without` rows carry none."""

    rows: dict[str, int]
    unnamed: int
    without: int

    @property
    def complete(self) -> bool:
        """Whether every row carries a value, and all of them are listed."""
        return bool(self.rows) and self.unnamed == 0 and self.without == 0

    @property
    def only(self) -> str | None:
        """The one value that all rows carry."""
        return next(iter(self.rows)) if self.complete and len(self.rows) == 1 else None


def file_declaration(source: SourceSummary, key: str) -> Declaration:
    """What the rows of a file carry; where rows were not counted, what the recipe states for all of them."""
    given = getattr(source, key)
    counts = source.stated.get(key)
    if counts is None:
        counts = {} if given is None or not given.strip() else {given.strip(): source.rows}
    rows = {value: n for value, n in counts.items() if value}
    unnamed = counts.get("", 0)
    return Declaration(rows, unnamed, source.rows - sum(rows.values()) - unnamed)


def combined_declaration(sources: Iterable[SourceSummary], key: str) -> Declaration:
    """What the rows of all files carry, the most common value first."""
    rows: Counter[str] = Counter()
    unnamed = without = 0
    for source in sources:
        found = file_declaration(source, key)
        rows.update(found.rows)
        unnamed += found.unnamed
        without += found.without
    common = sorted(rows, key=lambda value: (-rows[value], value))
    return Declaration({value: rows[value] for value in common}, unnamed, without)


def file_value(source: SourceSummary, key: str) -> str | None:
    """The value that stands for a file: the one that all its rows carry, else the one its source states."""
    return file_declaration(source, key).only or getattr(source, key)


def kept_row_licenses(audit: AuditReport) -> tuple[str, ...]:
    """The licences on the rows that the audit kept, sorted."""
    kept = {*audit.train.licenses, *(() if audit.test is None else audit.test.licenses)}
    return tuple(sorted(kept or combined_declaration(audit.sources, "license").rows))


def every_row_licensed(audit: AuditReport) -> bool:
    """Whether every kept row states a licence: all that were read do, or the check for it took out the others."""
    ran = audit.checks.get(LICENSE_CHECK, "")
    if ran.endswith(("|action=drop", "|action=block")):
        return bool(kept_row_licenses(audit))
    return combined_declaration(audit.sources, "license").complete


def combined_license(audit: AuditReport) -> str | None:
    """The SPDX expression that holds for the kept rows as a whole; None when a row states no licence, or one that is none."""
    return combine_licenses(kept_row_licenses(audit)) if every_row_licensed(audit) else None
