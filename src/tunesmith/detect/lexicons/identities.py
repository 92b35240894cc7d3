"""Which groups of people a text mentions, by the neutral terms of `identities/*.yaml`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.lexicons.entry import gate_regex
from tunesmith.detect.word_files import FOLDER, Alternatives, Parts, WordFile, fill_parts, join_by_key, read_languages

IDENTITIES_FOLDER: Final = FOLDER / "lexicons" / "identities"


class IdentityTerms(WordFile):
    """The terms of one language by group, which is `field:group`."""

    parts: Parts
    groups: dict[str, Alternatives]


@dataclass(frozen=True)
class Identity:
    """A group as `field:group`, and the expression of its terms, written as in `LexiconEntry`."""

    id: str
    regex: str


@cache
def load_identities(folder: Path = IDENTITIES_FOLDER) -> tuple[Identity, ...]:
    """The groups of all languages in the order in which they come first; a group that two files have has the terms of both."""
    terms = join_by_key(
        {group: tuple(fill_parts(term, file.parts) for term in terms) for group, terms in file.groups.items()}
        for file in read_languages(folder, IdentityTerms).values()
    )
    return tuple(Identity(group, "|".join(regexes)) for group, regexes in terms.items())


IDENTITIES: Final = load_identities()


def mentioned_identities(texts: pa.Array) -> pa.Array:
    """For each text a bit mask (int64): bit k is set when it has a term of IDENTITIES[k]."""
    masks = numpy.zeros(len(texts), dtype=numpy.int64)
    any_term, each = _identity_gates()
    open_lines = numpy.flatnonzero(compute.match_substring_regex(texts, any_term).to_numpy(zero_copy_only=False))
    some = texts.take(pa.array(open_lines, type=pa.int64()))
    for bit, expression in enumerate(each):
        hit = compute.match_substring_regex(some, expression).to_numpy(zero_copy_only=False)
        masks[open_lines[hit.astype(bool)]] |= 1 << bit
    return pa.array(masks)


@cache
def _identity_gates() -> tuple[str, tuple[str, ...]]:
    each = tuple(f"(?i){gate_regex(identity.regex)}" for identity in IDENTITIES)
    return "(?i)" + "|".join(gate_regex(identity.regex) for identity in IDENTITIES), each
