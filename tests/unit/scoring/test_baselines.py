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


def test_the_most_common_label_is_predicted() -> None:
    assert predict_labels("majority", TRAIN, ASKED) == ["delivery", "delivery", "delivery"]


def test_of_equally_common_labels_the_first_is_predicted() -> None:
    assert predict_labels("majority", [("x", "b"), ("y", "a")], ["z"]) == ["a"]


def test_labels_are_learned_from_words() -> None:
    assert predict_labels("tfidf-words", TRAIN, ASKED[:2]) == ["delivery", "refund"]


def test_character_ngrams_tolerate_a_typo() -> None:
    assert predict_labels("tfidf-characters", TRAIN, ASKED) == ["delivery", "refund", "refund"]


@pytest.mark.parametrize("baseline", ["majority", "tfidf-words", "tfidf-characters"])
def test_no_rows_one_label_and_no_prompts(baseline: LabelBaseline) -> None:
    assert predict_labels(baseline, TRAIN, []) == []
    assert predict_labels(baseline, TRAIN[:3], ["money"]) == ["delivery"]
    assert predict_labels(baseline, TRAIN, ASKED) == predict_labels(baseline, TRAIN, ASKED)
    with pytest.raises(DataError, match="no training rows"):
        predict_labels(baseline, [], ["x"])


def test_prompts_without_words_are_an_error() -> None:
    with pytest.raises(DataError, match="contain no words"):
        predict_labels("tfidf-words", [("?", "a"), ("!", "b")], ["x"])


def test_sets_and_scores_from_prompts_without_words_are_an_error() -> None:
    for baseline in ("tfidf-words", "tfidf-ridge"):
        assert not has_words(baseline, ["a", "?"]) and has_words(baseline, ["a", "two words"])
    with pytest.raises(DataError, match="contain no words"):
        predict_label_sets("tfidf-words", [("a", ("x",)), ("b", ("y",))], ["c"])
    with pytest.raises(DataError, match="contain no words"):
        predict_scores("tfidf-ridge", [("a", 1.0), ("b", 2.0)], ["c"])
