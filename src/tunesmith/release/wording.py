"""Formatting of numbers and missing values, shared by the cards and the HTML page."""

from typing import Final

from tunesmith.artifacts import BaseOrigin, Estimate
from tunesmith.models.heads import TaskHead
from tunesmith.recipe import TaskSettings

MISSING: Final = "not stated by the maker"
LICENSE_REF_PREFIX: Final = "LicenseRef-"
"""Prefix of SPDX ids for licences that are not on the SPDX list."""

SYSTEMS: Final = {
    "tuned": "Tuned model",
    "base-plain": "Base, asked plainly",
    "base-prompted": "Base, at its best without tuning",
    "base-frozen": "Base, frozen, with a linear model on top",
    "majority": "Always the most common answer",
    "tfidf-words": "TF-IDF on words",
    "tfidf-characters": "TF-IDF on characters",
    "frequent-tag": "Each word's most common tag",
    "mean": "Always the mean",
    "tfidf-ridge": "TF-IDF on words, ridge regression",
    "lead": "The first words of the source",
    "copy": "The source as it is",
}
METHODS: Final = {
    "full": "every weight of the base was trained",
    "lora": "a LoRA adapter was trained beside the base",
    "dora": "a DoRA adapter was trained beside the base",
    "qlora": "a LoRA adapter was trained beside the base, which was held in 4 bits",
}
OBJECTIVES: Final = {"completion": "the answers alone", "all-tokens": "every token"}


def loss_target(objective: str, task: TaskSettings, head: TaskHead | None) -> str:
    """What the loss was computed on, in words."""
    if head is None:
        return OBJECTIVES[objective]
    return {"sequence": f"the {task.labels} label of each row", "token": "the tag of each word"}.get(
        head.kind, "the targets alone"
    )


def stated_or_missing(value: str | None) -> str:
    """The value, or `not stated by the maker` when it is empty."""
    return value.strip() if value is not None and value.strip() else MISSING


def base_license(origin: BaseOrigin | None) -> str:
    """Licence of the base with its source, and whether it is unknown or not an open licence."""
    if origin is None or origin.license is None:
        return "not known; ask its publisher before you pass this release on"
    statement = f"{origin.license}, as stated by {origin.license_source}"
    if origin.license.startswith(LICENSE_REF_PREFIX):
        return f"{statement}; it is not an open licence, and its terms go with this release"
    return statement


def system_name(system: str) -> str:
    """Display name of a system id, e.g. `Tuned model` for `tuned`."""
    return SYSTEMS.get(system, system)


def format_count(value: int) -> str:
    """E.g. `1,234,567`."""
    return f"{value:,}"


def count_noun(value: int, noun: str) -> str:
    """E.g. `1 row` or `2 rows`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def format_value(value: float, unit: str) -> str:
    """Value of a metric: shares as percentages, others with their unit."""
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit == "points":
        return f"{value:.1f}"
    return f"{value:.4g} {unit}".strip()


def format_difference(value: float, unit: str) -> str:
    """Signed difference; differences of percentages are in points."""
    if unit in ("share", "points"):
        text = f"{100 * value if unit == 'share' else value:+.1f} points"
    else:
        text = f"{value:+.4g} {unit}".strip()
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def format_interval(estimate: Estimate) -> str:
    """Interval of a value, e.g. `82.9% to 90.7%`."""
    return f"{format_value(estimate.low, estimate.unit)} to {format_value(estimate.high, estimate.unit)}"


def format_difference_interval(estimate: Estimate) -> str:
    """Interval of a difference, without the unit `points`."""
    low, high = format_difference(estimate.low, estimate.unit), format_difference(estimate.high, estimate.unit)
    return f"{low} to {high}".replace(" points", "")


def format_p_value(p_value: float | None) -> str:
    """p-value with three decimals, or `cannot be said` when there is none."""
    if p_value is None:
        return "cannot be said"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def format_parameters(parameters: int) -> str:
    """Parameter count, e.g. `7.1 million`."""
    for limit, name in ((10**9, "billion"), (10**6, "million")):
        if parameters >= limit:
            return f"{parameters / limit:.3g} {name}"
    return format_count(parameters)


def short_digest(digest: str) -> str:
    """First 12 hex digits of a digest."""
    return digest.removeprefix("sha256:")[:12]
