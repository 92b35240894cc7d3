"""Only complete characters are released, and no character of a stop string is sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.serve.detokenize import IncrementalDetokenizer, StopStrings

TOKENIZER = train_tokenizer(["where is my order, the kettle leaks"], 300, positions=64)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_chunks_join_to_the_text(text):
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    chunks = [detokenizer.add(token) for token in TOKENIZER.encode(text, add_special_tokens=False)]
    assert "".join(chunks) + detokenizer.flush() == text


def test_an_incomplete_character_waits_for_the_next_token():
    ids = TOKENIZER.encode("é🙂", add_special_tokens=False)
    assert len(ids) == 6
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    assert [detokenizer.add(token) for token in ids] == ["", "é", "", "", "", "🙂"]
    assert detokenizer.flush() == ""


def test_an_incomplete_character_is_flushed_at_the_end():
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    (first, *_) = TOKENIZER.encode("🙂", add_special_tokens=False)
    assert (detokenizer.add(first), detokenizer.flush()) == ("", "\ufffd")


def test_special_tokens_are_skipped():
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    ids = [*TOKENIZER.encode("my order", add_special_tokens=False), TOKENIZER.eos_token_id]
    assert "".join(detokenizer.add(token) for token in ids) + detokenizer.flush() == "my order"


@pytest.mark.parametrize(
    ("chunks", "stops", "sent", "matched"),
    [
        (["ab", "c</", "s", "> d"], ("</s>",), ["ab", "c", "", ""], True),
        (["ab<", "/x"], ("</s>",), ["ab", "</x"], False),
        (["xEND", "more"], ("END",), ["x", ""], True),
        (["one two"], ("two", "one"), [""], True),
        (["aab"], ("ab",), ["a"], True),
        (["no stop"], (), ["no stop"], False),
    ],
)
def test_stop_strings(chunks, stops, sent, matched):
    stream, returned = StopStrings(stops), []
    for chunk in chunks:
        returned.append("" if stream.matched else stream.add(chunk))
    assert (returned, stream.matched) == (sent, matched)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("ab", max_size=4), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_text_before_the_first_stop_string_is_sent(chunks, stops):
    stream, sent = StopStrings(tuple(stops)), ""
    for chunk in chunks:
        sent += stream.add(chunk)
        if stream.matched:
            break
    text = "".join(chunks)
    assert stream.matched == any(stop in text for stop in stops)
    assert text.startswith(sent)
    assert not any(stop in sent for stop in stops)
    if not stream.matched:
        assert sent + stream.pending == text
