"""McNemar's test against published and statsmodels values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tunesmith.stats.mcnemar import exact, mid_p


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [
        # statsmodels 0.15.0, mcnemar([[0, won], [lost, 0]], exact=True).pvalue
        (1, 7, 0.0703125),
        (25, 4, 0.00010371580719947815),
        (12, 2, 0.012939453125),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_exact_equals_statsmodels(won: int, lost: int, p: float) -> None:
    assert exact(won, lost) == pytest.approx(p, rel=1e-12)


def test_mid_p_of_the_published_example() -> None:
    """Fagerland, Lydersen and Laake (2013), airway hyper-responsiveness, 1 against 7: exact 0.070, mid-p 0.039."""
    assert mid_p(1, 7) == pytest.approx(0.0390625, abs=1e-12)


def test_mid_p_of_a_draw_leaves_out_half_the_table() -> None:
    assert mid_p(3, 3) == pytest.approx(1 - 0.3125 / 2, abs=1e-12)
    assert mid_p(0, 0) == 0.5


@given(st.integers(0, 400), st.integers(0, 400))
def test_is_symmetric_and_agrees_with_the_binomial_test(won: int, lost: int) -> None:
    assert exact(won, lost) == exact(lost, won)
    assert 0.0 <= mid_p(won, lost) <= exact(won, lost) <= 1.0
    if won + lost:
        assert exact(won, lost) == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9)


def test_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        exact(-1, 3)
    with pytest.raises(ValueError, match="must not be negative"):
        mid_p(1, -3)
