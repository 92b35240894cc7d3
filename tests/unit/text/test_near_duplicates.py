"""Near-duplicates: prompts about a shared document, pairs that are compared once, and findings that no block size changes."""

from itertools import combinations

import numpy
import pyarrow as pa
import pytest

from tunesmith import tables
from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.checks.near_duplicate import NearDuplicate
from tunesmith.audit.checks.split_leakage import SplitLeakage
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.tables import WordTriples, overlap, signatures
from tunesmith.text import near_duplicates
from tunesmith.text.near_duplicates import (
    BoolArray,
    Int64Array,
    PairSimilarity,
    SimilarityCache,
    filter_pairs,
    find_near_duplicates,
    split_prompt,
    without_shared_parts,
)
from tunesmith.text.normalize import normalize

DOCUMENT = "The ferry leaves the north pier at seven in the morning and comes back at six,\nbut not on Sundays; bikes cost two."
LINE = (
    "Answer the question of a visitor in a few words and only from the notice that stands below it, please, or say so."
)


def rows_of(texts: list[str], file: str) -> list[Row]:
    said = [(message("user", text), message("assistant", "the same answer")) for text in texts]
    return [
        Row(row_id=f"{file}{n}", file=file, line=n + 1, example=Example(messages=turns)) for n, turns in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("one", "two", "left"),
    [
        (f"{DOCUMENT}\n\nWhen does it leave?", f"{DOCUMENT}\n \nWhat is two?", ("when does it leave", "what is two")),
        (f"{DOCUMENT}\n\nWhen?", f"{DOCUMENT.upper()}\n\nWhen?", ("", "")),
        (f"{LINE}\nWhen?\nNow.", f"{LINE}\nWho?\nNow.", ("when now", "who now")),
        (f"{DOCUMENT}\n\nWhen?", DOCUMENT, ("when", "")),
        ("Two words.\n\nWhen?", "Two words.\n\nWho?", ("", "")),
        (f"{DOCUMENT} When?", f"{DOCUMENT} Who?", ("", "")),
        ("", "", ("", "")),
    ],
    ids=["block", "all", "line", "addition", "short", "within a line", "empty"],
)
def test_what_two_prompts_say_outside_the_long_part_that_they_share(one: str, two: str, left: tuple[str, str]) -> None:
    assert without_shared_parts(split_prompt(one), split_prompt(two)) == left
    assert without_shared_parts(split_prompt(two), split_prompt(one)) == left[::-1]


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("How many boats leave the pier in May", "How many boats leave the pier in June", True),
        ("How many boats leave in May", "How many boats leave in June", False),
        ("Who", "Who", True),
        ("Who", "When", False),
    ],
)
def test_three_quarters_of_the_words_outside_a_document_must_be_shared(one: str, two: str, alike: bool) -> None:
    prompts = [f"{DOCUMENT}\n\n{question}?" for question in (one, two)]
    normals = [normalize(prompt) for prompt in prompts]
    assert PairSimilarity(normals, (), 0.5).similarity(0, 1) is not None
    assert (PairSimilarity(normals, (), 0.5, prompts=prompts).similarity(0, 1) is not None) is alike


def test_a_pair_is_compared_once_and_again_when_the_cache_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def alike(rows: Int64Array, others: Int64Array) -> BoolArray:
        compared.extend(zip(rows.tolist(), others.tolist(), strict=True))
        even: BoolArray = (rows + others) % 2 == 0
        return even

    cache = SimilarityCache(alike)
    for pairs in ([(5, 1), (4, 1), (9, 0)], [(9, 0), (5, 1), (2**30, 2)], [(4, 1), (2**30, 2)]):
        rows, others = (numpy.array(side) for side in zip(*pairs, strict=True))
        assert cache.similar(rows, others).tolist() == [(row + other) % 2 == 0 for row, other in pairs]
        cache.merge()
    assert compared == [(5, 1), (4, 1), (9, 0), (2**30, 2)]
    monkeypatch.setattr(near_duplicates, "MAX_CACHED_PAIRS", 3)
    cache.merge()
    assert cache.similar(numpy.array([5]), numpy.array([1])).tolist() == [True]
    assert compared[4:] == [(5, 1)]


def texts(count: int) -> list[str]:
    """Texts of stock sentences, so that many rows are slightly similar, with near copies among them."""
    rng = numpy.random.default_rng(7)
    stock = [" ".join(f"w{n}" for n in rng.integers(0, 60, size=6)) for _ in range(40)]
    made = [" ".join(rng.choice(stock, size=int(size))) for size in rng.integers(1, 6, size=count)]
    for number in range(0, count, 9):
        made[number] = f"well {made[number // 3]}"
    return made


def test_no_candidate_pair_is_lost_by_the_prefilters() -> None:
    made = texts(300)
    normals = pa.chunked_array([pa.array(made[:128]), pa.array(made[128:])])
    bands = tables.minhash_bands(pa.table({"row": list(range(300)), "normal": normals}), column="normal", row="row")
    likeness = PairSimilarity(made, (), 0.5)
    columns, sieved = (WordTriples.of(normals),), []

    def alike(rows: Int64Array, others: Int64Array) -> BoolArray:
        near = filter_pairs(columns, rows, others, threshold=0.5)
        sieved.append(len(near) - int(near.sum()))
        exact = [
            likeness.similarity(row, other) is not None
            for row, other in zip(rows.tolist(), others.tolist(), strict=True)
        ]
        assert near[exact].all()
        near[:] = exact
        return near

    found = set(find_near_duplicates(bands, alike, threshold=0.5))
    true = {(two, one) for one, two in combinations(range(300), 2) if likeness.similarity(one, two) is not None}
    assert found <= true
    assert {row for row, _ in true} - {row for row, _ in found} == set()
    assert sum(sieved) >= 50


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (signatures, "MAX_SIGNATURE_ROWS", 37),
        (signatures, "MAX_COMPARED_PAIRS", 5),
        (overlap, "MAX_SLICE_BYTES", 300),
        (overlap, "MAX_SLOTS", 64),
        (overlap, "MIN_SLOTS_PER_TRIPLE", 1),
        (overlap, "MAX_SINGLE_READS_PER_CHUNK", 0),
        (near_duplicates, "MAX_CACHED_PAIRS", 0),
        (near_duplicates, "MAX_CACHED_TEXTS", 2),
    ],
)
def test_findings_do_not_depend_on_block_and_cache_sizes(
    module: object, name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [f"{LINE}\n{text}" if number % 4 == 0 else text for number, text in enumerate(texts(240))]
    train, test = rows_of(made[:200], "a.jsonl"), rows_of(made[200:], "t.jsonl")

    def found() -> list[list[tuple[object, ...]]]:
        corpus = build_corpus(train, test)
        return [
            [(one.place.line, one.other and one.other.line, one.similarity) for one in check.examine(corpus)]
            for check in (NearDuplicate(), SplitLeakage())
        ]

    whole = found()
    assert all(len(findings) >= 10 for findings in whole)
    monkeypatch.setattr(module, name, value)
    assert found() == whole


def test_the_first_of_equal_test_prompts_is_named_however_short_or_many() -> None:
    held = [*[f"well {n}" for n in range(70)], "thanks a lot", "Thanks, a lot!", "", *["how is the old hat"] * 70]
    corpus = build_corpus(rows_of(["THANKS a lot", "", "how is the old hat"], "a.jsonl"), rows_of(held, "t.jsonl"))
    found = [(one.place.line, one.other and one.other.line, one.similarity) for one in SplitLeakage().examine(corpus)]
    assert found == [(1, 71, 1.0), (3, 74, 1.0)]
