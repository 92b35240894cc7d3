"""Page remnants, and that the gate misses none."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import array, compute

from tunesmith.detect.boilerplate import (
    BOILERPLATE_REGEX,
    MOJIBAKE_REGEX,
    PAGE_REMNANT_GATE,
    TAG_REGEX,
    blank_code,
    find_boilerplate,
    find_mojibake,
    find_tags,
)

FRAGMENTS = [
    *("ſubſcribe to our newſletter", "éas an AI model", "accept all cooKies"),
    *(
        "lorem ipsum dolor",
        "As an AI language model,",
        "as a large language model",
        "Als KI-Sprachmodell",
        "ALS KI-MODELL",
    ),
    *(
        "click here to unsubscribe",
        "Subscribe to our newsletter",
        "sign up for our newsletter",
        "This website uses cookies",
    ),
    *("We use cookies to", "accept all cookies", "Diese Seite verwendet Cookies", "Alle Cookies akzeptieren"),
    *("© 2020 Ada Ltd. All rights reserved", "(C) Ada ALL RIGHTS RESERVED", "Copyright 1999 Alle Rechte vorbehalten"),
    *("please enable JavaScript to", "Your browser does not support", "Terms of Use | Privacy Policy", "read more →"),
    *(
        "privacy policy · terms of",
        "Share on Facebook | ",
        "share this on twitter\n",
        "</p>",
        "<br/>",
        "<DIV class='a'>",
    ),
    *(
        "<a href='x'>",
        "&nbsp;",
        "&#8217;",
        "&#x2019;",
        "&rsquo;",
        "\ufffd",
        "cafÃ©",
        "â€™",
        "ï»¿",
        "Â°",
        "é",
        "ſ",
        "K",
        "\u0130",
    ),
    *(" ", "\n", "x", "\ufb01", "a1"),
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=4).map("".join))
def test_the_gate_matches_every_text_with_a_remnant(text: str) -> None:
    if BOILERPLATE_REGEX.search(text) or MOJIBAKE_REGEX.search(text) or TAG_REGEX.search(text):
        assert compute.match_substring_regex(array([text]), PAGE_REMNANT_GATE)[0].as_py(), text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Then: Lorem ipsum dolor sit amet.", "filler text"),
        ("Sorry, as an AI language model I cannot.", "words of a model"),
        ("Als KI-Sprachmodell kann ich das nicht.", "words of a model"),
        ("This site uses cookies.", "cookie banner"),
        ("Copyright 2020 Ada. All rights reserved.", "rights notice"),
        ("Terms of Service | Privacy Policy", "page furniture"),
        ("All rights are reserved for guests of the house.", None),
        ("A model of an AI was shown; we use cookie cutters.", None),
        ("Copyright is a right. \nThe seats are all rights reserved", None),
    ],
)
def test_boilerplate(text: str, what: str | None) -> None:
    found = find_boilerplate(text)
    assert (found and found[0]) == what


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("cafÃ© and naÃ¯ve", ["Ã©", "Ã¯"]),
        ("3 â‚¬ a piece", ["â‚¬"]),
        ("the château, the bâtiment, “pâ”, â", []),
        ("itâ€™s", ["â€™"]),
        ("lost \ufffd\ufffd here", ["\ufffd\ufffd"]),
        ("MAÇÃ, CORAÇÃO, Âme, São", []),
        ("Ã bientôt", []),
    ],
)
def test_broken_characters_are_those_that_read_as_utf8(text: str, pieces: list[str]) -> None:
    """`text.encode("cp1252").decode("utf-8")` is what somebody wrote."""
    assert [text[start:end] for start, end in find_mojibake(text)] == pieces


def test_every_wrongly_decoded_word_is_found() -> None:
    for word in ("café", "naïve", "Größe", "it’s", "“so”", "señor", "garçon", "100 €", "x – y", "für", "crème"):
        assert find_mojibake(word) == []
        assert find_mojibake(word.encode().decode("cp1252", "ignore")) != [], word


def test_tags_and_references() -> None:
    text = "<p>One</p> &amp; <br> two < three > &c. <List<int>>"
    assert [text[start:end] for start, end in find_tags(text)] == ["</p>", "&amp;", "<br>"]


@given(st.text("ab `~$|\n{};=()\t<code>/", max_size=60))
def test_blanked_text_keeps_its_offsets(text: str) -> None:
    blank = blank_code(text)
    assert len(blank) == len(text)
    assert [at for at, one in enumerate(blank) if one == "\n"] == [at for at, one in enumerate(text) if one == "\n"]
    assert all(one in (text[at], " ") for at, one in enumerate(blank))


def test_code_is_blanked_and_prose_is_not() -> None:
    text = "Do this:\n```\nrm -r x\n```\nor `ls`,\n    make x\nif you like it.\nreturn(x)\n| a | b |"
    assert re.sub(r"\s+", " ", blank_code(text)) == "Do this: or , if you like it. "
