"""Wilson score interval for a proportion.

Source: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22:209-212;
recommended for small n by Brown, Cai and DasGupta (2001), Statistical Science 16:101-133.
"""

import math

from scipy.special import ndtri

from tunesmith.stats.interval import Interval, NoInterval


def wilson(successes: int, n: int, *, level: float) -> Interval | NoInterval:
    """Interval of the proportion `successes` / `n`; its width is above 0 also for 0 and n successes."""
    if n < 1:
        return NoInterval("there are no examples", n)
    if not 0 <= successes <= n:
        raise ValueError(f"impossible counts: {successes} successes in {n} trials")
    z = float(ndtri(0.5 + level / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The limits are exactly 0 and 1 at the ends; rounding must not move them.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(share, low, high, n, level, math.sqrt(share * (1 - share) / n), "wilson")
