"""Spans become placeholders; overlaps leave nothing standing; identity stays."""

from tunesmith.artifacts import Example, Message, Row, Span, Text, message
from tunesmith.audit.redact import redact


def row(*texts: str) -> Row:
    turns = tuple(message("user", text) for text in texts)
    return Row(row_id="0123456789abcdef", file="a.jsonl", line=3, example=Example(messages=turns))


def span(message: int, start: int, end: int, kind: str) -> Span:
    return Span(message=message, start=start, end=end, kind=kind)


def test_overlapping_spans_become_one_of_the_kind_that_starts_first() -> None:
    (made,) = redact([row("ab cdef gh")], {0: [span(0, 5, 9, "late"), span(0, 3, 6, "early"), span(0, 0, 2, "own")]})
    assert made.example.messages[0].text == "[own-1] [early-1]h"


def test_numbers_run_per_kind_over_all_rows_without_regard_to_case_and_spaces() -> None:
    rows = [row("Ab", "x"), row("untouched"), row("a b", "y", "AB")]
    spans = {
        0: [span(0, 0, 2, "k"), span(1, 0, 1, "k")],
        2: [span(0, 0, 3, "k"), span(1, 0, 1, "other"), span(2, 0, 2, "k")],
    }
    made = redact(rows, spans)
    assert [[turn.text for turn in one.example.messages] for one in made] == [
        ["[k-1]", "[k-2]"],
        ["untouched"],
        ["[k-1]", "[other-1]", "[k-1]"],
    ]
    assert made[1] is rows[1]
    assert [(one.row_id, one.file, one.line, one.rights) for one in made] == [
        (one.row_id, one.file, one.line, one.rights) for one in rows
    ]


def test_a_span_over_two_text_parts() -> None:
    parts = Message(role="user", content=(Text(text="ab"), Text(text="cd")))
    one = Row(row_id="0", file="a", line=1, example=Example(messages=(parts,)))
    (made,) = redact([one], {0: [span(0, 1, 3, "k")]})
    assert made.example.messages == (message("user", "a[k-1]d"),)


def test_labels_of_a_text_stay() -> None:
    one = Row(row_id="0", file="a", line=1, example=Example(text="abc", labels=("x",)))
    assert redact([one], {0: [span(0, 0, 1, "k")]})[0].example == Example(text="[k-1]bc", labels=("x",))
