"""Requests against the system prompt of the same row: for its secrets, for what it says of people, for topics that it forbids.

The words are in `system_prompt/*.yaml` and `topics/*.yaml`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute
from pydantic import BaseModel, ConfigDict

from tunesmith.detect.injection import encoded
from tunesmith.detect.injection.load_rules import INJECTION_FOLDER, any_word
from tunesmith.detect.injection.off_topic_requests import DOCUMENT_MARK
from tunesmith.detect.word_files import Alternatives, Expression, WordFile, WordLists, alternation, merge_languages

MAX_SHORT_STEM_LETTERS: Final = 3
LONG_PROMPT_CHARACTERS: Final = 2000
EDGE_CHARACTERS: Final = 300
"""A prompt of more than LONG_PROMPT_CHARACTERS is read only this far from its beginning and its end."""
MIN_QUOTING_CHARACTERS: Final = 500
"""A prompt with more characters than this may quote a document, which is not read."""


class Attribute(BaseModel):
    """Something known of a person: `sign` shows it in a system prompt, `words` ask for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sign: Expression
    words: Expression


class SystemPromptWords(WordFile):
    """How system prompts of one language keep things back, and how requests ask for them; the files describe each list."""

    restriction: Alternatives = ()
    lead_in: Alternatives = ()
    request_verb: Alternatives = ()
    request_phrase: Alternatives = ()
    disclose: Alternatives = ()
    secret: Alternatives = ()
    private: Alternatives = ()
    personal_fact: Alternatives = ()
    own_secret: Alternatives = ()
    indirect_secret: Alternatives = ()
    person_possessive: Alternatives = ()
    any_user: Alternatives = ()
    other_users: Alternatives = ()
    about_me: Alternatives = ()
    reason: Alternatives = ()
    purpose: Alternatives = ()
    passive: Alternatives = ()
    contrast: Alternatives = ()
    only: Alternatives = ()
    evasion_opening: Alternatives = ()
    evasion: Alternatives = ()
    condition: Alternatives = ()
    topic_verb: Alternatives = ()
    emphasis: Alternatives = ()
    language_word: Alternatives = ()
    short_topics: Alternatives = ()
    not_names: Alternatives = ()
    attributes: tuple[Attribute, ...] = ()


class TopicWords(WordFile):
    """Topics and the beginnings of the words that show one; words that show none."""

    topics: WordLists
    language_names: Alternatives = ()
    stop_words: Alternatives = ()


WORDS: Final = merge_languages(INJECTION_FOLDER / "system_prompt", SystemPromptWords)
_TOPIC_WORDS: Final = merge_languages(INJECTION_FOLDER / "topics", TopicWords)
TOPICS: Final = tuple(_TOPIC_WORDS.topics.values())
LANGUAGE_NAMES: Final = _TOPIC_WORDS.language_names
STOP_WORDS: Final = frozenset(_TOPIC_WORDS.stop_words)
PASSWORD_WORDS: Final = any_word("password")
PASSWORD_STEMS: Final = any_word("password_stem")
USER_WORDS: Final = any_word("user")


def _any(words: tuple[str, ...]) -> str:
    """The alternatives without a group around them."""
    return "|".join(words)


RESTRICTION_GATE: Final = rf"(?i)(?:{_any(WORDS.restriction)})"
"""Matches a system prompt that keeps something back, in RE2 as in Python."""
_REQUEST_SENTENCE: Final = re.compile(r"[^\s.!?;][^.!?;\n]*(?:[.!?;](?=\S)[^.!?;\n]+)*[.!?]*")
_REQUEST: Final = re.compile(
    r"(?i)[?？؟;]|[^\x00-\u02ff]|"
    rf"^[\s\"'“‘(>*#-]*(?:(?:{_any(WORDS.lead_in)})[, ]+)*(?:{_any(WORDS.request_verb)})\b|"
    rf"\b(?:{_any(WORDS.request_phrase)})\b"
)
_CUE: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.restriction)})\b")
_SENTENCE: Final = re.compile(r"[^.!?;\n]+(?:[.!?;](?=\S)[^.!?;\n]+)*")
_DISCLOSURE: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.disclose)})")
_SECRET: Final = alternation(WORDS.secret)
_SECRET_WORD: Final = re.compile(rf"(?i)\b{_SECRET}\b")
_PRIVATE: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.private)})\b")
_PERSON: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.personal_fact)})\b")
_VALUE: Final = re.compile(r"['\"“‘]([^'\"”’\n{}:,]{3,40})['\"”’]")
_NAME: Final = re.compile(r"(?<![.!?] )(?<!^)(?<!\n)\b([A-Z][a-z]{2,}(?: [A-Z][a-z]+)*)\b")
_NAMED_PERSON: Final = re.compile(r"(?i:name(?: is|s? are|d|[\"'] ?:)) ?[\"']?([A-Z][a-z]+(?: [A-Z][a-z]+)*)")
_OWN_SECRET: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.own_secret)}) (?:own |old |new )?$")
"""Before a word for a secret: it is not the one in the system prompt."""
_INDIRECT_SECRET: Final = alternation(WORDS.indirect_secret)
_CLAUSE_END: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.reason)})\b")
_PURPOSE: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.purpose)})\b[^,.;]*,")
_PASSIVE: Final = re.compile(rf"(?i){_any(WORDS.passive)}")
_CONTRAST: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.contrast)})\b")
_ONLY_CUE: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.only)})\b")
_PROPER_NOUN: Final = re.compile(r"(?<=[a-z,:'\"“‘] )['\"“‘]?([A-Z][a-z]{3,})\b")
_DO_NOT: Final = re.compile(r"(?i)do(?: not|n['’]?t)")
_CONDITION: Final = re.compile(rf"(?i)\b(?:{_any(WORDS.condition)})\b")
_TOPIC_VERB: Final = re.compile(rf"(?i)avoid|\b(?:{_any(WORDS.topic_verb)})")
_CLAUSE_START: Final = re.compile(rf"(?i)^\W*(?:{_any(WORDS.emphasis)})\b")
_LANGUAGE_WORD: Final = re.compile(rf"(?i){_any(WORDS.language_word)}")
_SHORT_TOPIC_WORDS: Final = frozenset(WORDS.short_topics)
_NOT_NAMES: Final = frozenset(WORDS.not_names)
EVASION_FRAME: Final = re.compile(
    rf"(?i)(?:^|[.!?:,;\n\"'“])\s*(?:{_any(WORDS.evasion_opening)})|\b(?:{_any(WORDS.evasion)})"
)
"""Ways of asking for what is refused: a world in which it would not be, an alleged promise, an alleged office."""


