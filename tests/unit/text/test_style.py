"""Burrows's Delta, against SciPy's z-scores and words counted one by one."""

from collections import Counter

import numpy
import pyarrow as pa
import pytest
from scipy.stats import zscore

from tunesmith.text.style import FUNCTION_WORDS, burrows_delta, function_word_counts

TEXTS = [
    "The ferry and the gull, and THE sea of it.",
    "I was not there; you were. He said that we had gone, and it is so.",
    "It is what it is, and that is all that there is to it.",
    "Nobody saw her but she saw them all before the day was over.",
]


def by_hand(texts: list[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
    words = [[word.strip(".,;").lower() for word in text.split()] for text in texts]
    known = sorted(set(FUNCTION_WORDS))
    return numpy.array([[Counter(line)[word] for word in known] for line in words]), numpy.array(
        [len(line) for line in words]
    )


def test_function_words_are_counted() -> None:
    counts, sizes = function_word_counts(pa.array(TEXTS), numpy.arange(4), 4)
    mine, total = by_hand(TEXTS)
    assert sizes.tolist() == total.tolist()
    assert sorted(map(tuple, counts.T.tolist())) == sorted(map(tuple, mine.T.astype(float).tolist()))


def test_texts_of_a_group_are_counted_together_and_other_texts_are_ignored() -> None:
    counts, sizes = function_word_counts(pa.array(TEXTS), numpy.array([0, -1, 1, 0]), 2)
    alone, lengths = function_word_counts(pa.array(TEXTS), numpy.arange(4), 4)
    assert counts.tolist() == [(alone[0] + alone[3]).tolist(), alone[2].tolist()]
    assert sizes.tolist() == [lengths[0] + lengths[3], lengths[2]]


def test_delta_is_the_mean_difference_of_z_scores() -> None:
    counts, sizes = by_hand(TEXTS)
    shares = counts / sizes[:, None]
    scores = zscore(shares[:, shares.std(axis=0) > 0], axis=0, ddof=1)
    expected = [[numpy.abs(one - other).mean() for other in scores] for one in scores]
    numpy.testing.assert_allclose(burrows_delta(counts, sizes), expected, rtol=1e-12)


def test_equal_texts_have_distance_zero() -> None:
    counts, sizes = by_hand([TEXTS[0]] * 3)
    assert burrows_delta(counts, sizes).tolist() == [[0.0] * 3] * 3


def test_too_few_texts_and_texts_without_words_are_refused() -> None:
    counts, sizes = by_hand(TEXTS)
    with pytest.raises(ValueError, match="three"):
        burrows_delta(counts[:2], sizes[:2])
    with pytest.raises(ValueError, match="no words"):
        burrows_delta(counts, numpy.array([1.0, 0.0, 1.0, 1.0]))
