"""A row's text in pieces: spans count characters from before redaction, and what was taken out is never needed."""

import pytest

from tunesmith.artifacts import Example, Span, message
from tunesmith.audit.page.pieces import COMPARED, LENGTH, Piece, before, compared, marked, shown
from tunesmith.audit.redact import Redaction


def span(start: int, end: int, kind: str = "email") -> Span:
    return Span(message=0, start=start, end=end, kind=kind)


def redacted(text: str, cuts: list[Span]) -> str:
    return Redaction().of(Example(messages=(message("user", text),)), cuts).messages[0].text


def test_spans_are_found_again_behind_placeholders() -> None:
    text = "to ann@example.org and bob@example.org: you fool"
    cuts = [span(3, 18), span(23, 38)]
    kept = redacted(text, cuts)
    assert kept == "to [email-1] and [email-2]: you fool"
    pieces = marked(kept, cuts, [span(40, 48, "insult")])
    assert pieces == (
        Piece("to "),
        Piece("[email-1]"),
        Piece(" and "),
        Piece("[email-2]"),
        Piece(": "),
        Piece("you fool", "match", "insult"),
    )


def test_what_the_rule_replaced_is_marked_before_and_after() -> None:
    text = "to ann@example.org, password: Tr0ub4dor"
    cuts = [span(3, 18), span(30, 39, "password")]
    pieces = marked(redacted(text, cuts), cuts, [cuts[0]])
    assert [(piece.text, piece.kind, piece.note) for piece in pieces if piece.kind != "plain"] == [
        ("[email-1]", "placed", "email")
    ]
    assert "".join(piece.text for piece in before(pieces)) == "to ••••••••••••, password: [password-1]"


def test_cuts_that_overlap_are_one_as_redaction_has_it() -> None:
    text, cuts = "key abcdefghij end", [span(4, 10, "token"), span(8, 14, "password")]
    pieces = marked(redacted(text, cuts), cuts, [span(15, 18, "word")])
    assert pieces[-1] == Piece("end", "match", "word")
    assert "".join(piece.text for piece in pieces) == "key [token-1] end"


def test_a_text_that_does_not_line_up_is_not_marked() -> None:
    assert marked("something else", [span(0, 4)], [span(5, 9, "word")]) == (Piece("something else"),)


@pytest.mark.parametrize("secret", ["ann@example.org", "4111 1111 1111 1111"])
def test_what_stays_in_the_row_is_masked(secret: str) -> None:
    pieces = marked(f"it is {secret} here", [], [span(0, 5, "word")])
    assert [piece.kind for piece in pieces] == ["match", "plain", "masked", "plain"]
    assert secret not in "".join(piece.text for piece in pieces)


def test_a_mark_inside_what_is_masked_shows_nothing_of_it() -> None:
    pieces = marked("it is ann@example.org here", [], [span(8, 12, "word")])
    assert "".join(piece.text for piece in pieces) == "it is •••••••••••• here"


def test_differing_words_are_marked_on_both_sides() -> None:
    found = compared([Piece("send the red hat to me")], [Piece("Send the big  blue hat to me")])
    assert [piece.text for piece in found.one if piece.kind == "differs"] == ["red"]
    assert [piece.text for piece in found.other if piece.kind == "differs"] == ["big  blue"]
    assert "".join(piece.text for piece in found.other) == "Send the big  blue hat to me"
    assert 0.5 < found.alike < 1


def test_equal_texts_have_no_mark() -> None:
    found = compared([Piece("one two")], [Piece("one two")])
    assert (found.one, found.other, found.alike) == ((Piece("one two"),), (Piece("one two"),), 1.0)


def test_only_the_beginning_of_a_long_text_is_compared() -> None:
    found = compared([Piece("word " * 5000)], [Piece("word " * 5000)])
    assert sum(len(piece.text) for piece in found.one) == COMPARED


def test_a_long_text_is_cut_around_what_is_marked() -> None:
    pieces = shown([Piece("a" * 2000), Piece("here", "match", "word"), Piece("b" * 2000)])
    assert pieces[0].text == "… " and pieces[-1].text == " …"
    assert sum(len(piece.text) for piece in pieces) == LENGTH + 4
    assert Piece("here", "match", "word") in pieces


def test_signs_that_nobody_sees_are_spelled_out() -> None:
    assert shown([Piece("a\u202eb\u0007c\n\u00a0d")]) == (Piece("a⟨U+202E⟩b⟨U+0007⟩c\n d"),)
    assert shown([Piece("a\u200db", "match")]) == (Piece("a⟨U+200D⟩b", "match"),)
    assert shown([Piece("a\u200db")]) == (Piece("a\u200db"),), "an emoji keeps its joiners"
