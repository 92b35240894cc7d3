"""Recall on planted copies by kind; dissimilar rows under one key and chains of copies are separated."""

from collections.abc import Callable

import numpy
import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.checks.near_duplicate import NearDuplicate
from tunesmith.audit.checks.split_leakage import SplitLeakage
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.text.near_duplicates import PairSimilarity

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "sta", "ll", "mp")]
RNG = numpy.random.default_rng(5)


def words(count: int) -> list[str]:
    return [str(word) for word in RNG.choice(WORDS, size=count)]


def rows_of(texts: list[str], *, file: str = "a.jsonl", system: str = "") -> list[Row]:
    turns = (message("system", system),) if system else ()
    return [
        Row(
            row_id=f"{file}{n}",
            file=file,
            line=n + 1,
            example=Example(messages=(*turns, message("user", text), message("assistant", "the same answer"))),
        )
        for n, text in enumerate(texts)
    ]


def other_word(text: list[str]) -> list[str]:
    at = len(text) // 2
    return [*text[:at], "zzz", *text[at + 1 :]]


KINDS: dict[str, Callable[[list[str]], str]] = {
    "case": lambda text: " ".join(text).upper() + "!!",
    "one word": lambda text: " ".join(other_word(text)),
    "prefix and suffix": lambda text: f"hello there {' '.join(text)} thanks a lot",
    "cut by 15%": lambda text: " ".join(text[: int(len(text) * 0.85)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_recall_on_planted_copies(kind: str) -> None:
    originals = [words(int(count)) for count in RNG.integers(20, 60, size=300)]
    copies = [KINDS[kind](text) for text in originals]
    corpus = build_corpus(rows_of([*(" ".join(text) for text in originals), *copies]), [])
    found = {(f.place.line, f.other.line) for f in NearDuplicate().examine(corpus) if f.other}
    planted = {(n + 301, n + 1) for n in range(300)}
    assert len(found & planted) >= 298
    assert found <= planted


def test_similarity_is_the_exact_jaccard_of_word_triples() -> None:
    corpus = build_corpus(rows_of(["a b c d e f g h i j", "a b c d e f g h i x"]), [])
    (finding,) = NearDuplicate().examine(corpus)
    assert finding.similarity == round(7 / 9, 4)
    assert NearDuplicate(threshold=0.78).examine(corpus) == []


def test_short_texts_must_be_equal_and_texts_without_words_are_skipped() -> None:
    corpus = build_corpus(rows_of(["thanks a lot", "Thanks, a lot!", "thanks a bunch", "👍", "👍", "🎉"]), [])
    assert [(f.place.line, f.similarity) for f in NearDuplicate().examine(corpus)] == [(2, 1.0)]


def test_rows_with_different_system_turns_are_no_duplicates() -> None:
    text = ["how do I get from here to the station in time"]
    rows = [*rows_of(text, system="Answer in French."), *rows_of(text, file="b.jsonl", system="Answer in German.")]
    assert NearDuplicate().examine(build_corpus(rows, [])) == []


def test_a_long_shared_system_turn_does_not_make_duplicates() -> None:
    system = " ".join(words(200))
    texts = [" ".join(words(12)) for _ in range(30)]
    assert NearDuplicate().examine(build_corpus(rows_of(texts, system=system), [])) == []


def test_a_shared_template_does_not_make_duplicates() -> None:
    template = "read the following message of a customer and say in one word which of our queues should answer it"
    texts = [f"{template} {' '.join(words(12))}" for _ in range(60)]
    train, test = rows_of(texts[:30]), rows_of(texts[30:], file="t.jsonl")
    corpus = build_corpus(train, test)
    assert NearDuplicate().examine(corpus) == []
    assert SplitLeakage().examine(corpus) == []


def test_a_row_is_dropped_only_for_a_kept_row() -> None:
    """b is like a, c is like b but not like a: b goes, c stays."""
    a = words(40)
    b = [*a[10:], *words(10)]
    c = [*b[10:], *words(10)]
    corpus = build_corpus(rows_of([" ".join(text) for text in (a, b, c)]), [])
    assert [(f.place.line, f.other and f.other.line) for f in NearDuplicate(threshold=0.45).examine(corpus)] == [(2, 1)]


def test_a_leak_names_the_held_out_row_and_the_relation() -> None:
    held = [words(30), words(30), words(30)]
    train = [
        " ".join(held[2]).upper(),
        " ".join(other_word(held[1])),
        f"my sister said {' '.join(held[0][4:20])} and then {' '.join(words(40))}",
        f"too short {' '.join(held[0][:12])} {' '.join(words(40))}",
        " ".join(words(30)),
    ]
    corpus = build_corpus(rows_of(train), rows_of([" ".join(text) for text in held], file="t.jsonl"))
    found = {f.place.line: (f.other and (f.other.file, f.other.line), f.reason) for f in SplitLeakage().examine(corpus)}
    assert found == {
        1: (("t.jsonl", 3), "the prompt is equal to a held-out one"),
        2: (("t.jsonl", 2), "the prompt is a near-duplicate (81%) of a held-out one"),
        3: (("t.jsonl", 1), "16 words in a row are those of a held-out prompt"),
    }


def test_ten_thousand_dissimilar_rows_are_kept() -> None:
    texts = [" ".join(words(12)) for _ in range(10_000)]
    corpus = build_corpus(rows_of(texts[:8000]), rows_of(texts[8000:], file="t.jsonl"))
    assert NearDuplicate().examine(corpus) == []
    assert SplitLeakage().examine(corpus) == []


def test_four_words_must_be_equal_and_five_may_be_similar() -> None:
    texts = ["how is the hat", "how is the coat", "how is the old hat", "how is the old coat"]
    likeness = PairSimilarity(texts, (), 0.3)
    assert [likeness.similarity(0, 1), likeness.similarity(2, 3)] == [None, 0.5]


def test_a_run_shared_by_many_held_out_rows_is_a_template() -> None:
    notice = " ".join(words(15))
    held = [" ".join([notice, *words(40)] if n % 2 else words(40)) for n in range(10)]
    corpus = build_corpus(rows_of([" ".join([*words(40), notice])]), rows_of(held, file="t.jsonl"))
    assert SplitLeakage().examine(corpus) == []
    rare = build_corpus(rows_of([" ".join([*words(40), notice])]), rows_of(held[:3], file="t.jsonl"))
    assert [finding.place.line for finding in SplitLeakage().examine(rare)] == [1]
