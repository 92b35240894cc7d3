"""Correction for multiple tests.

Source: S. Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics
6:65-70. For claims "better on X"; a policy in which every requirement must pass needs no correction (Berger 1982,
Technometrics 24:295-300, intersection-union tests).
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm-adjusted p-values, in order: rejecting those at most a keeps the probability of any false rejection below a."""
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"p-values must be between 0 and 1: {p_values}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return tuple(adjusted)
