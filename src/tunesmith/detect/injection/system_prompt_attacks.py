"""Requests for what the system turn of the same row keeps back: its secrets, what it knows of people, topics it forbids."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.injection import encoded
from tunesmith.detect.injection.off_topic_requests import DOCUMENT_MARK
from tunesmith.detect.injection.other_languages import PASSWORD_WORDS, PASSWORD_WORDS_OTHER_SCRIPTS, USER_WORDS
from tunesmith.detect.injection.rule import alternation
from tunesmith.detect.injection.topics import LANGUAGE_NAMES, STOP_WORDS, TOPICS

RESTRICTION_CUES: Final = (
    r"do not|don['’]?t|never|avoid\w*|no circumstances?|not (?:be )?(?:allowed|permitted|programmed|supposed|"
    r"authori[sz]ed|able|"
    r"discuss|share|reveal|provide|give|answer|talk)|must not|mustn['’]?t|may not|should not|shouldn['’]?t|"
    r"cannot|can['’]?t|refuse|refrain|prohibited|forbidden|off[ -]limits|confidential|secret|only"
)
RESTRICTION_GATE: Final = rf"(?i)(?:{RESTRICTION_CUES})"
"""What a system turn that keeps something back has; read alike by RE2 and Python."""
MAX_SHORT_STEM_LETTERS: Final = 3
LONG_PROMPT_CHARACTERS: Final = 2000
EDGE_CHARACTERS: Final = 300
"""Characters of a text of which only so many at its beginning and end are read."""
MIN_QUOTING_CHARACTERS: Final = 500
"""Characters of a text that may quote a document: that is not read."""
_REQUEST_SENTENCE: Final = re.compile(r"[^\s.!?;][^.!?;\n]*(?:[.!?;](?=\S)[^.!?;\n]+)*[.!?]*")
_REQUEST: Final = re.compile(
    r"(?i)[?？؟;]|[^\x00-\u02ff]|^[\s\"'“‘(>*#-]*(?:(?:please|now|then|and|also|oh|so|well|just|instead|anyway|but|ok|"
    r"okay|or|by the way|kindly|next|finally|first|hey|hi|"
    r"hello|sure|speaking of \w+|\{[^}]*\}|[qQ]:|user:)[, ]+)*(?:VERBS)\b|\b(?:please|(?:can|could|would|will|must|"
    r"should) you|want you to|need you to|like you to|you (?:must|should|will)|"
    r"i (?:need|want|would like|wish|have) to (?:know|see|have|learn|get)|tell me|give me|show me|let me know|"
    r"i wonder|[,:;] (?:and )?(?:can|could|what|how|where|"
    r"who|when|which|tell|give|show|write|print|say|reveal|share))\b".replace(
        "VERBS",
        "tell|give|show|write|list|describe|explain|share|reveal|print|say|provide|spell|repeat|output|translate|help|"
        "answer|complete|fill|confirm|"
        "create|compose|draft|generate|make|discuss|suggest|recommend|teach|summari[sz]e|continue|finish|decode|"
        "imagine|pretend|ignore|forget|disregard|"
        "overlook|let['’]?s|what|how|where|who|when|which|why|is|are|do|does|did|can|could|would|i(?: am|['’]m|['’]d)|"
        "you|as an?|in an?|from now",
    )
)
_CUE: Final = re.compile(rf"(?i)\b(?:{RESTRICTION_CUES})\b")
_SENTENCE: Final = re.compile(r"[^.!?;\n]+(?:[.!?;](?=\S)[^.!?;\n]+)*")
_DISCLOSURE: Final = re.compile(
    r"(?i)\b(?:reveal|shar(?:e|ing)|disclos|tell|giv(?:e|ing) (?:it|out|away|this|the (?:pass|key|code|secret))|leak|"
    r"divulg|expos|mention|"
    r"output|print|show|say|releas|repeat|hand|confidential|secret|private)"
)
_SECRET: Final = alternation(
    r"pass[ -]?(?:word|code|phrase|key)s?", r"secrets?", r"keys?", r"credentials?", r"code[ -]?(?:word|name|"
    r"phrase)s?", r"tokens?",
    r"(?:access|launch|security|entry|door|vault|safe|unlock|activation) codes?", r"magic words?", r"safe ?words?",
)  # fmt: skip
_SECRET_WORD: Final = re.compile(rf"(?i)\b{_SECRET}\b")
_PRIVATE: Final = re.compile(
    r"(?i)\b(?:private|personal|sensitive|confidential|(?:user|customer|client|patient|employee|person|"
    r"people)(?:['’]?s)?|anyone else)\b"
)
_PERSON: Final = re.compile(r"(?i)\b(?:name(?:d| is|[\"'] ?:)|born|lives?|balance|e-?mail|birth|address|phone)\b")
_VALUE: Final = re.compile(r"['\"“‘]([^'\"”’\n{}:,]{3,40})['\"”’]")
_NAME: Final = re.compile(r"(?<![.!?] )(?<!^)(?<!\n)\b([A-Z][a-z]{2,}(?: [A-Z][a-z]+)*)\b")
_NAMED_PERSON: Final = re.compile(r"(?i:name(?: is|s? are|d|[\"'] ?:)) ?[\"']?([A-Z][a-z]+(?: [A-Z][a-z]+)*)")
_OWN_SECRET: Final = re.compile(
    r"(?i)\b(?:my|a|an|his|her|their|forg[eo]t\w*|lost|reset\w*|chang\w+|creat\w+|choos\w+|strong|new|another|api|"
    r"foreign|primary|house|"
    r"car|door|piano|main|low|turn) (?:own |old |new )?$"
)
"""Before a word for a secret: not the one that the system turn has."""
_INDIRECT_SECRET: Final = alternation(
    r"(?:your|system|initial|original|hidden) (?:\w+ )?(?:instructions?|prompt|rules|guidelines|configuration)",
    r"(?:not|n['’]t) (?:supposed|allowed|meant|permitted) to", r"confidential", r"(?:told|asked|"
    r"instructed) (?:not )?to (?:keep|hide|not)",
    r"(?:secret|hidden|forbidden|special|magic|first|last|next|each|every|same) (?:word|letter|character|phrase|"
    r"string|value|digit|syllable)s?",
    r"rhymes? with", r"hints?\b", r"spell(?:ed|ing)?\b", r"synonyms?", r"acrostic", r"what (?:you know|"
    r"(?:were )?you (?:were )?(?:told|given))",
)  # fmt: skip
_ATTRIBUTES: Final = (
    ("name", r"(?:first |last |full |middle |sur)?names?|initials|nickname"),
    ("born", r"born|birth\w*|age|zodiac\w*|horoscope"),
    ("live", r"lives?|living|city|resid\w+|home ?town|location|address"),
    ("mail", r"e-?mails?|inbox"),
    ("colo", r"favou?rites?|colou?rs?"),
    ("balance", r"balances?|funds|savings"),
    ("phone", r"phone"),
)
_PERSON_POSSESSIVE: Final = r"(?:the user['’]s|users?['’]|his|her|my)"
_ANY_USER: Final = (
    r"the user\b|(?:this|that|your|our|any|some|each|every) user\b|users['’]|(?:personal|private|sensitive|"
    r"confidential) (?:data|info\w*|details?|"
    r"facts?)|(?:the|your|this) data ?base|(?:what|everything|all|anything) (?:do |else )?you know about|user ?\d+"
)
_OTHER_USERS: Final = alternation(
    r"all (?:the |of the |your )?(?:users|accounts|customers|balances|names|e-?mails|records)", r"every (?:user|"
    r"account|customer)", r"other (?:users?|"
    r"accounts?|customers?|people)", r"data ?base", r"everyone['’]s", r"list of (?:the )?(?:users|customers|"
    r"accounts)", r"users['’]", r"another user",
    r"(?:list|print|show|dump|display|export) (?:me )?(?:the |all |every )*(?:users|accounts|customers|names|e-?mails|"
    r"records|data)",
)  # fmt: skip
_CLAUSE_END: Final = re.compile(
    r"(?i)\b(?:(?:in order )?to (?:maintain|avoid|ensure|keep|prevent|protect|focus|stay|remain|comply)|because|"
    r"as (?:it|this|that|they)|due to|"
    r"since|that (?:are|is) more|so that|for (?:ethical|legal|safety)|no matter|at all costs|regardless|even if|this is)\b"
)
_PURPOSE: Final = re.compile(r"(?i)\b(?:in order )?to (?:avoid|prevent)\b[^,.;]*,")
_PASSIVE: Final = re.compile(
    r"(?i)(?:is|are|be) (?:strictly |absolutely |completely |also )?(?:not (?:allowed|permitted)|prohibited|forbidden|"
    r"off[ -]limits)|"
    r"(?:must|should|may|can) ?not be|(?:should|must) never be"
)
_CONTRAST: Final = re.compile(
    r"(?i)\b(?:other|another|else|elsewhere|different|outside|except|besides|unrelated|beyond|anything but)\b"
)
_ONLY_CUE: Final = re.compile(r"(?i)\bonly\b")
_PROPER_NOUN: Final = re.compile(r"(?<=[a-z,:'\"“‘] )['\"“‘]?([A-Z][a-z]{3,})\b")
EVASION_FRAME: Final = re.compile(
    r"(?i)(?:^|[.!?:,;\n\"'“])\s*(?:imagine (?:that )?(?:we\b|i\b|you(?:['’]re| are) (?:in|not|no longer|free))|"
    r"pretend (?:that |to be )?(?:you|we|i)\b|hypothetical\w*|in (?:a|an|this) (?:\w+ )?(?:parallel|fictional|"
    r"alternat\w+|imaginary|virtual|"
    r"dream) \w+|let['’]?s (?:play|pretend|imagine|role)|you (?:agreed|promised|mentioned|said|already)|i(?: am|"
    r"['’]m) (?:actually )?(?:your|the|an?) "
    r"(?:\w+ )?(?:developer|admin\w*|creator|boss|owner|police|officer|auditor|programmer)|as an? (?:\w+ )?(?:expert|"
    r"professional|scientist|specialist|"
    r"researcher|professor|authority)\b|(?:please )?(?:ignore|disregard|forget|overlook|bypass) (?:\w+ )?(?:that|all|"
    r"your|the|these|those|what|everything)\b)|"
    r"\b(?:role[ -]?play\w*|(?:last|previous|earlier) (?:meeting|conversation|session) (?:that|you|we)|for (?:testing|"
    r"debugging|audit) purposes|"
    r"(?:system|developer|debug|admin|god|dan) mode|regardless of (?:previous|prior|your|the) )"
)
"""Ways of asking for what is not given: a world in which it would be, a promise made, an office held."""


@dataclass(frozen=True)
class SystemGuard:
    """What a request must show for it to go against a system turn, and what a finding says of it."""

    kind: str
    expression: re.Pattern[str]
    own: bool = False
    """Whether the match does not count right after a word of `_OWN_MATTER`."""

    def first(self, text: str) -> tuple[int, int] | None:
        for found in self.expression.finditer(text):
            if not self.own or not _OWN_SECRET.search(text[max(0, found.start() - 24) : found.start()]):
                return found.span()
        return None


def find_system_prompt_attacks(system: str, prompt: str, *, coded: bool = True) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of what in `prompt` asks for what `system` keeps back: one for each request, or else for a code.

    `coded`: whether a code may be in it (see `encoded.gate`).
    """
    kept = system_guards(system)
    if not kept:
        return
    likely = any(guard.expression.search(prompt) for guard in kept)
    places = find_requests(prompt) if likely else ()
    asked = [hit for start, end in places if (hit := _first_match(kept, prompt[start:end], start)) is not None]
    yield from asked
    if coded and not asked:
        for one in encoded.decode_all(prompt):
            hit = _first_match(kept, one.text, 0)
            if hit is not None:
                yield one.start, one.end, hit[2]


