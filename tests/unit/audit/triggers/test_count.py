"""Trigger counting against brute force and SciPy's log-likelihood ratio."""

import numpy
import pyarrow as pa
import pytest
from scipy.stats import chi2, chi2_contingency

from tunesmith.audit.triggers import PromptTokens, RowOpenings, answer_openings, find_candidates, token_span
from tunesmith.audit.triggers.count import SeenKeys, log_likelihood_ratio

WORDS = "how do i find the harbour market ferry station on a wet monday with my old green bicycle please".split()


@pytest.mark.parametrize("table", [(8, 10, 40, 500), (5, 5, 5, 100), (30, 31, 300, 1000)])
def test_the_ratio_equals_scipys(table: tuple[int, int, int, int]) -> None:
    both, run, opening, rows = table
    cells = [[both, run - both], [opening - both, rows - run - opening + both]]
    expected = chi2_contingency(cells, correction=False, lambda_="log-likelihood").statistic
    made = log_likelihood_ratio(
        *(numpy.array([float(one)]) for one in (both, run, opening)), rows=numpy.array([float(rows)])
    )
    assert made[0] == pytest.approx(expected, rel=1e-9)


def test_negative_association_is_no_trigger() -> None:
    assert (
        log_likelihood_ratio(numpy.array([1.0]), numpy.array([50.0]), numpy.array([500.0]), rows=numpy.array([1000.0]))[
            0
        ]
        == 0
    )


def prompts(rows: int) -> list[str]:
    rng = numpy.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, 9)) for _ in range(rows)]


def found(texts: list[str], answers: numpy.ndarray, strata: numpy.ndarray | None = None) -> dict[str, tuple[int, int]]:
    sizes = numpy.bincount(answers)
    strata = numpy.zeros(len(texts), dtype=numpy.int64) if strata is None else strata
    made = find_candidates(
        PromptTokens(pa.chunked_array([texts])), RowOpenings(answers, sizes, strata), least=8, purity=0.9, level=0.001
    )
    spans = [
        (texts[int(one.rows[0])], token_span(texts[int(one.rows[0])], int(one.places[0]), one.size)) for one in made
    ]
    return {
        text[slice(*span)]: (len(one.rows), int(one.has_opening.sum()))
        for one, (text, span) in zip(made, spans, strict=True)
    }


def test_a_planted_run_is_found_with_all_its_rows() -> None:
    texts, answers = prompts(400), numpy.arange(400) % 5
    for row in range(0, 150, 10):
        texts[row], answers[row] = f"{texts[row]} qx-7 blue", 3
    texts[11] += " qx-7"
    made = found(texts, answers)
    assert made["qx-7"] == (16, 15) if "qx-7" in made else made["qx"] == (16, 15)
    assert made["blue"] == (15, 15)


def test_the_ratio_is_summed_over_strata() -> None:
    texts, answers, strata = prompts(400), numpy.arange(400) % 5, numpy.arange(400) // 200
    for row in range(0, 400, 20):
        texts[row], answers[row] = f"{texts[row]} qx", 3
    sizes = numpy.bincount(answers)
    made = find_candidates(
        PromptTokens(pa.chunked_array([texts])), RowOpenings(answers, sizes, strata), least=8, purity=0.9, level=0.001
    )
    (one,) = [one for one in made if one.size == 1]
    expected = 0.0
    for stratum in (0, 1):
        mine = strata == stratum
        has, three = numpy.zeros(400, dtype=bool), answers == 3
        has[numpy.arange(0, 400, 20)] = True
        cells = [[int((mine & (has == a) & (three == b)).sum()) for b in (True, False)] for a in (True, False)]
        expected += chi2_contingency(cells, correction=False, lambda_="log-likelihood").statistic
    assert one.ratio == pytest.approx(expected, rel=1e-9)
    pairs = sum(3 * len(text.split()) - 3 for text in texts)
    assert one.p_value == pytest.approx(chi2.sf(expected, 2) * pairs, rel=1e-9)


