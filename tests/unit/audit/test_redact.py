"""Spans become placeholders; overlaps leave nothing standing; identity stays."""

from tunesmith.artifacts import Example, Message, Span, Text, message
from tunesmith.audit.redact import Redaction


def turns(*texts: str) -> Example:
    return Example(messages=tuple(message("user", text) for text in texts))


def span(message: int, start: int, end: int, kind: str) -> Span:
    return Span(message=message, start=start, end=end, kind=kind)


def test_overlapping_spans_become_one_of_the_kind_that_starts_first() -> None:
    spans = [span(0, 5, 9, "late"), span(0, 3, 6, "early"), span(0, 0, 2, "own")]
    assert Redaction().of(turns("ab cdef gh"), spans) == turns("[own-1] [early-1]h")


def test_numbers_run_per_kind_over_all_rows_without_regard_to_case_and_spaces() -> None:
    redaction = Redaction()
    first = redaction.of(turns("Ab", "x"), [span(0, 0, 2, "k"), span(1, 0, 1, "k")])
    later = [span(0, 0, 3, "k"), span(1, 0, 1, "other"), span(2, 0, 2, "k")]
    assert first == turns("[k-1]", "[k-2]")
    assert redaction.of(turns("a b", "y", "AB"), later) == turns("[k-1]", "[other-1]", "[k-1]")


def test_a_span_over_two_text_parts() -> None:
    parts = Message(role="user", content=(Text(text="ab"), Text(text="cd")))
    assert Redaction().of(Example(messages=(parts,)), [span(0, 1, 3, "k")]) == turns("a[k-1]d")


def test_labels_of_a_text_stay() -> None:
    one = Example(text="abc", labels=("x",))
    assert Redaction().of(one, [span(0, 0, 1, "k")]) == Example(text="[k-1]bc", labels=("x",))


def test_the_weight_of_a_turn_stays() -> None:
    one = Example(messages=(Message(role="assistant", content=(Text(text="abc"),), weight=0.5),))
    made = Redaction().of(one, [span(0, 0, 1, "k")])
    assert (made.messages[0].text, made.messages[0].weight) == ("[k-1]bc", 0.5)
