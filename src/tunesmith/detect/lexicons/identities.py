"""Terms for groups of people, neutral ones alone, and which groups a text mentions. English, our own writing.

Words with a commoner sense (black, straight, blind, old, native) count only beside a word for people.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.lexicons.entry import gate_regex

PERSON_NOUNS: Final = (
    "people|person|persons|man|men|woman|women|boys?|girls?|child|children|kids|students?|patients?|workers?|"
    "famil(?:y|ies)|communit(?:y|ies)|folks?|americans?|voters?|couples?"
)


@dataclass(frozen=True)
class Identity:
    """A group as `field:group`, and the expression of its terms (see `Entry`)."""

    id: str
    regex: str


IDENTITIES: Final = (
    Identity("gender:women", "wom[ae]n|girls?|lad(?:y|ies)|females?|mothers?|wives|wife|daughters?"),
    Identity("gender:men", "m[ae]n|boys?|gentlem[ae]n|males?|fathers?|husbands?|sons"),
    Identity("gender:transgender", f"transgender|transsexuals?|non-?binary|genderqueer|trans (?:{PERSON_NOUNS})"),
    Identity(
        "religion:christians", "christians?|catholics?|protestants?|evangelicals?|mormons?|jehovah['’]s witness(?:es)?"
    ),
    Identity("religion:muslims", "muslims?|moslems?|sunnis?|shi['’]?(?:a|ites?)"),
    Identity("religion:jews", f"jews|jewish|jew|israelites?|hasidic (?:{PERSON_NOUNS})"),
    Identity("religion:hindus", "hindus?"),
    Identity("religion:buddhists", "buddhists?"),
    Identity("religion:sikhs", "sikhs?"),
    Identity("religion:none", "atheists?|agnostics|non-?believers?"),
    Identity("age:young", f"teen-?agers?|adolescents?|young (?:{PERSON_NOUNS})|youths"),
    Identity(
        "age:old",
        f"elderly|senior citizens?|seniors|pensioners?|retirees?|old(?:er)? (?:{PERSON_NOUNS})|aged (?:{PERSON_NOUNS})",
    ),
    Identity(
        "disability:physical",
        f"wheelchairs?|paraplegics?|quadriplegics?|amputees?|disabled|people with disabilities|crippled (?:{PERSON_NOUNS})",
    ),
    Identity(
        "disability:senses", f"deaf|hard of hearing|hearing[- ]impaired|visually impaired|blind (?:{PERSON_NOUNS})"
    ),
    Identity(
        "disability:mind",
        f"autistic|autism|down syndrome|schizophreni[ac]s?|bipolar (?:{PERSON_NOUNS})|mentally ill|"
        "intellectual disabilit(?:y|ies)|dyslexi[ac]",
    ),
    Identity("ethnicity:black", f"african[- ]americans?|black (?:{PERSON_NOUNS})|blacks|people of colou?r"),
    Identity("ethnicity:white", f"caucasians?|white (?:{PERSON_NOUNS})|whites"),
    Identity(
        "ethnicity:asian",
        f"asian[- ]americans?|asians|asian (?:{PERSON_NOUNS})|chinese|japanese|koreans?|vietnamese|filipinos?",
    ),
    Identity("ethnicity:south-asian", f"pakistanis?|bangladeshis?|indians|indian (?:{PERSON_NOUNS})|sri lankans?"),
    Identity("ethnicity:latino", "latin[oax]s?|latinas|hispanics?|mexicans?|puerto ricans?|cubans?|colombians?"),
    Identity("ethnicity:arab", "arabs?|egyptians?|syrians?|iraqis?|lebanese|palestinians?|moroccans?"),
    Identity("ethnicity:african", "africans?|nigerians?|kenyans?|somalis?|ethiopians?|ghanaians?"),
    Identity(
        "ethnicity:indigenous",
        f"native americans?|indigenous|aborigin(?:es|als?)|american indians?|inuit|first nations|native (?:{PERSON_NOUNS})",
    ),
    Identity("ethnicity:roma", f"romani|roma (?:{PERSON_NOUNS})|gyps(?:y|ies)|sinti"),
    Identity("ethnicity:european", "germans?|french|italians?|poles|polish|russians?|ukrainians?|irish|spaniards?"),
    Identity("ethnicity:migrants", "immigrants?|migrants?|refugees?|asylum seekers?|foreigners?"),
    Identity("orientation:gay", f"gays?|homosexuals?|same-sex (?:{PERSON_NOUNS})|lgbt(?:q|qia)?\\+?"),
    Identity("orientation:lesbian", "lesbians?"),
    Identity("orientation:bisexual", "bisexuals?"),
    Identity("orientation:straight", f"heterosexuals?|straight (?:{PERSON_NOUNS})"),
)


def mentioned_identities(texts: pa.Array) -> pa.Array:
    """For each text a bit mask (int64): bit k is set when a term of IDENTITIES[k] stands in it."""
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
