"""Spans become placeholders, overlaps leave nothing unredacted, equal values keep one placeholder."""

import pyarrow as pa

from tunesmith.artifacts import Example, Message, Span, Text, message
from tunesmith.audit.redact import Redactor
from tunesmith.detect.patterns import PERSONAL, SECRETS, scan_column


def turns(*texts: str) -> Example:
    return Example(messages=tuple(message("user", text) for text in texts))


def span(message: int, start: int, end: int, kind: str) -> Span:
    return Span(message=message, start=start, end=end, kind=kind)


def test_overlapping_spans_are_merged_under_the_kind_that_starts_first() -> None:
    spans = [span(0, 5, 9, "late"), span(0, 3, 6, "early"), span(0, 0, 2, "own")]
    assert Redactor().redact(turns("ab cdef gh"), spans) == turns("[own-1] [early-1]h")


def test_numbers_run_per_kind_over_all_rows_without_regard_to_case_and_spaces() -> None:
    redaction = Redactor()
    first = redaction.redact(turns("Ab", "x"), [span(0, 0, 2, "k"), span(1, 0, 1, "k")])
    later = [span(0, 0, 3, "k"), span(1, 0, 1, "other"), span(2, 0, 2, "k")]
    assert first == turns("[k-1]", "[k-2]")
    assert redaction.redact(turns("a b", "y", "AB"), later) == turns("[k-1]", "[other-1]", "[k-1]")


def test_a_span_over_two_text_parts() -> None:
    parts = Message(role="user", content=(Text(text="ab"), Text(text="cd")))
    assert Redactor().redact(Example(messages=(parts,)), [span(0, 1, 3, "k")]) == turns("a[k-1]d")


def test_labels_of_a_text_stay() -> None:
    one = Example(text="abc", labels=("x",))
    assert Redactor().redact(one, [span(0, 0, 1, "k")]) == Example(text="[k-1]bc", labels=("x",))


def test_the_weight_of_a_turn_stays() -> None:
    one = Example(messages=(Message(role="assistant", content=(Text(text="abc"),), weight=0.5),))
    made = Redactor().redact(one, [span(0, 0, 1, "k")])
    assert (made.messages[0].text, made.messages[0].weight) == ("[k-1]bc", 0.5)


def redacted(redaction: Redactor, *texts: str) -> list[str]:
    """The texts as turns, with everything that the packs find replaced."""
    found = scan_column(pa.array(texts), PERSONAL, SECRETS).to_pylist()
    spans = [Span(message=number, **hit) for number, hits in enumerate(found) for hit in hits]
    return [turn.text for turn in redaction.redact(turns(*texts), spans).messages]


def test_a_value_has_one_placeholder_however_it_is_grouped_and_every_kind_its_own() -> None:
    redaction = Redactor()
    assert redacted(redaction, "card 4111 1111 1111 1111", "IBAN DE89 3704 0044 0532 0130 00, DNI 12345678Z") == [
        "card [card-1]",
        "IBAN [iban-1], DNI [es-dni-1]",
    ]
    assert redacted(redaction, "5555-5555-5555-4444 or 4111-1111-1111-1111", "de89370400440532013000, 12345678-Z") == [
        "[card-2] or [card-1]",
        "[iban-1], [es-dni-1]",
    ]
    assert redacted(redaction, "NHS 9434765919, NHS 943 476 5919, SSN 078-05-1120, SSN 078051120") == [
        "NHS [uk-nhs-1], NHS [uk-nhs-1], SSN [us-ssn-1], SSN [us-ssn-1]"
    ]


def test_addresses_that_differ_in_a_hyphen_or_a_dot_are_different() -> None:
    assert redacted(Redactor(), "a-b@example.org, ab@example.org", "ip 20.1.23.4, ip 20.12.3.4") == [
        "[email-1], [email-2]",
        "ip [ip-address-1], ip [ip-address-2]",
    ]


def test_a_key_block_is_redacted_as_a_whole_and_json_stays_valid() -> None:
    block = "-----BEGIN PRIV" + "ATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAAKC==\n-----END PRIV" + "ATE KEY-----"
    assert redacted(Redactor(), f"{block}\nend", '{"password": "correct horse"}') == [
        "[private-key-1]\nend",
        '{"password": "[password-1]"}',
    ]
