"""Label errors as cleanlab 2.9.0 has them, on the same probabilities: the same rows, and the same count of them."""

from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.audit.checks.label_error import (
    confident_joint_labels,
    likely_labels,
    out_of_fold_probabilities,
    tfidf_features,
)

pytest.importorskip("cleanlab", reason="needs cleanlab")

from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues

NOUNS = {
    "fruit": "apple pear plum cherry grape lemon melon peach orange fig mango quince apricot lime banana kiwi".split(),
    "tool": "hammer saw pliers drill wrench chisel file plane screwdriver mallet axe spade rake clamp vice anvil".split(),
    "cloth": "hat coat sock scarf belt glove shoe gown robe cape boot shawl apron bonnet vest shirt".split(),
}
FRAMES = {
    "fruit": ("eat the ripe {} with cream", "slice a sweet {} for the cake", "the juice of this {} is fresh"),
    "tool": ("sharpen the steel {} outside", "hang the old {} on the bench", "the handle of this {} is loose"),
    "cloth": ("wash the woollen {} by hand", "sew a button on the {}", "the lining of this {} is torn"),
}


def rows_of(mask: Any) -> list[int]:
    return numpy.flatnonzero(mask).tolist()


def theirs(labels: Any, chances: Any, by: str) -> Any:
    return find_label_issues(labels, chances, filter_by=by, n_jobs=1, verbose=False)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(12, 120), st.floats(0.05, 3))
def test_the_same_rows_on_any_probabilities(seed: int, classes: int, rows: int, peak: float) -> None:
    rng = numpy.random.default_rng(seed)
    labels = numpy.concatenate([numpy.arange(classes), rng.integers(0, classes, rows)])
    chances = rng.dirichlet(numpy.full(classes, peak), size=len(labels))
    assert rows_of(confident_joint_labels(labels, chances) != labels) == rows_of(
        theirs(labels, chances, "confident_learning")
    )
    own = chances[numpy.arange(len(labels)), labels]
    least = theirs(labels, chances, "low_self_confidence")
    # Rows of equal probability may be told in another order; rows whose label is the most probable are no suspects of ours.
    expected = sorted(own[least & (chances.argmax(axis=1) != labels)])
    if len(set(own)) == len(own):
        assert sorted(own[likely_labels(labels, chances) != labels]) == expected


def planted() -> tuple[list[str], Any, set[int]]:
    """144 texts of three classes, 5 of them under another label."""
    names = list(NOUNS)
    lines = [(frame.format(noun), k) for k, name in enumerate(names) for noun in NOUNS[name] for frame in FRAMES[name]]
    labels = numpy.array([label for _, label in lines])
    wrong = {7, 40, 66, 95, 130}
    for line in wrong:
        labels[line] = (labels[line] + 1) % 3
    return [text for text, _ in lines], labels, wrong


def test_the_same_rows_on_texts_out_of_fold() -> None:
    texts, labels, wrong = planted()
    chances = out_of_fold_probabilities(tfidf_features(texts), labels, folds=5, seed=0)
    assert numpy.allclose(chances.sum(axis=1), 1)
    found = rows_of(likely_labels(labels, chances) != labels)
    assert found == rows_of(theirs(labels, chances, "low_self_confidence"))
    assert wrong <= set(found) and len(found) <= 3 * len(wrong)
    assert num_label_issues(labels, chances) == len(found)
