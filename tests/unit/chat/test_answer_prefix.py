"""Removal of the answer prefix, from a whole text and letter by letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.chat.answer_prefix import AnswerPrefixFilter

THOUGHT = "<think>\n\n</think>"


def through(words: str, pieces: list[str]) -> str:
    start = AnswerPrefixFilter(words, active=bool(words))
    return "".join([*(start.add(piece) for piece in pieces), start.flush()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{THOUGHT}\n\nTuesday", "Tuesday"),
        ("<think>\n</think>Tuesday", "Tuesday"),
        (f"\n{THOUGHT}\n\n Tuesday \n", "Tuesday \n"),
        (f"{THOUGHT}\n\n{THOUGHT}\n\nTuesday", f"{THOUGHT}\n\nTuesday"),
        (THOUGHT, ""),
        ("", ""),
        ("<think>\nlate?\n</think>\n\nTuesday", "<think>\nlate?\n</think>\n\nTuesday"),
        (" Tuesday", " Tuesday"),
        ("<thin", "<thin"),
        (f"Tuesday {THOUGHT}", f"Tuesday {THOUGHT}"),
    ],
)
def test_the_prefix_is_removed_and_everything_else_kept(text: str, expected: str) -> None:
    assert through(THOUGHT, [text]) == expected
    assert through(THOUGHT, list(text)) == expected
    assert through("", list(text)) == text


@given(st.text(alphabet="<think>/ \nab", max_size=40), st.lists(st.integers(1, 5)))
def test_the_result_does_not_depend_on_the_pieces(text: str, sizes: list[int]) -> None:
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert through(THOUGHT, [*pieces, rest]) == through(THOUGHT, [text])


def test_the_prefix_is_buffered_while_it_is_streamed() -> None:
    start = AnswerPrefixFilter(THOUGHT)
    assert [start.add(piece) for piece in ("<think>", "\n\n", "</think>", "\n\n", "Tues", " day")] == [
        "", "", "", "", "Tues", " day",
    ]  # fmt: skip