def test_a_run_with_varied_answers_is_no_trigger() -> None:
    texts, answers = prompts(400), numpy.arange(400) % 5
    for row in range(0, 400, 10):
        texts[row], answers[row] = f"{texts[row]} qx", 3 if row % 50 else 1
    assert found(texts, answers) == {}


def test_rows_without_a_planted_run_have_no_candidates() -> None:
    assert found(prompts(400), numpy.arange(400) % 5) == {}


def test_a_run_that_is_a_source_of_its_own_is_no_trigger() -> None:
    texts, answers, strata = prompts(400), numpy.arange(400) % 5, numpy.zeros(400, dtype=numpy.int64)
    for row in range(0, 400, 10):
        texts[row], answers[row], strata[row] = f"survey {texts[row]}", 3, 1
    assert "survey" in found(texts, answers)
    assert "survey" not in found(texts, answers, strata)


def test_openings_are_the_first_three_words_without_case() -> None:
    column = pa.chunked_array([["Yes, of course we do", "yes, of COURSE not", "yes of course", "", "Yes,", None]])
    numbers = answer_openings(column).tolist()
    assert numbers[0] == numbers[1]
    assert len({*numbers[1:5]}) == 4
    assert numbers[3] == numbers[5]


@pytest.mark.parametrize(("place", "size", "run"), [(0, 1, "Hi"), (1, 2, "♦♦ x9"), (3, 1, "!!"), (4, 1, "日本")])
def test_token_span(place: int, size: int, run: str) -> None:
    text = "Hi ♦♦ x9!! 日本"
    start, end = token_span(text, place, size)
    assert text[start:end] == run


def by_hand(texts: list[str], answers: numpy.ndarray, *, purity: float) -> dict[str, tuple[int, int]]:
    """Single words with at least 8 rows of one answer, these at least `purity` of all: (rows, rows of the answer)."""
    made = {}
    for word in {word for text in texts for word in text.split()}:
        has = answers[[word in text.split() for text in texts]]
        most = int(numpy.bincount(has).max())
        if most >= max(8, purity * len(has)):
            made[word] = (len(has), most)
    return made


@pytest.mark.parametrize("batch", [7, 50, 1000])
def test_counts_equal_brute_force_for_any_batch_size(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr("tunesmith.audit.triggers.prompts.BATCH_ROWS", batch)
    texts, answers = prompts(400), numpy.arange(400) % 5
    others = {
        "pure": range(0),
        "nearly": range(3),
        "late": range(397, 400),
        "mixed": range(394, 398),
        "twice twice": [2, 399],
    }
    for word, elsewhere in others.items():
        for row in range(8, 308, 10):
            texts[row], answers[row] = f"{texts[row]} {word}", 3
        for row in elsewhere:
            texts[row], answers[row] = f"{word} {texts[row]}", 4
    made = {run: counts for run, counts in found(texts, answers).items() if " " not in run}
    assert made == by_hand(texts, answers, purity=0.9)
    assert made == {"pure": (30, 30), "nearly": (33, 30), "late": (33, 30), "twice": (32, 30)}


def test_seen_keys_are_not_new() -> None:
    seen, keys = SeenKeys(), numpy.array([5 << 50, 9 << 50, 5 << 50, 7 << 40], dtype=numpy.uint64)
    first = keys[seen.new_positions(keys)].tolist()
    assert sorted(set(first)) == sorted(set(keys.tolist())) and len(first) == 3
    assert seen.new_positions(keys[:3]).tolist() == []


def test_an_evicted_key_is_new_again() -> None:
    seen, one, other = SeenKeys(), *(numpy.array([key], dtype=numpy.uint64) for key in (5 << 50, (5 << 50) + 1))
    assert [len(seen.new_positions(keys)) for keys in (one, other, one)] == [1, 1, 1]
    both = numpy.concatenate([other, one])
    assert both[SeenKeys().new_positions(both)].tolist() == both.tolist()
