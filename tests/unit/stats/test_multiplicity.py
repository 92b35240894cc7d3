"""Holm's adjustment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.stats.multiplicity import holm


def test_equals_statsmodels() -> None:
    """statsmodels 0.15.0: multipletests([.01, .04, .03, .005, .5], method="holm")[1]."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5]) == pytest.approx((0.04, 0.09, 0.09, 0.025, 0.5), abs=1e-12)


def test_nothing_to_adjust() -> None:
    assert holm([]) == ()
    assert holm([0.03]) == (0.03,)


def test_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, 1.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([float("nan")])


@given(st.lists(st.floats(0, 1), max_size=12), st.randoms(use_true_random=False))
def test_lies_between_the_p_values_and_bonferroni_in_any_order(p_values: list[float], random: object) -> None:
    adjusted = holm(p_values)
    for p, raised in zip(p_values, adjusted, strict=True):
        assert p <= raised <= max(p, min(1.0, p * len(p_values)))
    backwards = holm(p_values[::-1])
    assert sorted(backwards) == sorted(adjusted)
