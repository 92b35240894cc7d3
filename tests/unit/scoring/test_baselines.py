"""Baselines: what they learn, what they refuse, and that they repeat themselves."""

import pytest

from tunesmith.errors import DataError
from tunesmith.scoring.baselines import LabelBaseline, has_words, predict_label_sets, predict_labels, predict_scores

TRAIN = [
    ("where is my parcel", "delivery"),
    ("parcel has not arrived yet", "delivery"),
    ("my parcel is late", "delivery"),
    ("I want my money back", "refund"),
    ("please refund the money", "refund"),
]
ASKED = ["is the parcel here", "money please", "MONEYY bakc"]


def test_majority() -> None:
    assert predict_labels("majority", TRAIN, ASKED) == ["delivery", "delivery", "delivery"]


def test_majority_of_a_draw_is_the_first_by_name() -> None:
    assert predict_labels("majority", [("x", "b"), ("y", "a")], ["z"]) == ["a"]


def test_words() -> None:
    assert predict_labels("tfidf-words", TRAIN, ASKED[:2]) == ["delivery", "refund"]


def test_characters_see_through_a_typo() -> None:
    assert predict_labels("tfidf-characters", TRAIN, ASKED) == ["delivery", "refund", "refund"]


@pytest.mark.parametrize("baseline", ["majority", "tfidf-words", "tfidf-characters"])
def test_edges(baseline: LabelBaseline) -> None:
    assert predict_labels(baseline, TRAIN, []) == []
    assert predict_labels(baseline, TRAIN[:3], ["money"]) == ["delivery"]
    assert predict_labels(baseline, TRAIN, ASKED) == predict_labels(baseline, TRAIN, ASKED)
    with pytest.raises(DataError, match="no training rows"):
        predict_labels(baseline, [], ["x"])


def test_prompts_without_words() -> None:
    with pytest.raises(DataError, match="hold no words"):
        predict_labels("tfidf-words", [("?", "a"), ("!", "b")], ["x"])


def test_sets_and_scores_of_prompts_without_words() -> None:
    for baseline in ("tfidf-words", "tfidf-ridge"):
        assert not has_words(baseline, ["a", "?"]) and has_words(baseline, ["a", "two words"])
    with pytest.raises(DataError, match="hold no words"):
        predict_label_sets("tfidf-words", [("a", ("x",)), ("b", ("y",))], ["c"])
    with pytest.raises(DataError, match="hold no words"):
        predict_scores("tfidf-ridge", [("a", 1.0), ("b", 2.0)], ["c"])
