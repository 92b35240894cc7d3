import pytest

from tunesmith.artifacts import Estimate
from tunesmith.release import wording


def estimate(low: float, high: float, unit: str) -> Estimate:
    return Estimate(metric="m", value=low, low=low, high=high, n=5, unit=unit, signature="s")


@pytest.mark.parametrize(
    ("value", "unit", "formatted", "changed"),
    [
        (0.8734, "share", "87.3%", "+87.3 points"),
        (61.24, "points", "61.2", "+61.2 points"),
        (2.01349, "bits/byte", "2.013 bits/byte", "+2.013 bits/byte"),
        (-0.05, "share", "-5.0%", "\N{MINUS SIGN}5.0 points"),
        (0.5, "", "0.5", "+0.5"),
    ],
)
def test_quantities_and_changes(value: float, unit: str, formatted: str, changed: str) -> None:
    assert wording.format_value(value, unit) == formatted
    assert wording.format_difference(value, unit) == changed


def test_intervals() -> None:
    assert wording.format_interval(estimate(0.829, 0.907, "share")) == "82.9% to 90.7%"
    assert wording.format_difference_interval(estimate(-0.023, 0.057, "share")) == "\N{MINUS SIGN}2.3 to +5.7"
    assert wording.format_difference_interval(estimate(-0.2, -0.1, "bits/byte")) == (
        "\N{MINUS SIGN}0.2 bits/byte to \N{MINUS SIGN}0.1 bits/byte"
    )


def test_p_values() -> None:
    assert [wording.format_p_value(p) for p in (None, 0.0009, 0.001, 0.2)] == [
        "cannot be said",
        "<0.001",
        "0.001",
        "0.200",
    ]


def test_counts_and_sizes() -> None:
    assert [wording.format_parameters(n) for n in (342_112, 7_077_888, 8_030_000_000)] == [
        "342,112",
        "7.08 million",
        "8.03 billion",
    ]
    assert [wording.count_noun(n, "row") for n in (0, 1, 1250)] == ["0 rows", "1 row", "1,250 rows"]


@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_is_said(value: str | None) -> None:
    assert wording.stated_or_missing(value) == "not stated by the maker"