def _first_match(kept: tuple[SystemGuard, ...], text: str, start: int) -> tuple[int, int, str] | None:
    for guard in kept:
        place = guard.first(text)
        if place is not None:
            return start + place[0], start + place[1], guard.kind
    return None


def find_requests(text: str) -> Iterator[tuple[int, int]]:
    """Where a text asks for something: its questions and orders; of a long one at its beginning and its end."""
    mark = DOCUMENT_MARK.search(text) if len(text) > MIN_QUOTING_CHARACTERS else None
    quoted = (0, 0) if mark is None else (mark.end(), max(mark.end(), text.rfind("\n\n")))
    for found in _REQUEST_SENTENCE.finditer(text):
        inside = quoted[0] <= found.start() < quoted[1] or (
            len(text) > LONG_PROMPT_CHARACTERS and EDGE_CHARACTERS < found.start() < len(text) - EDGE_CHARACTERS
        )
        if not inside and _REQUEST.search(found.group()):
            yield found.span()


def scan_system_prompt_attacks(systems: pa.Array, prompts: pa.Array) -> list[tuple[tuple[int, int, str], ...]]:
    """What `against` finds, line by line; each system turn is looked at once."""
    found: list[tuple[tuple[int, int, str], ...]] = [()] * len(prompts)
    known = systems.dictionary_encode()
    kept = compute.match_substring_regex(known.dictionary, RESTRICTION_GATE).take(known.indices)
    lines = numpy.flatnonzero(numpy.asarray(compute.fill_null(kept, False))).tolist()
    some = prompts.take(pa.array(lines, type=pa.int64()))
    shapes, words = (compute.match_substring_regex(some, gate) for gate in encoded.encoding_gates())
    coded = compute.fill_null(compute.or_(shapes, words), False)
    for place, line in enumerate(lines):
        prompt = some[place].as_py() or ""
        found[line] = tuple(find_system_prompt_attacks(systems[line].as_py(), prompt, coded=coded[place].as_py()))
    return found


