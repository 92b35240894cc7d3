"""The prefilter misses no hit: `scan_column` finds on any text what all patterns find one by one."""

import re
from dataclasses import replace
from functools import cache
from time import process_time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.detect.patterns import (
    HITS_TYPE,
    PERSONAL,
    SECRETS,
    Hit,
    Pattern,
    find_hits,
    mask_hits,
    prefilter_regex,
    scan,
    scan_column,
)
from tunesmith.detect.patterns.prefilter import any_prefilter_regex, needs_digit
from tunesmith.errors import MachineFailure

EVERY = (*PERSONAL, *SECRETS)
LOOSE = tuple(replace(pattern, check=None) for pattern in EVERY)
"""Patterns without checks have far more hits, so that a gate that misses one shows."""
SEAMS = st.sampled_from(["", " ", "\n", "-", ". ", ", ", "é", "ſ", "K", "\u00a0", "\x00", "一", "😀"])


@cache
def matches_of(regex: str) -> st.SearchStrategy[str]:
    """Of a smaller alphabet and length, which is much faster, and either quote; some are near misses."""
    small = regex.replace(f"{chr(0xA1)}-{chr(0x10FFFF)}", "À-ɏ").replace("{0,20000}", "{0,40}")
    small = re.sub(r"\(\?<?=[\"']\)", "", small)
    return st.from_regex(re.compile(small, re.ASCII))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Some matches of patterns with anything between, perhaps cut or with a character changed."""
    parts = [draw(matches_of(draw(st.sampled_from(EVERY)).regex)) for _ in range(draw(st.integers(1, 3)))]
    text = "".join(part + draw(SEAMS) for part in parts)
    place = draw(st.integers(0, len(text)))
    other = draw(st.sampled_from(["", "0", "a", "Z", " ", "\u0660", "İ"]))
    return draw(st.sampled_from([text, text[:place], text[place:], text[:place] + other + text[place + 1 :]]))


def flat(found: pa.Array) -> list[list[Hit]]:
    return [[Hit(**hit) for hit in hits] for hits in found.to_pylist()]


@pytest.mark.parametrize("pack", [EVERY, LOOSE], ids=["checked", "unchecked"])
@given(st.lists(texts(), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_column_hits_equal_those_of_every_pattern(pack: tuple[Pattern, ...], column: list[str]) -> None:
    assert flat(scan_column(pa.array(column, type=pa.string()), pack)) == [find_hits(text, pack) for text in column]


@given(st.lists(st.text(max_size=60), max_size=4))
@settings(max_examples=50, deadline=None)
def test_column_hits_of_arbitrary_texts(column: list[str]) -> None:
    assert flat(scan_column(pa.array(column, type=pa.string()), LOOSE)) == [find_hits(text, LOOSE) for text in column]


@pytest.mark.parametrize("number", range(len(EVERY)))
def test_matches_of_a_pattern_pass_its_gate(number: int) -> None:
    pattern = LOOSE[number]

    @given(matches_of(pattern.regex))
    @settings(max_examples=3, deadline=None, database=None, derandomize=True)
    def passes(text: str) -> None:
        assert flat(scan_column(pa.array([text]), (pattern,))) == [find_hits(text, (pattern,))]

    passes()


def test_every_gate_rejects_most_texts() -> None:
    """A gate that ordinary words pass would cost every text an exact search."""
    words = "The Parcel left our depot on Monday; your team, and 3 others, will see it in 14 days (or 2 weeks)."
    for pattern in EVERY:
        assert scan.re2.search(prefilter_regex(pattern), words) is None, pattern.regex


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (r"(?<![0-9])cue(?![a-z])[^0-9\n]{0,40}(?P<value>[0-9]{3,5})(?! x)", "cue"),
        (
            r"(?<![A-Za-z])cue(?![A-Za-z])(?:is|was){0,3}[^0-9\n]{0,4}(?P<value>[0-9]{3})",
            "(?:^|[^A-Za-z])cue(?:[^A-Za-z]|$)",
        ),
        (r"cue[^0-9]*(?P<value>(?:[0-9]{1,3}\.){3}[0-9]{1,3})", r"(?:[0-9]{1,}\.){3}[0-9]"),
        (r"[a-z]{5}@[a-z]{20}(?:-[0-9]+)?", "@[a-z]{16}"),
        (r"[a-z][a-z.]*\.[a-z]{6}", r"\.[a-z]{6}"),
        ("[A-Z]{3}-[0-9]{4}", "[A-Z]{3}-[0-9]{4}"),
        ("[a-z]{5}-?[0-9]{4}", "[a-z]{2}-*[0-9]{4}"),
        ("[a-z]{5}[0-9]{4}", "[a-z]{2}[0-9]{4}"),
        ("[a-z]{20}", "[a-z]{2}"),
        (r"x(?:a|(?<![A-Za-z])b)y", "x(?:a|b)y"),
        (r"x(?<![A-Za-z])(?:y(?:z|w))", "x"),
    ],
)
def test_a_gate_drops_assertions_and_is_cut_at_wildcards(regex: str, expected: str) -> None:
    assert prefilter_regex(Pattern("kind", regex)) == expected


def test_no_pattern_uses_a_class_that_the_engines_read_differently() -> None:
    for pattern in EVERY:
        assert not re.search(r"\\[WSDBs]|\[\^[^\]]*\\[swd]", pattern.regex), pattern.regex
        assert not re.search(r"\(\?<?[=!]|\\b", prefilter_regex(pattern)), prefilter_regex(pattern)


def test_packs_are_scanned_independently_and_null_has_no_hits() -> None:
    column = pa.chunked_array([["call 07700 900123", None], ["", "password: Tr0ub4dor&3 of a@example.org"]])
    for kind in (pa.string(), pa.large_string()):
        found = scan_column(column.combine_chunks().cast(kind), PERSONAL, SECRETS)
        assert found.type == HITS_TYPE
        assert flat(found) == [
            [Hit(5, 17, "phone")],
            [],
            [],
            [Hit(10, 21, "password"), Hit(25, 38, "email")],
        ]
    assert len(scan_column(pa.array([], type=pa.string()), PERSONAL)) == 0


def test_offsets_are_characters_not_bytes() -> None:
    assert flat(scan_column(pa.array(["über 😀 a@example.org"]), PERSONAL)) == [[Hit(7, 20, "email")]]


def test_a_slice_is_scanned_from_its_offset() -> None:
    column = pa.array(["a@example.org", "none", "ring 07700 900123"])
    assert flat(scan_column(column.slice(1), PERSONAL)) == [[], [Hit(5, 17, "phone")]]


def test_an_automaton_out_of_memory_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    known = scan._build_prefilter((PERSONAL,))
    for number, family in enumerate(known.families):
        families = list(known.families)
        families[number] = replace(family, match=lambda _: None)
        monkeypatch.setattr(
            scan, "_build_prefilter", lambda _, families=families: replace(known, families=tuple(families))
        )
        with pytest.raises(MachineFailure, match="ran out of memory"):
            scan_column(pa.array(["", "SSN 1 is my passport"]), PERSONAL)


@given(st.lists(texts(), min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_a_matching_text_passes_its_family_alone_and_joined(column: list[str]) -> None:
    for family in scan._build_prefilter((LOOSE,)).families:
        read = scan._TextColumn(pa.array(column))
        held = {number for number, text in enumerate(read.raw) if scan._matched_gates(family.match, text)}
        assert set(family.numbers(read)) >= (held & set(read.digits) if family.digits else held)
        alone = [bool(family.numbers(scan._TextColumn(pa.array([text])))) for text in column]
        assert all(alone[number] for number in held if not family.digits or number in read.digits)


@pytest.mark.parametrize("number", range(len(EVERY)))
def test_hits_of_patterns_that_need_a_digit_have_one(number: int) -> None:
    pattern = EVERY[number]

    @given(matches_of(pattern.regex))
    @settings(max_examples=3, deadline=None, database=None, derandomize=True)
    def has_one(text: str) -> None:
        assert any(character in "0123456789" for character in text) >= needs_digit(pattern)

    has_one()


@pytest.mark.parametrize(
    ("regex", "needed"),
    [
        ("[0-9]{3}", True),
        ("a(?:b[1-9]){1}", False),
        ("a(?:b[1-9])", True),
        ("a(?P<value>[0-57]+)", True),
        ("a7", True),
        ("a[0-9]?", False),
        ("a[0-9]{0,3}", False),
        ("[0-9a]", False),
        ("[0-9-]", False),
        ("a(?:[0-9]|b)", False),
        ("a(?=[0-9])", False),
    ],
)
def test_a_digit_is_needed_where_a_required_item_is_one(regex: str, needed: bool) -> None:
    assert needs_digit(Pattern("kind", regex)) == needed


def test_a_joined_gate_has_its_word_edges_once() -> None:
    edge, end = "(?:^|[^A-Za-z])", "(?:[^A-Za-z]|$)"
    assert (
        any_prefilter_regex([f"{edge}a{end}", "x", f"{edge}b[0-9]", f"{edge}c|d{end}"])
        == f"{edge}(?:(?:a|c|d){end}|b[0-9])|x"
    )
    assert any_prefilter_regex(["x", "y"]) == "x|y"


def test_the_ends_of_a_text_are_word_edges() -> None:
    match = scan._compile_set(["(?:^|[^A-Za-z])pin(?:[^A-Za-z]|$)"])
    assert [scan._matched_gates(match, text) for text in (b"pin", b"a pin", b"pin 1", b"spin", b"pint")] == [
        [0],
        [0],
        [0],
        [],
        [],
    ]


def test_the_ends_of_joined_texts_are_word_edges() -> None:
    """Texts are asked about together: what stands at a seam must be found as if it stood alone, and nothing across one."""
    alone = [
        "ring 07700 900123",
        "my PIN is",
        "4711",
        "PIN 4711",
        "07700",
        "900123",
        "",
        "a@example.org",
        "a@example",
        ".org",
    ]
    column = [text for number in range(len(alone)) for text in (*alone[number:], *alone[:number])]
    assert flat(scan_column(pa.array(column), PERSONAL, SECRETS)) == [
        sorted([*find_hits(text, PERSONAL), *find_hits(text, SECRETS)]) for text in column
    ]


def test_a_text_may_contain_the_end_mark() -> None:
    stop = scan.END_MARK.decode()
    assert flat(scan_column(pa.array([f"{stop}a@example.org{stop}", stop]), PERSONAL)) == [[Hit(3, 16, "email")], []]


@pytest.mark.parametrize(
    "unit", ["a", "1 ", "1-2-", "A1 ", "ab@", "password: ", "12.3456 ", "-----BEGIN PRIVATE KEY-----"]
)
def test_time_is_linear_in_a_hostile_text(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = process_time()
    scan_column(pa.array([text]), PERSONAL, SECRETS)
    assert process_time() - began < 5


def test_search_continues_inside_a_match_that_fails_its_check() -> None:
    pair = Pattern("pair", "[0-9]{2}", lambda text: 2 if text[0] == text[1] else 0)
    assert find_hits("1223", (pair,)) == [Hit(1, 3, "pair")]


def test_earlier_patterns_win_where_hits_overlap() -> None:
    assert find_hits("ab", (Pattern("b", "b"), Pattern("ab", "ab"))) == [Hit(1, 2, "b")]
    assert mask_hits("ab", (Pattern("b", "b"), Pattern("ab", "ab"))) == "a[b]"
