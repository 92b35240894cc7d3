"""Counts of byte classes, compared with a count by character."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.detect import characters
from tunesmith.detect.characters import BYTE_CLASSES, MAX_BYTES, class_counts, count_class

NAMES = ("letters", "digits", "signs", "beyond")
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20), st.text("aZ0 \n!é漢🙂", max_size=40)), max_size=8)


def by_hand(text: str | None) -> dict[str, int]:
    data = (text or "").encode()
    return {
        "letters": sum(chr(byte).isalpha() for byte in data if byte < 128),
        "vowels": sum(chr(byte).lower() in "aeiouy" for byte in data if byte < 128),
        "digits": sum(chr(byte).isdigit() for byte in data if byte < 128),
        "spaces": sum(chr(byte) in " \t\r\n\v\f" for byte in data if byte < 128),
        "signs": sum(33 <= byte < 127 and not chr(byte).isalnum() for byte in data),
        "beyond": sum(byte > 127 for byte in data),
    }


@given(TEXTS)
def test_counts_equal_a_count_by_character(texts: list[str | None]) -> None:
    for names in (NAMES, ("vowels", "spaces")):
        found = class_counts(pa.array(texts, type=pa.string()), names)
        assert [{name: int(found[name][at]) for name in names} for at in range(len(texts))] == [
            {name: by_hand(text)[name] for name in names} for text in texts
        ]


@given(st.text(max_size=40))
def test_a_single_text_has_the_same_count_as_in_a_column(text: str) -> None:
    assert {name: count_class(text, name) for name in BYTE_CLASSES} == by_hand(text)


def test_slices_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [letter * number for number, letter in enumerate("a1!é b2?漢 " * 20)]
    whole = class_counts(pa.array(texts), NAMES)
    monkeypatch.setattr(characters, "_BLOCK_BYTES", 64)
    again, sliced = class_counts(pa.array(texts), NAMES), class_counts(pa.array(texts).slice(7, 50), NAMES)
    for name in NAMES:
        assert np.array_equal(whole[name], again[name])
        assert np.array_equal(whole[name][7:57], sliced[name])


def test_a_long_text_is_counted_up_to_65535_bytes() -> None:
    found = class_counts(pa.array(["a" * (MAX_BYTES + 10) + "1", "a1"]), ("letters", "digits"))
    assert (found["letters"].tolist(), found["digits"].tolist()) == ([MAX_BYTES, 1], [0, 1])


def test_an_empty_column() -> None:
    assert class_counts(pa.array([], type=pa.string()), ("signs",))["signs"].tolist() == []


def test_five_classes_are_rejected() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        class_counts(pa.array(["a"]), tuple(BYTE_CLASSES)[:5])
