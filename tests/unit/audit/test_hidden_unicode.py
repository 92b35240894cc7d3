"""The prefilter of hidden characters matches everything that the expressions find."""

import sys

import pyarrow as pa
from pyarrow import compute

from tunesmith.audit.checks.hidden_unicode import KINDS, PREFILTER


def test_every_character_the_expressions_find_passes_the_prefilter() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    passed = compute.match_substring_regex(pa.array(characters), PREFILTER)
    found = {one for _, expression in KINDS for run in expression.findall(" ".join(characters)) for one in run}
    assert len(found) > 380
    assert found <= set(pa.array(characters).filter(passed).to_pylist())
    assert not any(character.isascii() for character in found)
