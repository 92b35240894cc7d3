"""Each sign of low quality, and that every text with one is a suspect."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.detect.quality import (
    CHARACTER_RULES,
    NGRAM_WORDS,
    QUALITY_RULES,
    SHARE_RULES,
    Flaw,
    QualityThresholds,
    count_copied_words,
    find_flaws,
    suspect_texts,
)

USUAL = QualityThresholds()
SMALL = QualityThresholds(repetition=0.3, lines=0.2, signs=0.3, gibberish=0.2, markup=1, words=8)
LOOP = "the parcel is on its way to you and "

KNOWN = [
    (LOOP * 12 + "so on", [("repetition", "90% of its 110 words repeat runs of 5 words")]),
    (
        "Keep the door closed.\n" * 4 + "Feed the cat now.",
        [("lines", "3 of its 5 lines are copies, 62% of their characters")],
    ),
    ("so happyyyyyyyyyyyyyyyyyyyyyyyy now", [("run", "'y' 24 times in a row")]),
    ("@@## %% !! ~~ ^^ && (( )) ?? << >> // :: ;; ++ -- == ok", [("signs", "94% of its 36 characters are signs")]),
    ("asdkjfh qwlkrjh zxcvmnb sdflkgj wrtpxzi", [("gibberish", "5 of its 5 words cannot be spoken")]),
    ("Lorem ipsum dolor sit amet", [("boilerplate", "filler text 'Lorem ipsum dolor'")]),
    ("At the cafÃ© on the corner", [("mojibake", "1 runs of broken characters")]),
    ("<p>One</p> two<br> &amp; so", [("markup", "3 tags or character references, the first '</p>'")]),
]


@pytest.mark.parametrize(("text", "expected"), KNOWN, ids=QUALITY_RULES)
def test_known_flaws(text: str, expected: list[tuple[str, str]]) -> None:
    text = text if "signs" not in expected[0][0] else text + " " + text
    found = find_flaws(text, USUAL)
    assert [flaw.rule for flaw in found] == [rule for rule, _ in expected]
    if "signs" not in expected[0][0]:
        assert [(flaw.rule, flaw.reason) for flaw in found] == expected
    assert suspect_texts(pa.array([text]), USUAL).tolist() == [2 if expected[0][0] in CHARACTER_RULES else 1]


def test_spans_of_flaws() -> None:
    assert find_flaws("At the cafÃ© there", USUAL) == [Flaw("mojibake", "1 runs of broken characters", 10, 12)]
    assert find_flaws("no" + "o" * 20 + "!", USUAL)[0][2:] == (1, 22)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "```\n" + "x = 1\n" * 20 + "```",
        "| a | b |\n" * 10,
        "-" * 60,
        "Row, row, row your boat, gently down the stream.",
        "Strč prst skrz krk, řekl Petr, a šel domů.",
        "NATO BBC HTML PDF DVD CSS SQL TV PC MHz",
        "He said one two three four five, and then one two three four five again.",
    ],
)
def test_good_texts_have_no_flaws(text: str) -> None:
    assert find_flaws(text, USUAL) == []


PIECES = [
    *("the ", "parcel ", "is on ", "its way ", "to you ", "qwrtzp ", "xkcdvbn ", "Grüße ", "漢字", "🙂", "é"),
    *(
        "!!!",
        "::::",
        "\n",
        "\n\n",
        "aaaaaaaaaaaaaaaaaaaa",
        "?" * 16,
        "`",
        "```\n",
        "    x\n",
        "<br>",
        "</p>",
        "&amp;",
        "Ã©",
        "\ufffd",
    ),
    *("lorem ipsum dolor", "as an AI model", "We use cookies to", "Feed the cat now.\n", LOOP),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.sampled_from([USUAL, SMALL]))
def test_every_text_with_a_flaw_is_a_suspect(text: str, thresholds: QualityThresholds) -> None:
    (suspect,) = suspect_texts(pa.array([text]), thresholds).tolist()
    assert find_flaws(text, thresholds, rules=((), SHARE_RULES, QUALITY_RULES)[suspect]) == find_flaws(text, thresholds)


def test_null_is_not_a_suspect_and_texts_are_independent() -> None:
    texts = [None, "", "ok", *(text for text, _ in KNOWN)]
    alone = [suspect_texts(pa.array([text], type=pa.string()), USUAL).tolist()[0] for text in texts]
    assert suspect_texts(pa.array(texts), USUAL).tolist() == alone
    assert alone[:3] == [0] * 3


@given(st.lists(st.sampled_from("ab"), max_size=24))
def test_copied_words_are_in_an_earlier_ngram(words: list[str]) -> None:
    grams = [tuple(words[at : at + NGRAM_WORDS]) for at in range(len(words) - NGRAM_WORDS + 1)]
    again = {at for at, gram in enumerate(grams) if gram in grams[:at]}
    covered = {place for at in again for place in range(at, at + NGRAM_WORDS)}
    assert count_copied_words(words) == len(covered)
    assert len(words) - len(covered) >= (len(Counter(words)) if len(words) >= NGRAM_WORDS else 0)
