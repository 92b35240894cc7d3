"""Joining runs into passages."""

import pytest

from tunesmith.audit.passages import find_passages
from tunesmith.audit.shared_ngrams import NgramMatch


@pytest.mark.parametrize(("gap", "sizes"), [(2, [10, 12]), (3, [22]), (8, [22])])
def test_runs_are_joined_over_a_gap_on_either_side(gap: int, sizes: list[int]) -> None:
    runs = [NgramMatch(0, 0, 100, 10), NgramMatch(12, 0, 113, 12)]
    assert [one.words for one in find_passages(runs, gap)] == sizes


def test_runs_of_two_texts_are_not_joined() -> None:
    assert len(find_passages([NgramMatch(0, 0, 100, 10), NgramMatch(11, 1, 111, 12)], 3)) == 2


def test_a_run_further_back_in_the_text_starts_another_passage() -> None:
    assert len(find_passages([NgramMatch(0, 0, 100, 10), NgramMatch(11, 0, 40, 12)], 3)) == 2


def test_words_of_overlapping_runs_count_once_and_contained_runs_are_dropped() -> None:
    (one,) = find_passages([NgramMatch(0, 0, 100, 10), NgramMatch(8, 0, 109, 10), NgramMatch(2, 0, 300, 4)], 3)
    assert (one.words, one.longest, len(one.runs)) == (18, 10, 2)
