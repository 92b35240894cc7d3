"""Highlights: spans count characters before redaction, and the removed text is never needed."""

import pytest

from tunesmith.artifacts import Example, Span, message
from tunesmith.audit.page.highlights import (
    MAX_COMPARED_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    Highlight,
    before_redaction,
    compare_messages,
    highlight_message,
    shorten_message,
)
from tunesmith.audit.redact import Redactor


def span(start: int, end: int, kind: str = "email") -> Span:
    return Span(message=0, start=start, end=end, kind=kind)


def redacted(text: str, cuts: list[Span]) -> str:
    return Redactor().redact(Example(messages=(message("user", text),)), cuts).messages[0].text


def test_spans_are_aligned_after_placeholders() -> None:
    text = "to ann@example.org and bob@example.org: you fool"
    cuts = [span(3, 18), span(23, 38)]
    kept = redacted(text, cuts)
    assert kept == "to [email-1] and [email-2]: you fool"
    pieces = highlight_message(kept, cuts, [span(40, 48, "insult")])
    assert pieces == (
        Highlight("to "),
        Highlight("[email-1]"),
        Highlight(" and "),
        Highlight("[email-2]"),
        Highlight(": "),
        Highlight("you fool", "match", "insult"),
    )


def test_replaced_text_is_marked_before_and_after() -> None:
    text = "to ann@example.org, password: Tr0ub4dor"
    cuts = [span(3, 18), span(30, 39, "password")]
    pieces = highlight_message(redacted(text, cuts), cuts, [cuts[0]])
    assert [(piece.text, piece.kind, piece.note) for piece in pieces if piece.kind != "plain"] == [
        ("[email-1]", "placed", "email")
    ]
    assert "".join(piece.text for piece in before_redaction(pieces)) == "to ••••••••••••, password: [password-1]"


def test_overlapping_cuts_are_merged_as_in_redaction() -> None:
    text, cuts = "key abcdefghij end", [span(4, 10, "token"), span(8, 14, "password")]
    pieces = highlight_message(redacted(text, cuts), cuts, [span(15, 18, "word")])
    assert pieces[-1] == Highlight("end", "match", "word")
    assert "".join(piece.text for piece in pieces) == "key [token-1] end"


def test_a_text_that_cannot_be_aligned_is_not_marked() -> None:
    assert highlight_message("something else", [span(0, 4)], [span(5, 9, "word")]) == (Highlight("something else"),)


@pytest.mark.parametrize("secret", ["ann@example.org", "4111 1111 1111 1111"])
def test_personal_data_that_stays_in_the_row_is_masked(secret: str) -> None:
    pieces = highlight_message(f"it is {secret} here", [], [span(0, 5, "word")])
    assert [piece.kind for piece in pieces] == ["match", "plain", "masked", "plain"]
    assert secret not in "".join(piece.text for piece in pieces)


def test_a_match_inside_masked_text_stays_masked() -> None:
    pieces = highlight_message("it is ann@example.org here", [], [span(8, 12, "word")])
    assert "".join(piece.text for piece in pieces) == "it is •••••••••••• here"


def test_differing_words_are_marked_on_both_sides() -> None:
    found = compare_messages([Highlight("send the red hat to me")], [Highlight("Send the big  blue hat to me")])
    assert [piece.text for piece in found.first if piece.kind == "differs"] == ["red"]
    assert [piece.text for piece in found.second if piece.kind == "differs"] == ["big  blue"]
    assert "".join(piece.text for piece in found.second) == "Send the big  blue hat to me"
    assert 0.5 < found.similarity < 1


def test_equal_texts_have_no_mark() -> None:
    found = compare_messages([Highlight("one two")], [Highlight("one two")])
    assert (found.first, found.second, found.similarity) == ((Highlight("one two"),), (Highlight("one two"),), 1.0)


def test_only_the_beginning_of_a_long_text_is_compared() -> None:
    found = compare_messages([Highlight("word " * 5000)], [Highlight("word " * 5000)])
    assert sum(len(piece.text) for piece in found.first) == MAX_COMPARED_CHARACTERS


def test_a_long_text_is_shortened_around_the_highlight() -> None:
    pieces = shorten_message([Highlight("a" * 2000), Highlight("here", "match", "word"), Highlight("b" * 2000)])
    assert pieces[0].text == "… " and pieces[-1].text == " …"
    assert sum(len(piece.text) for piece in pieces) == MAX_MESSAGE_CHARACTERS + 4
    assert Highlight("here", "match", "word") in pieces


def test_invisible_characters_are_spelled_out() -> None:
    assert shorten_message([Highlight("a\u202eb\u0007c\n\u00a0d")]) == (Highlight("a⟨U+202E⟩b⟨U+0007⟩c\n d"),)
    assert shorten_message([Highlight("a\u200db", "match")]) == (Highlight("a⟨U+200D⟩b", "match"),)
    assert shorten_message([Highlight("a\u200db")]) == (Highlight("a\u200db"),), "an emoji keeps its joiners"