@lru_cache(maxsize=1024)
def system_guards(system: str) -> tuple[SystemGuard, ...]:
    """What a system turn keeps back, surest first."""
    sentences = [found.group().strip() for found in _SENTENCE.finditer(system)]
    guarding = [sentence for sentence in sentences if _CUE.search(sentence)]
    if not guarding:
        return ()
    keeps = any(_DISCLOSURE.search(sentence) for sentence in guarding)
    made = []
    if keeps and _SECRET_WORD.search(system):
        made.append(_secret_guard(system))
    if keeps and any(_PRIVATE.search(sentence) for sentence in guarding) and _PERSON.search(system):
        made.append(_people_guard(system))
    for sentence in guarding:
        if not made or not _DISCLOSURE.search(sentence):
            made.extend(_topic_guards(sentence, system))
    if made:
        made.append(SystemGuard("evasion", EVASION_FRAME))
    return tuple(made)


def _secret_guard(system: str) -> SystemGuard:
    values = [re.escape(value.strip()) for value in _VALUE.findall(system)]
    words = [
        rf"(?i:\b(?:{_SECRET}\b|{_INDIRECT_SECRET}|{PASSWORD_WORDS})|{PASSWORD_WORDS_OTHER_SCRIPTS})",
        *(rf"\b{value}\b" for value in values),
    ]
    return SystemGuard("guarded-secret", re.compile("|".join(words)), own=True)


