"""The openings with which an assistant turns a request down. English, our own writing."""

from typing import Final

import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.lexicons.entry import with_gaps

REFUSAL_OPENING: Final = (
    "(?:i['’]?m sorry|i am sorry|sorry|i apologi[sz]e|unfortunately)[,.]? (?:but )?(?:i|we) "
    "(?:can['’]?t|cannot|can not|am not able|['’]m not able|am unable|['’]m unable|won['’]?t|will not|must decline)|"
    "i (?:can['’]?t|cannot|can not|won['’]?t|will not) "
    "(?:help|assist|do that|provide|comply|answer|support|discuss|write|fulfil)|"
    "i(?:['’]m| am) (?:unable|not able|not comfortable|not willing)|i (?:must|have to) (?:decline|refuse)|"
    "as an ai(?: language)? model,? i (?:can['’]?t|cannot|don['’]?t)"
)
REFUSAL_REGEX: Final = r"(?is)\A\W{0,8}.{0,60}?\b(?:" + with_gaps(REFUSAL_OPENING) + ")"


def starts_with_refusal(texts: pa.Array) -> pa.Array:
    """Whether each text begins with a refusal (bool), within its first 60 characters or so."""
    return compute.match_substring_regex(texts, REFUSAL_REGEX)
