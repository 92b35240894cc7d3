"""What an audit came to, in words: the outcome, the figures to remember, and for each rule what was done and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import Action, AuditReport
from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.manual import Manual, manual
from tunesmith.audit.page.finding_examples import FindingExample
from tunesmith.pages import Headline, Tile

DID: Final[dict[Action, str]] = {
    "block": "stops the run",
    "drop": "taken out",
    "redact": "parts replaced",
    "warn": "kept, reported",
}
ACTION_ORDER: Final[tuple[Action, ...]] = ("block", "warn", "redact", "drop")
"""What a person has to decide on comes before what is done already."""


@dataclass(frozen=True)
class RuleSummary:
    """One rule that found something. `changed` is how many rows it took out or changed, None where it only reports."""

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
        return DID[self.action]


def count_phrase(value: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def headline(report: AuditReport) -> Headline:
    """Whether training may go on, and with what."""
    blocks = sum(report.blocking.values())
    test = "" if report.test is None else f" and {report.test.rows:,} to test on"
    if blocks:
        rules = ", ".join(sorted(report.blocking))
        told = f"Nothing is trained on these rows before {'it is' if blocks == 1 else 'they are'} settled: {rules}."
        return Headline(
            "fail", f"{count_phrase(blocks, 'finding')} {'stops' if blocks == 1 else 'stop'} the run", (told,)
        )
    left = (
        f"{count_phrase(report.train.rows, 'row')} to train on{test} {'is' if report.train.rows == 1 else 'are'} left."
    )
    warned = sum(report.warned.values())
    if warned:
        were = "was" if warned == 1 else "were"
        told = f"{count_phrase(warned, 'finding')} {were} reported and not acted on; please look at the examples below."
        return Headline("inconclusive", "Ready to train, with something to look at", (left, told))
    if report.found:
        return Headline("pass", "Ready to train", (left, "What was wrong is taken out or replaced already."))
    return Headline(
        "pass",
        "Nothing was found",
        (left, f"{count_phrase(len(checks_that_ran(report)), 'check')} looked at every row."),
    )


def tiles(report: AuditReport) -> tuple[Tile, ...]:
    """Rows read, kept, taken out, changed, and findings that want a look."""
    test = 0 if report.test is None else report.test.rows
    gone = report.rows_read - report.train.rows - test
    kept = f"and {test:,} to test on" if report.test is not None else "no rows to test on were given"
    return (
        Tile("Rows read", f"{report.rows_read:,}", f"from {count_phrase(len(report.sources), 'file')}"),
        Tile("Kept for training", f"{report.train.rows:,}", kept),
        Tile("Taken out", f"{gone:,}", _share_of_rows(gone, report.rows_read)),
        Tile("Personal data and secrets", f"{sum(report.redacted.values()):,}", "findings replaced by placeholders"),
        Tile(
            "To look at",
            f"{sum(report.warned.values()) + sum(report.blocking.values()):,}",
            "findings left as they are",
        ),
    )


def rule_summaries(report: AuditReport, found: Mapping[str, tuple[FindingExample, ...]]) -> tuple[RuleSummary, ...]:
    """Every rule that found something: those that stop the run first, then those that ask for a look, the most frequent first."""
    actions: dict[str, Action] = {}
    listed: dict[str, int] = {}
    for finding in report.findings:
        actions.setdefault(finding.rule, finding.action)
        listed[finding.rule] = listed.get(finding.rule, 0) + 1
    made = [
        RuleSummary(
            id=rule,
            manual=manual(rule),
            action=actions[rule],
            found=count,
            changed=_changed_rows(report, rule, actions[rule]),
            advice=advice(
                rule, actions[rule], whole_files=all(not one.finding.place.line for one in found.get(rule, ()))
            ),
            samples=found.get(rule, ()),
            shown=listed[rule],
        )
        for rule, count in report.found.items()
        if rule in actions
    ]
    return tuple(sorted(made, key=lambda rule: (ACTION_ORDER.index(rule.action), -rule.found, rule.id)))


def advice(rule: str, action: Action, *, whole_files: bool = False) -> tuple[str, ...]:
    """What to do: what the rule's own manual page says, or else what its action leaves to do."""
    own = manual(rule).advice
    if own:
        return (own,)
    if rule not in check_ids():
        return ("Look at the rules that took the rows out, and mend the rows or give those checks another action.",)
    can = check_class(rule).actions
    match action:
        case "block":
            told = "Mend these rows in the file, or state what is missing in the recipe, and run the audit again."
            more = f"If it is meant to be so, write {rule} under warn in the recipe." if "warn" in can else ""
        case "drop":
            told = "Nothing: the rows are not trained on. They stand in quarantine with the reason."
            more = f"If the examples are good rows, write {rule} under warn in the recipe." if "warn" in can else ""
        case "redact":
            told = "Check in the examples that what was replaced had to go; the same value has the same placeholder everywhere."
            more = "A kind that may stay is named in the recipe under exempt, with the reason."
        case "warn" if whole_files:
            told = "It is about whole files: state in the recipe what is missing, or change which rows the files hold."
            more = f"To stop the run until it is settled, write {rule} under block." if "block" in can else ""
        case _:
            told = "Read the examples, and mend or delete the rows that are wrong in the file."
            more = f"If all of them should go, write {rule} under drop in the recipe." if "drop" in can else ""
    return tuple(line for line in (told, more) if line)


def checks_that_ran(report: AuditReport) -> tuple[str, ...]:
    """The checks that ran."""
    return tuple(sorted(name for name, how in report.checks.items() if how != "off"))


def checks_switched_off(report: AuditReport) -> tuple[str, ...]:
    """The checks that were switched off."""
    return tuple(sorted(name for name, how in report.checks.items() if how == "off"))


def _changed_rows(report: AuditReport, rule: str, action: Action) -> int | None:
    if action == "drop":
        return report.dropped.get(rule, 0)
    return report.redacted.get(rule, 0) if action == "redact" else None


def _share_of_rows(part: int, whole: int) -> str:
    return f"{part / whole:.1%} of the rows" if whole else "of no rows"