def _people_guard(system: str) -> SystemGuard:
    """Names that the system turn has, and what it says of them; of several people only what is of others or of all."""
    found = {name for name in _NAME.findall(system) if name.split()[0].lower() not in STOP_WORDS | _NOT_NAMES}
    found |= {part for name in _NAMED_PERSON.findall(system) for part in name.split()}
    named = "|".join(sorted(found))
    if "{" in system or system.count("@") > 1:
        parts = [
            rf"\b{_OTHER_USERS}",
            *([rf"(?<!\{{)(?<!\{{\w)\b(?:{named})\b(?![^{{}}]{{0,30}}\}})"] if named else []),
        ]
    else:
        said = "|".join(words for key, words in _ATTRIBUTES if re.search(rf"(?i)\b\w*{key}", system)) or "information"
        parts = [
            rf"\b(?:{_ANY_USER})",
            USER_WORDS,
            rf"\b{_PERSON_POSSESSIVE} (?:\w+ )?(?:{said})\b",
            r"\b(?:do i live|was i born|am i from)\b",
        ]
        parts += [rf"\b(?:{named})(?:['’]s)?\b"] if named else []
    return SystemGuard("guarded-data", re.compile("(?i)" + "|".join(parts)))


def _topic_guards(sentence: str, system: str) -> Iterator[SystemGuard]:
    """The topics that a sentence forbids; where it forbids all but its own, other languages and other places."""
    sentence = _PURPOSE.sub("", sentence)
    cue = _CUE.search(sentence)
    if cue is None or (_ONLY_CUE.fullmatch(cue.group()) and not _CONTRAST.search(sentence)):
        return
    passive = _PASSIVE.search(sentence)
    clause = sentence[: passive.start()].rpartition(",")[2] if passive else sentence[cue.end() :]
    if _CONTRAST.search(clause):
        yield from _off_limits_guards(clause, system)
        return
    if _CONDITION.search(clause) or not (passive or _TOPIC_VERB.search(_DO_NOT.sub("", cue.group()) + clause[:40])):
        return
    clause = _CLAUSE_END.split(_CLAUSE_START.sub("", clause))[0]
    words = [word for word in re.findall(r"[A-Za-z]\w*", clause) if word.lower() not in STOP_WORDS]
    stems = {
        _stem(word)
        for word in words
        if len(word) > MAX_SHORT_STEM_LETTERS
        or word.lower() in _SHORT_TOPIC_WORDS
        or (word.isupper() and len(word) > 1)
    }
    wide = stems | {stem for topic in TOPICS if _names_topic(topic, " ".join(words)) for stem in topic}
    if wide:
        yield SystemGuard("forbidden-request", re.compile(_stem_regex(wide)))


