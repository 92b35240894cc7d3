"""McNemar's test on the two discordant counts of paired binary results.

Sources: Q. McNemar (1947), Psychometrika 12:153-157, exact conditional form; mid-p form as recommended by
Fagerland, Lydersen and Laake (2013), BMC Medical Research Methodology 13:91.
"""

import math

from scipy.special import bdtr


def exact(won: int, lost: int) -> float:
    """Two-sided exact p-value, 2 P[Bin(won + lost, 1/2) <= min(won, lost)], at most 1; 1.0 without discordant pairs."""
    _check(won, lost)
    return min(1.0, 2.0 * float(bdtr(min(won, lost), won + lost, 0.5)))


def mid_p(won: int, lost: int) -> float:
    """Two-sided mid-p value: counts half the probability of the observed table; less conservative than `exact`."""
    _check(won, lost)
    total, least = won + lost, min(won, lost)
    if won == lost:
        return 1.0 - _probability(least, total) / 2
    return 2.0 * float(bdtr(least, total, 0.5)) - _probability(least, total)


def _probability(count: int, total: int) -> float:
    """P[Bin(total, 1/2) = count], in logarithms so that large totals do not underflow."""
    log_combinations = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(log_combinations - total * math.log(2))


def _check(won: int, lost: int) -> None:
    if won < 0 or lost < 0:
        raise ValueError(f"counts of discordant pairs must not be negative: {won}, {lost}")
