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
    test = "" if report.test is None else f" and {report.test.rows:,} to test on"
    if blocks:
        rules = ", ".join(sorted(report.blocking))
        text = f"Nothing is trained on these rows before {'it is' if blocks == 1 else 'they are'} settled: {rules}."
        return Headline(
            "fail", f"{count_phrase(blocks, 'finding')} {'stops' if blocks == 1 else 'stop'} the run", (text,)
        )
    remaining = (
        f"{count_phrase(report.train.rows, 'row')} to train on{test} {'is' if report.train.rows == 1 else 'are'} left."
    )
    warned = sum(report.warned.values())
    if warned:
        were = "was" if warned == 1 else "were"
        text = f"{count_phrase(warned, 'finding')} {were} reported and not acted on; please look at the examples below."
        return Headline("inconclusive", "Ready to train, with something to look at", (remaining, text))
    if report.found:
        return Headline("pass", "Ready to train", (remaining, "What was wrong is taken out or replaced already."))
    return Headline(
        "pass",
        "Nothing was found",
        (remaining, f"{count_phrase(len(checks_that_ran(report)), 'check')} looked at every row."),
    )


def tiles(report: AuditReport) -> tuple[Tile, ...]:
    """Rows read, kept and dropped, findings redacted, and findings to review."""
    test = 0 if report.test is None else report.test.rows
    dropped = report.rows_read - report.train.rows - test
    test_note = f"and {test:,} to test on" if report.test is not None else "no rows to test on were given"
    return (
        Tile("Rows read", f"{report.rows_read:,}", f"from {count_phrase(len(report.sources), 'file')}"),
        Tile("Kept for training", f"{report.train.rows:,}", test_note),
        Tile("Taken out", f"{dropped:,}", _share_of_rows(dropped, report.rows_read)),
        Tile("Personal data and secrets", f"{sum(report.redacted.values()):,}", "findings replaced by placeholders"),
        Tile(
            "To look at",
            f"{sum(report.warned.values()) + sum(report.blocking.values()):,}",
            "findings left as they are",
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
        return ("Look at the rules that took the rows out, and mend the rows or give those checks another action.",)
    supported = check_class(rule).actions
    match action:
        case "block":
            text = "Mend these rows in the file, or state what is missing in the recipe, and run the audit again."
            alternative = (
                f"If it is meant to be so, write {rule} under warn in the recipe." if "warn" in supported else ""
            )
        case "drop":
            text = "Nothing: the rows are not trained on. They stand in quarantine with the reason."
            alternative = (
                f"If the examples are good rows, write {rule} under warn in the recipe." if "warn" in supported else ""
            )
        case "redact":
            text = "Check in the examples that what was replaced had to go; the same value has the same placeholder everywhere."
            alternative = "A kind that may stay is named in the recipe under exempt, with the reason."
        case "warn" if whole_files:
            text = "It is about whole files: state in the recipe what is missing, or change which rows the files hold."
            alternative = (
                f"To stop the run until it is settled, write {rule} under block." if "block" in supported else ""
            )
        case _:
            text = "Read the examples, and mend or delete the rows that are wrong in the file."
            alternative = (
                f"If all of them should go, write {rule} under drop in the recipe." if "drop" in supported else ""
            )
    return tuple(line for line in (text, alternative) if line)


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
