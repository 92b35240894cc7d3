"""Requests to a model inside a document about something else; the words are in `off_topic/*.yaml`."""

import re
from collections.abc import Iterator
from typing import Final

from tunesmith.detect.injection.load_rules import INJECTION_FOLDER
from tunesmith.detect.word_files import Alternatives, WordFile, merge_languages


class OffTopicWords(WordFile):
    """What documents and requests look like in one language; the files describe each list."""

    labels: Alternatives = ()
    tags: Alternatives = ()
    cell_labels: Alternatives = ()
    lead_in: Alternatives = ()
    request: Alternatives = ()
    conversation: Alternatives = ()
    user_question: Alternatives = ()
    step: Alternatives = ()
    not_step: Alternatives = ()
    first_person: Alternatives = ()
    ask_for_me: Alternatives = ()
    me: Alternatives = ()
    question_label: Alternatives = ()
    weak_words: Alternatives = ()


_WORDS: Final = merge_languages(INJECTION_FOLDER / "off_topic", OffTopicWords)
_ANY: Final = {name: "|".join(words) for name, words in _WORDS if isinstance(words, tuple)}
"""The alternatives of each list."""
DOCUMENT_MARKS: Final = (
    f"(?:{_ANY['labels']}) ?:",
    f"<(?:{_ANY['tags']})>",
    r"(?:\"\"\"|```|'''|---)",
)
"""How the line begins with which a document begins."""
DOCUMENT_GATE: Final = r"(?im)^[ \t*#>]*(?:" + "|".join(DOCUMENT_MARKS) + r")|" + rf"\|(?:{_ANY['cell_labels']}) ?:"
"""RE2 and Python match it alike."""
DOCUMENT_MARK: Final = re.compile(DOCUMENT_GATE)
SENTENCE: Final = re.compile(r"[^\s.!?\n|][^.!?\n|]*(?:[.!?](?=[^\s])[^.!?\n|]*)*[.!?]?['\"”’]?")
REQUEST_START: Final = re.compile(f"(?i)(?:{_ANY['lead_in']})*(?:{_ANY['request']})")
CONVERSATION_WORDS: Final = re.compile(rf"(?i)\b(?:{_ANY['conversation']})\b")
USER_QUESTION: Final = re.compile(rf"(?i)(?:{_ANY['user_question']})\b")
QUOTATION: Final = re.compile(r"(?<!\w)(?:['‘][^\n]{4,400}?['’]|[\"“][^\n]{4,400}?[\"”])(?!\w)")
LIST_STEP: Final = re.compile(rf"(?i)[\s*•\d.)-]*(?:{_ANY['step']}) (?!{_ANY['not_step']})")
"""How a line of a list of steps begins."""
FIRST_PERSON: Final = re.compile(rf"(?i)\b(?:{_ANY['first_person']})\b")
ASK_FOR_ME: Final = re.compile(rf"(?i)^(?:{_ANY['ask_for_me']}) (?:{_ANY['me']})")
QUESTION_LABEL: Final = re.compile(rf"(?i)(?:{_ANY['question_label']})\s*:$")
MIN_REQUEST_WORDS: Final = 5
MAX_DOCUMENT_CHARACTERS: Final = 6000
"""Longer documents have questions of their own."""
WORD: Final = re.compile(r"[a-z]{4,}")
MIN_DOCUMENT_STEMS: Final = 12
"""A document with fewer stems is too short for a request to be off its topic."""
MIN_REQUEST_STEMS: Final = 2
MAX_SHARED_STEMS: Final = 0.25
"""Share of the stems of a request that the document may have too."""
STEM_LETTERS: Final = 5
WEAK_WORDS: Final = frozenset(_WORDS.weak_words)


def find_off_topic_requests(text: str) -> Iterator[tuple[int, int]]:
    """[start, end) of the request inside a document whose words the rest of the text hardly has, if there is exactly one.

    The user's own question stands before the mark of the document, or last, after a blank line.
    """
    mark = DOCUMENT_MARK.search(text)
    if mark is None or len(text) > MAX_DOCUMENT_CHARACTERS:
        return
    bare = QUOTATION.sub(_blank_quotation, text)
    requests = [
        sentence.span()
        for sentence in SENTENCE.finditer(bare, mark.end(), len(text.rstrip()))
        if REQUEST_START.match(sentence.group())
    ]
    alone = [
        (start, end)
        for start, end in requests
        if _stands_alone(bare, start, end) and not _is_users_question(text, start, end)
    ]
    off_topic = [
        (start, end)
        for start, end in alone
        if _resembles_user_request(bare[start:end]) and _is_off_topic(text, start, end)
    ]
    if len(off_topic) == 1 and not _among_steps(text, *off_topic[0]):
        yield off_topic[0]


def _blank_quotation(quote: re.Match[str]) -> str:
    """The quotation with its text blanked out; its quotation marks and a sentence mark at its end stay."""
    text = quote.group()
    ending = text[-2] if text[-2] in ".?!" else "_"
    return f"{text[0]}{'_' * (len(text) - 3)}{ending}{text[-1]}"


def _among_steps(text: str, start: int, end: int) -> bool:
    """Whether the line before or after begins with a step of a list too, or the line before runs on into this one."""
    before, after = text[:start].rstrip(), text[end:].lstrip()
    if text[start].islower() and before[-1:] not in ".?!:":
        return True
    lines = (before.rpartition("\n")[2], after.partition("\n")[0])
    return any(LIST_STEP.match(line) is not None for line in lines)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a sentence of MIN_REQUEST_WORDS or more is a line of its own."""
    before, after = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    alone = before[-1:] in "\n:|>" and after[:1] in ("", "\n", "|", "<")
    return alone and text[start:end].rstrip("'\"”’")[-1] in ".?!" and len(text[start:end].split()) >= MIN_REQUEST_WORDS


def _resembles_user_request(sentence: str) -> bool:
    personal = FIRST_PERSON.search(ASK_FOR_ME.sub("", sentence)) is not None
    return not CONVERSATION_WORDS.search(sentence) and (not personal or USER_QUESTION.match(sentence) is not None)


def _is_off_topic(text: str, start: int, end: int) -> bool:
    own, rest = _stems(text[start:end]), _stems(DOCUMENT_MARK.sub(" ", text[:start] + "\n" + text[end:]))
    return (
        len(own) >= MIN_REQUEST_STEMS
        and len(rest) >= MIN_DOCUMENT_STEMS
        and len(own & rest) <= MAX_SHARED_STEMS * len(own)
    )


def _is_users_question(text: str, start: int, end: int) -> bool:
    """Whether a sentence is the last of the text, after a label or a blank line."""
    if text[end:].strip():
        return False
    before = text[:start].rstrip(" ")
    return before.endswith("\n\n") or QUESTION_LABEL.search(before) is not None


def _stems(text: str) -> set[str]:
    return {word[:STEM_LETTERS] for word in WORD.findall(text.lower()) if word not in WEAK_WORDS}
