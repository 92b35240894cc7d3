"""Whether an assistant turns a request down, by the openings of `refusals/*.yaml`."""

from typing import Final

import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.lexicons.entry import with_gaps
from tunesmith.detect.word_files import FOLDER, Alternatives, WordFile, merge_languages


class RefusalOpenings(WordFile):
    """How a refusal begins in one language."""

    openings: Alternatives


REFUSALS: Final = merge_languages(FOLDER / "lexicons" / "refusals", RefusalOpenings)
REFUSAL_REGEX: Final = r"(?is)\A\W{0,8}.{0,60}?\b(?:" + with_gaps("|".join(REFUSALS.openings)) + ")"


def starts_with_refusal(texts: pa.Array) -> pa.Array:
    """Whether each text begins with a refusal (bool), within its first 60 characters or so."""
    return compute.match_substring_regex(texts, REFUSAL_REGEX)
