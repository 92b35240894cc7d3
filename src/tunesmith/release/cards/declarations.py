"""Declarations of the maker about the rows: per file, over all files, and the combined licence."""

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
    """Row counts by the value of one key. `unnamed` counts rows with an unlisted value, `without` rows with none."""

    rows: dict[str, int]
    unnamed: int
    without: int

    @property
    def complete(self) -> bool:
        """Whether every row has a listed value."""
        return bool(self.rows) and self.unnamed == 0 and self.without == 0

    @property
    def only(self) -> str | None:
        """The value shared by all rows, if there is one."""
        return next(iter(self.rows)) if self.complete and len(self.rows) == 1 else None


def file_declaration(source: SourceSummary, key: str) -> Declaration:
    """Values of one key in the rows of a file. Without row counts, the value the recipe states for the whole file."""
    stated_value = getattr(source, key)
    counts = source.stated.get(key)
    if counts is None:
        counts = {} if stated_value is None or not stated_value.strip() else {stated_value.strip(): source.rows}
    rows = {value: n for value, n in counts.items() if value}
    unnamed = counts.get("", 0)
    return Declaration(rows, unnamed, source.rows - sum(rows.values()) - unnamed)


def combined_declaration(sources: Iterable[SourceSummary], key: str) -> Declaration:
    """Values of one key in the rows of all files, most common first."""
    rows: Counter[str] = Counter()
    unnamed = without = 0
    for source in sources:
        declaration = file_declaration(source, key)
        rows.update(declaration.rows)
        unnamed += declaration.unnamed
        without += declaration.without
    common = sorted(rows, key=lambda value: (-rows[value], value))
    return Declaration({value: rows[value] for value in common}, unnamed, without)


def file_value(source: SourceSummary, key: str) -> str | None:
    """Value of one key for a whole file: the one shared by all its rows, else the one its source states."""
    return file_declaration(source, key).only or getattr(source, key)


def kept_row_licenses(audit: AuditReport) -> tuple[str, ...]:
    """Licences of the rows kept by the audit, sorted."""
    kept_licenses = {*audit.train.licenses, *(() if audit.test is None else audit.test.licenses)}
    return tuple(sorted(kept_licenses or combined_declaration(audit.sources, "license").rows))


def every_row_licensed(audit: AuditReport) -> bool:
    """Whether every kept row states a licence, either from the start or because the licence check removed the others."""
    check_settings = audit.checks.get(LICENSE_CHECK, "")
    if check_settings.endswith(("|action=drop", "|action=block")):
        return bool(kept_row_licenses(audit))
    return combined_declaration(audit.sources, "license").complete


def combined_license(audit: AuditReport) -> str | None:
    """SPDX expression for all kept rows together. None if a row has no licence or an invalid one."""
    return combine_licenses(kept_row_licenses(audit)) if every_row_licensed(audit) else None
