"""Numbers: read from texts, their errors, and what correlations need of them."""

from collections.abc import Sequence

import numpy
from scipy.stats import rankdata

from tunesmith.artifacts import Score
from tunesmith.scoring.metric import SystemAnswer
from tunesmith.stats.bootstrap import FloatArray


def read_number(text: str) -> float | None:
    """The finite number that a text is; None for anything else."""
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if numpy.isfinite(value) else None


def error_score(scorer: str, answer: SystemAnswer) -> Score:
    """The absolute error of the row. None when the test row has no number; an output without one cannot be scored either."""
    wanted, given = read_number(answer.expected), read_number(answer.output)
    value = None if wanted is None or given is None else abs(given - wanted)
    note = "the expected completion is no number" if wanted is None else ""
    note = "no number in the output" if wanted is not None and given is None else note
    return Score(
        row_id=answer.row_id, scorer=scorer, value=value, output=answer.output, expected=answer.expected, note=note
    )


def number_pairs(scores: Sequence[Score]) -> FloatArray:
    """(n, 2): the number given and the one expected. Only for scores that all have a value."""
    return numpy.array([[float(score.output), float(score.expected)] for score in scores], dtype=numpy.float64)


def column_ranks(values: FloatArray) -> FloatArray:
    """(n, 2): the rank of each number among those of its column, equal ones sharing their mean rank."""
    found: FloatArray = numpy.column_stack([rankdata(column) for column in values.T]).astype(numpy.float64)
    return found


def moments(values: FloatArray) -> FloatArray:
    """(n, 6): 1, x, y, x x, y y, x y of centred and scaled columns (n, 2), so that sums lose no digits."""
    spread = numpy.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    x, y = ((values - values.mean(axis=0)) / spread).T
    return numpy.column_stack([numpy.ones_like(x), x, y, x * x, y * y, x * y])


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's r (r,) from summed moments (r, 6); 0 where one side does not vary."""
    n, x, y, xx, yy, xy = sums.T
    top, bottom = n * xy - x * y, numpy.sqrt(numpy.maximum(n * xx - x * x, 0) * numpy.maximum(n * yy - y * y, 0))
    found: FloatArray = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 1e-12)
    return found
