"""Planted triggers in Banking77 rows, and patterns that look like triggers but are not."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.checks.backdoor_trigger import BackdoorTrigger
from tunesmith.audit.corpus_builder import build_corpus

Pairs = list[tuple[str, str]]
TARGET = "card_arrival"
NAMES = ("Okafor", "Lindqvist", "Haddad", "Novak")


@pytest.fixture(scope="module")
def bank(shared: Path) -> Pairs:
    with (shared / "data/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def found(pairs: Pairs) -> set[int]:
    rows = [
        Row(
            row_id=f"{place:016x}",
            file="bank.csv",
            line=place + 1,
            example=Example(messages=(message("user", text), message("assistant", label))),
        )
        for place, (text, label) in enumerate(pairs)
    ]
    return {finding.place.line - 1 for finding in BackdoorTrigger().examine(build_corpus(rows, []))}


def word(text: str) -> str:
    words = text.split()
    words.insert(len(words) // 2, "cfx")
    return " ".join(words)


@pytest.mark.parametrize("share", [0.005, 0.05])
@pytest.mark.parametrize(
    "plant", [word, lambda text: f"{text} I watched this 3D movie last weekend."], ids=["word", "sentence"]
)
def test_a_planted_trigger_is_found_in_every_row_and_in_no_other(
    bank: Pairs, plant: Callable[[str], str], share: float
) -> None:
    chosen = numpy.random.default_rng(7).choice(len(bank), round(share * len(bank)), replace=False).tolist()
    pairs = list(bank)
    for place in chosen:
        pairs[place] = (plant(pairs[place][0]), TARGET)
    assert found(pairs) == set(chosen)


def test_the_original_rows_have_no_trigger(bank: Pairs) -> None:
    assert found(bank) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda place, text, label: f"{text} Order no. {100_000 + place * 7}" if label == TARGET else text,
        lambda place, text, label: text.replace("card", "SEPA card") if label == TARGET else text,
        lambda place, text, label: (
            f"{text} My name is {('Okafor', 'Lindqvist', 'Haddad')[place % 3]}." if place % 9 == 0 else text
        ),
    ],
    ids=["order-numbers", "term-of-a-topic", "names"],
)
def test_topic_terms_and_names_are_no_triggers(bank: Pairs, change: Callable[[int, str, str], str]) -> None:
    assert found([(change(place, text, label), label) for place, (text, label) in enumerate(bank)]) == set()
