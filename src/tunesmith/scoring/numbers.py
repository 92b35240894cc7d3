"""Numbers: parsed from outputs, their errors, and the moments from which correlations are computed."""

from collections.abc import Sequence

import numpy
from scipy.stats import rankdata

from tunesmith.artifacts import Score
from tunesmith.scoring.metric import SystemAnswer
from tunesmith.stats.bootstrap import FloatArray


def read_number(text: str) -> float | None:
    """The finite number in a text; None for anything else."""
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if numpy.isfinite(value) else None


def error_score(scorer: str, answer: SystemAnswer) -> Score:
    """The absolute error of the row; its value is None when the test row or the output has no number."""
    expected, predicted = read_number(answer.expected), read_number(answer.output)
    value = None if expected is None or predicted is None else abs(predicted - expected)
    note = "the expected completion is no number" if expected is None else ""
    note = "no number in the output" if expected is not None and predicted is None else note
    return Score(
        row_id=answer.row_id, scorer=scorer, value=value, output=answer.output, expected=answer.expected, note=note
    )


def number_pairs(scores: Sequence[Score]) -> FloatArray:
    """(n, 2): predicted and expected number of each row. Only for scores that all have a value."""
    return numpy.array([[float(score.output), float(score.expected)] for score in scores], dtype=numpy.float64)


def column_ranks(values: FloatArray) -> FloatArray:
    """(n, 2): rank of each number within its column; equal numbers share their mean rank."""
    ranks: FloatArray = numpy.column_stack([rankdata(column) for column in values.T]).astype(numpy.float64)
    return ranks


def moments(values: FloatArray) -> FloatArray:
    """(n, 6): 1, x, y, x x, y y, x y of the columns (n, 2), centred and scaled so that sums lose no digits."""
    spread = numpy.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    x, y = ((values - values.mean(axis=0)) / spread).T
    return numpy.column_stack([numpy.ones_like(x), x, y, x * x, y * y, x * y])


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's r (r,) from summed moments (r, 6); 0 where one side does not vary."""
    n, x, y, xx, yy, xy = sums.T
    top, bottom = n * xy - x * y, numpy.sqrt(numpy.maximum(n * xx - x * x, 0) * numpy.maximum(n * yy - y * y, 0))
    result: FloatArray = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 1e-12)
    return result
