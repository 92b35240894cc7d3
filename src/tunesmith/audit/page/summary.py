"""The audit in words: the outcome, the key figures, and for each rule the action taken and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import ACTION_WORDING, Action, AuditReport
from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.manual import Manual, manual
from tunesmith.audit.page.finding_examples import FindingExample
from tunesmith.pages import Headline, Tile

ACTION_ORDER: Final[tuple[Action, ...]] = ("block", "warn", "redact", "drop")
"""Order of rules on the page: what needs a decision comes before what is already done."""


@dataclass(frozen=True)
class RuleSummary:
    """One rule with findings. `changed` is the number of rows it dropped or redacted, None if it only reports."""

    id: str
    manual: Manual
    action: Action
    found: int
    changed: int | None
    advice: tuple[str, ...]
    samples: tuple[FindingExample, ...]
    shown: int

    @property
    def did(self) -> str:
        return ACTION_WORDING[self.action]


def count_phrase(value: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def headline(report: AuditReport) -> Headline:
    """Whether training may continue, and with how many rows."""
    blocks = sum(report.blocking.values())
    test = "" if report.test is None else f" and {report.test.rows:,} for testing"
    if blocks:
        rules = ", ".join(sorted(report.blocking))
        text = f"Training does not start until {'it is' if blocks == 1 else 'they are'} fixed: {rules}."
        return Headline(
            "fail", f"{count_phrase(blocks, 'finding')} {'blocks' if blocks == 1 else 'block'} the run", (text,)
        )
    remaining = f"{count_phrase(report.train.rows, 'row')} for training{test} remain."
    warned = sum(report.warned.values())
    if warned:
        were = "was" if warned == 1 else "were"
        text = f"{count_phrase(warned, 'finding')} {were} reported without further action. Review the examples below."
        return Headline("inconclusive", "Ready to train, with findings to review", (remaining, text))
    if report.found:
        return Headline("pass", "Ready to train", (remaining, "All defects found were taken out or redacted."))
    return Headline(
        "pass",
        "No findings",
        (remaining, f"{count_phrase(len(checks_that_ran(report)), 'check')} examined every row."),
    )


def tiles(report: AuditReport) -> tuple[Tile, ...]:
    """Rows read, kept and dropped, findings redacted, and findings to review."""
    test = 0 if report.test is None else report.test.rows
    dropped = report.rows_read - report.train.rows - test
    test_note = f"and {test:,} for testing" if report.test is not None else "no test rows"
    return (
        Tile("Rows read", f"{report.rows_read:,}", f"from {count_phrase(len(report.sources), 'file')}"),
        Tile("Kept for training", f"{report.train.rows:,}", test_note),
        Tile("Taken out", f"{dropped:,}", _share_of_rows(dropped, report.rows_read)),
        Tile("Personal data and secrets", f"{sum(report.redacted.values()):,}", "findings redacted"),
        Tile(
            "To review",
            f"{sum(report.warned.values()) + sum(report.blocking.values()):,}",
            "findings without action",
        ),
    )


def rule_summaries(report: AuditReport, examples: Mapping[str, tuple[FindingExample, ...]]) -> tuple[RuleSummary, ...]:
    """Every rule with findings: blocking ones first, then warnings, then redactions and drops, most frequent first."""
    actions: dict[str, Action] = {}
    listed_counts: dict[str, int] = {}
    for finding in report.findings:
        actions.setdefault(finding.rule, finding.action)
        listed_counts[finding.rule] = listed_counts.get(finding.rule, 0) + 1
    summaries = [
        RuleSummary(
            id=rule,
            manual=manual(rule),
            action=actions[rule],
            found=count,
            changed=_changed_rows(report, rule, actions[rule]),
            advice=advice(
                rule,
                actions[rule],
                whole_files=all(not example.finding.place.line for example in examples.get(rule, ())),
            ),
            samples=examples.get(rule, ()),
            shown=listed_counts[rule],
        )
        for rule, count in report.found.items()
        if rule in actions
    ]
    return tuple(sorted(summaries, key=lambda rule: (ACTION_ORDER.index(rule.action), -rule.found, rule.id)))


def advice(rule: str, action: Action, *, whole_files: bool = False) -> tuple[str, ...]:
    """What to do next: the section of the rule's manual page if it has one, otherwise general advice for the action."""
    section = manual(rule).advice
    if section:
        return (section,)
    if rule not in check_ids():
        return (
            "See which rules took the rows out; fix the rows or set another action for those checks in the recipe.",
        )
    match action:
        case "block":
            text = "Fix these rows in the file, or declare what is missing in the recipe, and run the audit again."
            alternative = _alternative(rule, "warn", "To allow it")
        case "drop":
            text = "Nothing: these rows are not used for training. They are in quarantine with the reason."
            alternative = _alternative(rule, "warn", "If the examples are good rows")
        case "redact":
            text = "Check in the examples that the redactions are right; equal values have the same placeholder everywhere."
            alternative = "To keep a kind, list it with a reason under audit: {exempt: ...} in the recipe."
        case "warn" if whole_files:
            text = "This is about whole files: declare what is missing in the recipe, or change the rows of the files."
            alternative = _alternative(rule, "block", "To block the run until it is fixed")
        case _:
            text = "Review the examples, and fix or delete the wrong rows in the file."
            alternative = _alternative(rule, "drop", "To drop all of them")
    return tuple(line for line in (text, alternative) if line)


def _alternative(rule: str, action: Action, purpose: str) -> str:
    """The recipe line for another action; empty if the check does not support it."""
    return f"{purpose}, set audit: {{{action}: [{rule}]}} in the recipe." if action in check_class(rule).actions else ""


def checks_that_ran(report: AuditReport) -> tuple[str, ...]:
    """The checks that ran."""
    return tuple(sorted(name for name, signature in report.checks.items() if signature != "off"))


def checks_switched_off(report: AuditReport) -> tuple[str, ...]:
    """The checks that were switched off."""
    return tuple(sorted(name for name, signature in report.checks.items() if signature == "off"))


def _changed_rows(report: AuditReport, rule: str, action: Action) -> int | None:
    if action == "drop":
        return report.dropped.get(rule, 0)
    return report.redacted.get(rule, 0) if action == "redact" else None


def _share_of_rows(part: int, total: int) -> str:
    return f"{part / total:.1%} of the rows" if total else "of no rows"
