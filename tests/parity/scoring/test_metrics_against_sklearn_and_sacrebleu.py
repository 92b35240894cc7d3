"""Values against scikit-learn and sacrebleu, on random and awkward input."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF
from sklearn.metrics import accuracy_score, f1_score

from tunesmith.artifacts import Estimate
from tunesmith.scoring import Metric, SystemAnswer
from tunesmith.scoring.metrics.chrf import Chrf, corpus_chrf
from tunesmith.scoring.metrics.exact_match import ExactMatch
from tunesmith.scoring.metrics.macro_f1 import MacroF1, macro_f1

LABELS = st.sampled_from(["a", "b", "c", "d", "unseen"])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), LABELS), min_size=1, max_size=60))
def test_macro_f1_equals_scikit_learn(rows: list[tuple[str, str]]) -> None:
    scores = [MacroF1().score(SystemAnswer(str(i), wanted, said)) for i, (wanted, said) in enumerate(rows)]
    expected, given_ = [wanted for wanted, _ in rows], [said for _, said in rows]
    theirs = f1_score(expected, given_, labels=sorted(set(expected)), average="macro", zero_division=0)
    ours = macro_f1(MacroF1().records(scores).sum(axis=0, keepdims=True))[0]
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("metric", [ExactMatch(), MacroF1(resamples=200)], ids=["exact-match", "macro-f1"])
def test_estimates_equal_scikit_learn(metric: Metric) -> None:
    rng = numpy.random.default_rng(77)
    expected = rng.choice(list("abcdefg"), 400)
    given_ = numpy.where(rng.random(400) < 0.8, expected, rng.choice(list("abcdefg"), 400))
    scores = [metric.score(SystemAnswer(str(i), w, s)) for i, (w, s) in enumerate(zip(expected, given_, strict=True))]
    estimate = metric.estimate(scores, rng)
    assert isinstance(estimate, Estimate)
    accuracy, f1 = accuracy_score(expected, given_), f1_score(expected, given_, average="macro")
    assert estimate.value == pytest.approx(accuracy if metric.id == "exact-match" else f1, abs=1e-9)


TEXTS = st.text(alphabet="ab é\n日.", max_size=12)


@settings(max_examples=100)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_chrf_equals_sacrebleu(rows: list[tuple[str, str]]) -> None:
    metric = Chrf()
    scores = [metric.score(SystemAnswer(str(i), wanted, said)) for i, (wanted, said) in enumerate(rows)]
    theirs = CHRF().corpus_score([said for _, said in rows], [[wanted for wanted, _ in rows]]).score
    records = metric.records(scores)
    assert corpus_chrf(records.sum(axis=0, keepdims=True))[0] == pytest.approx(theirs, abs=1e-9)
    assert corpus_chrf(records) == pytest.approx([score.value for score in scores], abs=1e-9)
