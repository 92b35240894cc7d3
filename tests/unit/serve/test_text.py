"""Whole characters only, and no character of a stop string."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.serve.detokenize import IncrementalDetokenizer, StopStrings

TOKENIZER = train_tokenizer(["where is my order, the kettle leaks"], 300, positions=64)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_the_pieces_are_the_text(text):
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    pieces = [detokenizer.add(token) for token in TOKENIZER.encode(text, add_special_tokens=False)]
    assert "".join(pieces) + detokenizer.flush() == text


def test_a_character_over_several_tokens_waits_for_its_rest():
    ids = TOKENIZER.encode("é🙂", add_special_tokens=False)
    assert len(ids) == 6
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    assert [detokenizer.add(token) for token in ids] == ["", "é", "", "", "", "🙂"]
    assert detokenizer.flush() == ""


def test_a_broken_character_is_shown_at_the_end():
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    (first, *_) = TOKENIZER.encode("🙂", add_special_tokens=False)
    assert (detokenizer.add(first), detokenizer.flush()) == ("", "\ufffd")


def test_special_tokens_are_not_shown():
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    ids = [*TOKENIZER.encode("my order", add_special_tokens=False), TOKENIZER.eos_token_id]
    assert "".join(detokenizer.add(token) for token in ids) + detokenizer.flush() == "my order"


@pytest.mark.parametrize(
    ("pieces", "stops", "shown", "found"),
    [
        (["ab", "c</", "s", "> d"], ("</s>",), ["ab", "c", "", ""], True),
        (["ab<", "/x"], ("</s>",), ["ab", "</x"], False),
        (["xEND", "more"], ("END",), ["x", ""], True),
        (["one two"], ("two", "one"), [""], True),
        (["aab"], ("ab",), ["a"], True),
        (["no stop"], (), ["no stop"], False),
    ],
)
def test_stop_strings(pieces, stops, shown, found):
    watch, seen = StopStrings(stops), []
    for piece in pieces:
        seen.append("" if watch.matched else watch.add(piece))
    assert (seen, watch.matched) == (shown, found)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("ab", max_size=4), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_what_is_shown_is_the_text_before_the_first_stop(pieces, stops):
    watch, shown = StopStrings(tuple(stops)), ""
    for piece in pieces:
        shown += watch.add(piece)
        if watch.matched:
            break
    text = "".join(pieces)
    assert watch.matched == any(stop in text for stop in stops)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not watch.matched:
        assert shown + watch.pending == text
