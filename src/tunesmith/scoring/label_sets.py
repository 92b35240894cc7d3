"""Sets of labels: parsed from JSON lists, and counted label by label."""

from collections.abc import Sequence

import numpy

from tunesmith.artifacts import Score
from tunesmith.scoring.metric import SystemAnswer
from tunesmith.scoring.parse_output import read_json
from tunesmith.stats.bootstrap import FloatArray


def read_label_set(text: str) -> frozenset[str] | None:
    """The labels in a JSON list of strings; None for anything else."""
    value = read_json(text)
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        return None
    return frozenset(value)


def label_set_score(scorer: str, answer: SystemAnswer) -> Score:
    """The F1 of one row, 1 where no label is expected and none predicted; None when the test row has no list of labels."""
    expected, predicted = read_label_set(answer.expected), read_label_set(answer.output)
    note = "the expected completion is no JSON list of labels" if expected is None else ""
    note = "no JSON list of labels in the output" if expected is not None and predicted is None else note
    value = None
    if expected is not None:
        total = len(expected) + len(predicted or ())
        correct = len(expected & (predicted or frozenset()))
        value = 2 * correct / total if total else float(predicted is not None)
    return Score(
        row_id=answer.row_id, scorer=scorer, value=value, output=answer.output, expected=answer.expected, note=note
    )


def label_counts(scores: Sequence[Score]) -> FloatArray:
    """(n, 3 L): per row and label expected in any row, whether it is correct, expected, predicted."""
    expected = [read_label_set(score.expected) or frozenset() for score in scores]
    predicted = [read_label_set(score.output) or frozenset() for score in scores]
    labels = sorted(frozenset().union(*expected))
    rows = [
        [[label in wanted and label in output, label in wanted, label in output] for label in labels]
        for wanted, output in zip(expected, predicted, strict=True)
    ]
    return (
        numpy.array(rows, dtype=numpy.float64)
        .reshape(len(scores), len(labels), 3)
        .transpose(0, 2, 1)
        .reshape(len(scores), -1)
    )


def micro_f1(sums: FloatArray) -> FloatArray:
    """Micro F1 (r,) from sums (r, 3 L)."""
    correct, expected, predicted = sums.reshape(len(sums), 3, -1).sum(axis=2).T
    return _f1(correct, expected + predicted)


def macro_f1(sums: FloatArray) -> FloatArray:
    """Macro F1 (r,) from sums (r, 3 L) over the labels that are expected at least once in the resample."""
    correct, expected, predicted = sums.reshape(len(sums), 3, -1).transpose(1, 0, 2)
    present = expected > 0
    scores = _f1(correct, expected + predicted)
    return numpy.asarray((scores * present).sum(axis=1) / numpy.maximum(present.sum(axis=1), 1), dtype=numpy.float64)


def _f1(correct: FloatArray, total: FloatArray) -> FloatArray:
    result: FloatArray = numpy.divide(2 * correct, total, out=numpy.zeros_like(total), where=total > 0)
    return result