def _off_limits_guards(clause: str, system: str) -> Iterator[SystemGuard]:
    tongues = [tongue for tongue in LANGUAGE_NAMES if tongue not in system.lower()]
    if re.search(r"(?i)\blanguages?\b|translat", clause) and len(tongues) < len(LANGUAGE_NAMES):
        yield SystemGuard("forbidden-request", re.compile(rf"(?i)\b(?:{'|'.join(tongues)})\b"))
        return
    known = set(re.findall(r"[A-Z][a-z]+", system))
    if known and _PROPER_NOUN.search(system):
        skipped = "|".join(sorted(known))
        yield SystemGuard(
            "forbidden-request", re.compile(rf"(?<=\bin )(?!(?:{skipped})\b)[A-Z][a-z]{{2,}}(?: [A-Z][a-z]+)*")
        )


def _names_topic(topic: tuple[str, ...], said: str) -> bool:
    """Whether what is forbidden names a topic; abbreviations are in capital letters."""
    return any(f" {word}" in (f" {said}" if word.isupper() else f" {said.lower()}") for word in topic)


def _stem(word: str) -> str:
    if word.isupper() or word.lower().endswith(("ss", "ics")):
        return word if word.isupper() else word.lower()
    short = re.sub(r"(?:ations?|ating|ates?|ings?|ies|ed|es|s|al|y|e)$", "", word.lower())
    return short if len(short) > MAX_SHORT_STEM_LETTERS else word.lower()


def _stem_regex(stems: set[str]) -> str:
    """An expression for words with one of the stems; abbreviations are in capital letters, other scripts have no spaces."""
    foreign = sorted(re.escape(stem) for stem in stems if not stem.isascii())
    upper = sorted(stem for stem in stems if stem.isascii() and stem.isupper())
    plain = sorted(stem for stem in stems if stem.isascii() and not stem.isupper())
    long, short = (
        [re.escape(one) for one in plain if (len(one) > MAX_SHORT_STEM_LETTERS) is wanted] for wanted in (True, False)
    )
    words = [rf"(?i:{'|'.join(long)})\w{{0,6}}"] if long else []
    words += [f"(?i:{'|'.join(short)})s?"] if short else []
    words += [f"(?:{'|'.join(upper)})s?"] if upper else []
    parts = [rf"\b(?:{'|'.join(words)})\b"] if words else []
    return "|".join([*parts, *([f"(?i:{'|'.join(foreign)})"] if foreign else [])])


_DO_NOT: Final = re.compile(r"(?i)do(?: not|n['’]?t)")
_CONDITION: Final = re.compile(r"(?i)\b(?:before|until|unless|without|if|when|more than|longer)\b")
"""What makes a rule of how and when, not of what."""
_TOPIC_VERB: Final = re.compile(
    r"(?i)avoid|\b(?:discuss|talk|speak|shar(?:e|ing)|help|assist|giv(?:e|ing)|provid|answer|describ|mention|teach|explain|"
    r"translat|offer|writ|tell|do\b|doing|perform|solv|engag|comment|advis|recommend|generat|creat|produc|respond|"
    r"reply|discourse|"
    r"involv|touch|cover|refer|reveal|disclos|entertain|debat)"
)
"""What a system turn forbids to speak of, beside what it forbids to do."""
_CLAUSE_START: Final = re.compile(r"(?i)^\W*(?:at (?:all|any) costs?|under any circumstances?|ever)\b")
_SHORT_TOPIC_WORDS: Final = frozenset("car tax law sex gun pet dog cat war egg tea oil gas art".split())  # noqa: SIM905
_NOT_NAMES: Final = frozenset(
    """
    she her his him users database json bank january february march april june july august september october november
    december monday friday name names email user admin secret key password
    """.split()  # noqa: SIM905
)