@dataclass(frozen=True)
class SystemGuard:
    """Something that a system prompt keeps back: the kind of a finding, and the expression of requests for it.

    With `own` a match right behind a word of `own_secret` does not count.
    """

    kind: str
    expression: re.Pattern[str]
    own: bool = False

    def first_match(self, text: str) -> tuple[int, int] | None:
        for match in self.expression.finditer(text):
            if not self.own or not _OWN_SECRET.search(text[max(0, match.start() - 24) : match.start()]):
                return match.span()
        return None


def find_system_prompt_attacks(system: str, prompt: str, *, coded: bool = True) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of each request in `prompt` for something that `system` keeps back; without any, of encoded requests.

    `coded`: whether the prompt may have encoded text (see `encoded.encoding_gates`).
    """
    guards = system_guards(system)
    if not guards:
        return
    likely = any(guard.expression.search(prompt) for guard in guards)
    places = find_requests(prompt) if likely else ()
    hits = [hit for start, end in places if (hit := _first_match(guards, prompt[start:end], start)) is not None]
    yield from hits
    if coded and not hits:
        for decoded in encoded.decode_all(prompt):
            hit = _first_match(guards, decoded.text, 0)
            if hit is not None:
                yield decoded.start, decoded.end, hit[2]


def _first_match(guards: tuple[SystemGuard, ...], text: str, start: int) -> tuple[int, int, str] | None:
    for guard in guards:
        place = guard.first_match(text)
        if place is not None:
            return start + place[0], start + place[1], guard.kind
    return None


def find_requests(text: str) -> Iterator[tuple[int, int]]:
    """[start, end) of the questions and orders of a text; of a long text only those near its beginning and its end."""
    mark = DOCUMENT_MARK.search(text) if len(text) > MIN_QUOTING_CHARACTERS else None
    quoted = (0, 0) if mark is None else (mark.end(), max(mark.end(), text.rfind("\n\n")))
    for sentence in _REQUEST_SENTENCE.finditer(text):
        start = sentence.start()
        in_quotation = quoted[0] <= start < quoted[1]
        in_middle = len(text) > LONG_PROMPT_CHARACTERS and EDGE_CHARACTERS < start < len(text) - EDGE_CHARACTERS
        if not in_quotation and not in_middle and _REQUEST.search(sentence.group()):
            yield sentence.span()


def scan_system_prompt_attacks(systems: pa.Array, prompts: pa.Array) -> list[tuple[tuple[int, int, str], ...]]:
    """`find_system_prompt_attacks` for each line. Each distinct system prompt is analysed once."""
    attacks: list[tuple[tuple[int, int, str], ...]] = [()] * len(prompts)
    distinct = systems.dictionary_encode()
    restricts = compute.match_substring_regex(distinct.dictionary, RESTRICTION_GATE).take(distinct.indices)
    lines = numpy.flatnonzero(numpy.asarray(compute.fill_null(restricts, False))).tolist()
    some = prompts.take(pa.array(lines, type=pa.int64()))
    shapes, words = (compute.match_substring_regex(some, gate) for gate in encoded.encoding_gates())
    coded = compute.fill_null(compute.or_(shapes, words), False)
    for place, line in enumerate(lines):
        prompt = some[place].as_py() or ""
        attacks[line] = tuple(find_system_prompt_attacks(systems[line].as_py(), prompt, coded=coded[place].as_py()))
    return attacks


@lru_cache(maxsize=1024)
def system_guards(system: str) -> tuple[SystemGuard, ...]:
    """What a system prompt keeps back, most reliable first."""
    sentences = [match.group().strip() for match in _SENTENCE.finditer(system)]
    restrictions = [sentence for sentence in sentences if _CUE.search(sentence)]
    if not restrictions:
        return ()
    forbids_disclosure = any(_DISCLOSURE.search(sentence) for sentence in restrictions)
    guards = []
    if forbids_disclosure and _SECRET_WORD.search(system):
        guards.append(_secret_guard(system))
    if forbids_disclosure and any(_PRIVATE.search(sentence) for sentence in restrictions) and _PERSON.search(system):
        guards.append(_people_guard(system))
    for sentence in restrictions:
        if not guards or not _DISCLOSURE.search(sentence):
            guards.extend(_topic_guards(sentence, system))
    if guards:
        guards.append(SystemGuard("evasion", EVASION_FRAME))
    return tuple(guards)


def _secret_guard(system: str) -> SystemGuard:
    values = [re.escape(value.strip()) for value in _VALUE.findall(system)]
    words = [
        rf"(?i:\b(?:{_SECRET}\b|{_INDIRECT_SECRET}|{PASSWORD_WORDS})|{PASSWORD_STEMS})",
        *(rf"\b{value}\b" for value in values),
    ]
    return SystemGuard("guarded-secret", re.compile("|".join(words)), own=True)


def _people_guard(system: str) -> SystemGuard:
    """Requests for the people in a system prompt, by name or attribute; if they are several, only for others or all of them."""
    names = {name for name in _NAME.findall(system) if name.split()[0].lower() not in STOP_WORDS | _NOT_NAMES}
    names |= {part for name in _NAMED_PERSON.findall(system) for part in name.split()}
    named = "|".join(sorted(names))
    if "{" in system or system.count("@") > 1:
        parts = [
            rf"\b{alternation(WORDS.other_users)}",
            *([rf"(?<!\{{)(?<!\{{\w)\b(?:{named})\b(?![^{{}}]{{0,30}}\}})"] if named else []),
        ]
    else:
        stated = [item.words for item in WORDS.attributes if re.search(rf"(?i)\b\w*{item.sign}", system)]
        attributes = "|".join(stated) or "information"
        parts = [
            rf"\b(?:{_any(WORDS.any_user)})",
            USER_WORDS,
            rf"\b{alternation(WORDS.person_possessive)} (?:\w+ )?(?:{attributes})\b",
            rf"\b{alternation(WORDS.about_me)}\b",
        ]
        parts += [rf"\b(?:{named})(?:['’]s)?\b"] if named else []
    return SystemGuard("guarded-data", re.compile("(?i)" + "|".join(parts)))


def _topic_guards(sentence: str, system: str) -> Iterator[SystemGuard]:
    """The topics that a sentence forbids. If it forbids everything but its own topic: other languages, other places."""
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
    """Languages or places that the system prompt does not name."""
    languages = [language for language in LANGUAGE_NAMES if language not in system.lower()]
    if _LANGUAGE_WORD.search(clause) and len(languages) < len(LANGUAGE_NAMES):
        yield SystemGuard("forbidden-request", re.compile(rf"(?i)\b(?:{'|'.join(languages)})\b"))
        return
    named = set(re.findall(r"[A-Z][a-z]+", system))
    if named and _PROPER_NOUN.search(system):
        skipped = "|".join(sorted(named))
        yield SystemGuard(
            "forbidden-request", re.compile(rf"(?<=\bin )(?!(?:{skipped})\b)[A-Z][a-z]{{2,}}(?: [A-Z][a-z]+)*")
        )


def _names_topic(topic: tuple[str, ...], clause: str) -> bool:
    """Whether a clause has a word of a topic. Abbreviations, in capital letters, keep their case."""
    return any(f" {word}" in (f" {clause}" if word.isupper() else f" {clause.lower()}") for word in topic)


def _stem(word: str) -> str:
    if word.isupper() or word.lower().endswith(("ss", "ics")):
        return word if word.isupper() else word.lower()
    short = re.sub(r"(?:ations?|ating|ates?|ings?|ies|ed|es|s|al|y|e)$", "", word.lower())
    return short if len(short) > MAX_SHORT_STEM_LETTERS else word.lower()


def _stem_regex(stems: set[str]) -> str:
    """An expression for words that begin with a stem. Abbreviations keep their case; other scripts match anywhere."""
    other_scripts = sorted(re.escape(stem) for stem in stems if not stem.isascii())
    upper = sorted(stem for stem in stems if stem.isascii() and stem.isupper())
    plain = sorted(stem for stem in stems if stem.isascii() and not stem.isupper())
    long, short = (
        [re.escape(stem) for stem in plain if (len(stem) > MAX_SHORT_STEM_LETTERS) is wanted]
        for wanted in (True, False)
    )
    words = [rf"(?i:{'|'.join(long)})\w{{0,6}}"] if long else []
    words += [f"(?i:{'|'.join(short)})s?"] if short else []
    words += [f"(?:{'|'.join(upper)})s?"] if upper else []
    parts = [rf"\b(?:{'|'.join(words)})\b"] if words else []
    return "|".join([*parts, *([f"(?i:{'|'.join(other_scripts)})"] if other_scripts else [])])
