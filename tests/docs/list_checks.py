"""The page docs/reference/checks.md, drawn from the manual pages of the checks: `python tests/docs/list_checks.py`."""

from dataclasses import fields

from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.manual import manual

HEAD = """# Checks

Drawn from the code by `python tests/docs/list_checks.py`. The action is what is done when the recipe says nothing; `audit.block`,
`audit.drop`, `audit.redact` and `audit.warn` name checks to do otherwise, with settings where wanted:
`warn: [{language: {allowed: [en]}}]`.
"""
FILLED = ("allowed_licenses", "exempt", "task", "today", "reader", "roots")


def page() -> str:
    """The whole page."""
    table = ["| check | action | or |", "|---|---|---|"]
    for name in check_ids():
        kind = check_class(name)
        others = ", ".join(action for action in kind.actions if action != kind.default_action)
        table.append(f"| [{name}](#{name}) | {kind.default_action} | {others} |")
    return "\n".join([HEAD, *table, *(section(name) for name in check_ids())]) + "\n"


def section(name: str) -> str:
    """One check: its manual page and its settings."""
    told = manual(name)
    finds, matters, advice, limits = (
        said[:1].upper() + said[1:] for said in (told.finds, told.matters, told.advice, told.limits)
    )
    settings = [f"`{one.name}`" for one in fields(check_class(name)) if one.init and one.name not in FILLED]
    lines = [f"\n## {name}\n", f"{told.title}.", f"\n**What it finds.** {finds}", f"\n**Why it matters.** {matters}"]
    if advice:
        lines.append(f"\n**What to do.** {advice}")
    lines.append(f"\n**Limits.** {limits}")
    if settings:
        lines.append(f"\n**Settings.** {', '.join(settings)}.")
    return "\n".join([*lines, f"\n**Reference.** {told.reference}"])


if __name__ == "__main__":
    print(page(), end="")
