"""Patterns against published examples and near misses; a gate lets every hit through."""

import re

import pyarrow as pa
import pytest

from tunesmith.data.patterns import PERSONAL, SECRETS, Hit, Pattern, find, gate, mask
from tunesmith.data.patterns.checksums import base58check, bech32, luhn, mod97
from tunesmith.tables import matching

EVERY = (*PERSONAL, *SECRETS)

FOUND = [
    ("mail o'brien@example.org now", "mail [email] now"),
    ("write to 'anna@example.org', please", "write to '[email]', please"),
    ("müller@beispiel.de.", "[email]."),
    ("a.b+tag@mail.example.co.uk", "[email]"),
    ("call me on 5551234567", "call me on [phone]"),
    ("call 555-123-4567 or (555) 123-4567", "call [phone] or [phone]"),
    ("ring 07700 900123", "ring [phone]"),
    ("+44 7700 900123 or +49 (0)30 901820", "[phone] or [phone]"),
    ("mobile: 555 0134", "mobile: [phone]"),
    ("card 4111 1111 1111 1111 2", "card [card] 2"),
    ("1234 5555-5555-5555-4444", "1234 [card]"),
    ("378282246310005", "[card]"),
    ("to DE89 3704 0044 0532 0130 00 please", "to [iban] please"),
    ("gb82west12345698765432", "[iban]"),
    ("ssn 078-05-1120", "ssn [us-ssn]"),
    ("from 203.0.113.9.", "from [ip-address]."),
    ("2001:db8::ff00:42:8329", "[ip-address]"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "[crypto-wallet]"),
    ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "[crypto-wallet]"),
    ("0x52908400098527886E0F7030069857D2E4169EE7", "[crypto-wallet]"),
    ("DOB: 12/05/1990", "DOB: [date-of-birth]"),
    ("she was born on 4 May 1990", "she was born on [date-of-birth]"),
    ("key AKIAIOSFODNN7EXAMPLE", "key [aws-access-key]"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [aws-secret-key]"),
    ("ghp_" + "a1B2" * 9, "[github-token]"),
    ("xoxb-123456789012-abcdefGHIJ", "[slack-token]"),
    ("sk_live_" + "a1" * 12, "[stripe-key]"),
    ("AIza" + "Ab1_-" * 7, "[google-api-key]"),
    ("Authorization: Bearer abcdefghij1234567890", "Authorization: Bearer [bearer-token]"),
    ("api_key=abcdef1234567890abcd", "api_key=[api-key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "[jwt]"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIB\nAAKC==\n-----END RSA PRIVATE KEY----- ok", "[private-key] ok"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n", "[private-key]\n"),
    ("my password is: Tr0ub4dor&3.", "my password is: [password]."),
    ('"password": "correct horse"', '"password": [password]'),
    ("pin is 1234, cvv 123", "pin is [pin], cvv [card-code]"),
]

MISSED = [
    "order 48213 for 1,299.00 on 01.02.2024 10:30",
    "order 1234567890 came, then 0048213",
    "01-02-2024 10, 2024-05-12, 12/05/1990",
    "4111 1111 1111 1112 has a wrong check digit",
    "41111111111111111234 is too long",
    "IMEI 490154203237518",
    "DE89 3704 0044 0532 0130 01",
    "000-12-1234 and 666-12-1234 were never given out",
    "v1.2.3.4, 127.0.0.1, 999.1.1.1",
    "std::vector abc::def 12:30:45",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
    "icon@2x.png and a@b",
    "phone order 48213, +1 000 000 people",
    "password is not working; password: REQUIRED; the passwords abc1",
    "use 'forgot password' instead, 'reset1'",
    "pin 2 boards, PIN: 12.50, pinned 1234",
    "bearer of good news and tidings",
    "eyJub3QganNvbg.eyJub3QganNvbg.eyJub3QganNvbg",
    "AKIA is how they begin; ghp_short; sk_live_short",
]


@pytest.mark.parametrize(("text", "masked"), FOUND)
def test_found_exactly(text: str, masked: str) -> None:
    assert mask(text, EVERY) == masked


@pytest.mark.parametrize("text", MISSED)
def test_near_misses_are_left_alone(text: str) -> None:
    assert find(text, EVERY) == []


def test_every_kind_has_a_text_in_which_it_is_found() -> None:
    kinds = {hit.kind for text, _ in FOUND for hit in find(text, EVERY)}
    assert kinds == {pattern.kind for pattern in EVERY}


def test_gates_are_supersets_in_the_engine() -> None:
    texts = [text for text, _ in FOUND]
    table = pa.table({"row": list(range(len(texts))), "text": texts})
    gates = {str(number): gate(pattern) for number, pattern in enumerate(EVERY)}
    matched = matching(table, column="text", gates=gates, row="row")
    for number, pattern in enumerate(EVERY):
        hits = [row for row, text in enumerate(texts) if find(text, (pattern,))]
        assert hits, pattern.regex
        assert set(hits) <= set(matched[str(number)]), pattern.regex


def test_no_pattern_has_a_negated_class_that_a_gate_could_narrow() -> None:
    for pattern in EVERY:
        assert not re.search(r"\\[WSDB]|\[\^[^\]]*\\[swd]", pattern.regex), pattern.regex
        assert not re.search(r"\(\?<?[=!]|\\b", gate(pattern)), pattern.regex


def test_search_goes_on_inside_a_match_that_fails_its_check() -> None:
    pair = Pattern("pair", "[0-9]{2}", lambda text: 2 if text[0] == text[1] else 0)
    assert find("1223", (pair,)) == [Hit(1, 3, "pair")]


def test_earlier_patterns_win_where_hits_overlap() -> None:
    assert find("ab", (Pattern("b", "b"), Pattern("ab", "ab"))) == [Hit(1, 2, "b")]


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        ("79927398713", True),
        ("79927398710", False),
        ("4111111111111111", True),
        ("5555555555554444", True),
        ("6011111111111118", False),
    ],
)
def test_luhn_of_published_numbers(digits: str, valid: bool) -> None:
    """ISO/IEC 7812-1 annex example and the card schemes' test numbers."""
    assert luhn(digits) is valid


@pytest.mark.parametrize(
    ("iban", "valid"),
    [
        ("GB82WEST12345698765432", True),
        ("DE89370400440532013000", True),
        ("FR1420041010050500013M02606", True),
        ("NO9386011117947", True),
        ("GB82WEST12345698765431", False),
    ],
)
def test_mod97_of_the_registry_examples(iban: str, valid: bool) -> None:
    """Examples of the SWIFT IBAN registry."""
    assert mod97(iban) is valid


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", True),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", True),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", False),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", False),
    ],
)
def test_bech32_vectors_of_bip_173_and_350(address: str, valid: bool) -> None:
    assert bech32(address) is valid


def test_base58check_of_the_genesis_address() -> None:
    assert base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    assert not base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
    assert not base58check("z" * 35)
