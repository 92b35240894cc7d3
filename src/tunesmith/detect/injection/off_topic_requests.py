"""Requests to a model that stand in the midst of a document that it is to work with."""

import re
from collections.abc import Iterator
from typing import Final

DOCUMENT_MARKS: Final = (
    r"(?:subject|email_from|from|to|sent|date|received(?: date)?|content|body|context|document|article|passage|email|e-mail|"
    r"transcript|review|text|web ?page|page|search results?|abstract|description|source|input) ?:",
    r"<(?:document|doc|context|article|email|passage|text|content|page|data|source)>",
    r"(?:\"\"\"|```|'''|---)",
)
"""How a line begins with which a document does."""
DOCUMENT_GATE: Final = (
    r"(?im)^[ \t*#>]*(?:" + "|".join(DOCUMENT_MARKS) + r")|\|(?:content|body|email_from|received date) ?:"
)
"""Read alike by RE2 and Python."""
DOCUMENT_MARK: Final = re.compile(DOCUMENT_GATE)
SENTENCE: Final = re.compile(r"[^\s.!?\n|][^.!?\n|]*(?:[.!?](?=[^\s])[^.!?\n|]*)*[.!?]?['\"”’]?")
REQUEST_START: Final = re.compile(
    r"(?i)(?:please |now |also |then |and |could you |can you |would you |i want you to |you should |kindly )*"
    r"(?:(?:write|draft|compose|generate|create|design|develop|build|code|implement|produce) (?:me )?(?:an?|the|some|code)\b|"
    r"(?:analy[sz]e|evaluate|assess|compare|identify|determine|classify|detect|predict|forecast|estimate|calculate|compute|"
    r"investigate|examine|interpret|rate|gauge|review|explore|research|study|outline|summari[sz]e|explain|describe|discuss|"
    r"define|list|name|find(?! out)|recommend|suggest|propose|tell me|show me|teach me|give me|help me|"
    r"guide me|provide|translate|perform|conduct|apply|extract|label|score|measure|judge|decide|run|"
    r"paraphrase|rewrite|proofread|solve|convert|plan|brainstorm|automate|schedule)\b|"
    r"(?:what|which|who|where|when|why|how)(?:'s|’s| is| are| was| were| do| does| did| can| could| should| would|"
    r" many| much| "
    r"movies| kinds?| types?)\b|(?:is|are|does|do|did|can|should) (?:the|this|an?|people|most)\b)"
)
CONVERSATION_WORDS: Final = re.compile(
    r"(?i)\b(?:we|our|us|you|your|he|she|they|it|its|his|her|him|their|them|thy|thee|that(?=[.?!]| (?:is|"
    r"was|means?|one|way))|these|those|attached|below|above|"
    r"here|click|link|account|order|sir|don't)\b"
)
"""Words of someone who speaks to a reader, or of what was said before: no request to a model needs them."""
USER_QUESTION: Final = re.compile(r"(?i)how (?:can|do|should|could) i\b")
QUOTATION: Final = re.compile(r"(?<!\w)(?:['‘][^\n]{4,400}?['’]|[\"“][^\n]{4,400}?[\"”])(?!\w)")
LIST_STEP: Final = re.compile(
    r"(?i)[\s*•\d.)-]*(?:use|check|make|ensure|conduct|perform|access|get|keep|add|ask|avoid|be|consider|create|"
    r"follow|include|run|set|start|"
    r"take|try|visit|work|read|learn|choose|select|open|click|enter|test|update|define|identify|determine|review|"
    r"evaluate|establish|"
    r"develop|provide|share|send|submit|plan|write|find|describe|explain|analy[sz]e|assess|compare) (?!for my|with my)"
)
"""How a line of a list of steps begins."""
FIRST_PERSON: Final = re.compile(r"(?i)\b(?:i|my|me|i'm|i've)\b")
MIN_REQUEST_WORDS: Final = 5
"""Words of a request."""
MAX_DOCUMENT_CHARACTERS: Final = 6000
"""Characters of a document: longer ones have questions of their own."""
WORD: Final = re.compile(r"[a-z]{4,}")
MIN_DOCUMENT_STEMS: Final = 12
"""Words of a document that a request can be foreign to."""
MIN_REQUEST_STEMS: Final = 2
"""Words that a request must have of its own, and which share of them the document may have too."""
MAX_SHARED_STEMS: Final = 0.25
STEM_LETTERS: Final = 5
WEAK_WORDS: Final = frozenset(
    """
    what which where when that this these those with from have your about some into their there would could
    should will does main good best more most tell show give help write list find name explain describe discuss
    provide suggest recommend analyze summarize determine identify please using based make over under between
    other
    """.split()  # noqa: SIM905
)


def find_off_topic_requests(text: str) -> Iterator[tuple[int, int]]:
    """The sentence inside a document that asks for something of which the rest of the text says next to nothing, if one does.

    What comes before the document's mark, and the last line after a blank one, is where a user's own question stands.
    """
    mark = DOCUMENT_MARK.search(text)
    if mark is None or len(text) > MAX_DOCUMENT_CHARACTERS:
        return
    bare = QUOTATION.sub(_blank_quotation, text)
    asked = [
        found.span()
        for found in SENTENCE.finditer(bare, mark.end(), len(text.rstrip()))
        if REQUEST_START.match(found.group())
    ]
    alone = [
        (start, end)
        for start, end in asked
        if _stands_alone(bare, start, end) and not _is_users_question(text, start, end)
    ]
    foreign = [
        (start, end)
        for start, end in alone
        if _resembles_user_request(bare[start:end]) and _is_off_topic(text, start, end)
    ]
    if len(foreign) == 1 and not _among_steps(text, *foreign[0]):
        yield foreign[0]


def _blank_quotation(quote: re.Match[str]) -> str:
    """A quotation of which only the marks are left, and its end if it ends a sentence."""
    said = quote.group()
    ending = said[-2] if said[-2] in ".?!" else "_"
    return f"{said[0]}{'_' * (len(said) - 3)}{ending}{said[-1]}"


def _among_steps(text: str, start: int, end: int) -> bool:
    """Whether the line before or after begins as an order too, or the line before runs on into this one."""
    before, after = text[:start].rstrip(), text[end:].lstrip()
    if text[start].islower() and before[-1:] not in ".?!:":
        return True
    lines = (before.rpartition("\n")[2], after.partition("\n")[0])
    return any(LIST_STEP.match(line) is not None for line in lines)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a whole sentence of several words is a line of its own and no entry of a list."""
    before, after = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    alone = before[-1:] in "\n:|>" and after[:1] in ("", "\n", "|", "<")
    return alone and text[start:end].rstrip("'\"”’")[-1] in ".?!" and len(text[start:end].split()) >= MIN_REQUEST_WORDS


def _resembles_user_request(sentence: str) -> bool:
    personal = FIRST_PERSON.search(re.sub(r"(?i)^(?:tell|show|give|help|teach|guide) me", "", sentence)) is not None
    return not CONVERSATION_WORDS.search(sentence) and (not personal or USER_QUESTION.match(sentence) is not None)


def _is_off_topic(text: str, start: int, end: int) -> bool:
    own, rest = _stems(text[start:end]), _stems(DOCUMENT_MARK.sub(" ", text[:start] + "\n" + text[end:]))
    return (
        len(own) >= MIN_REQUEST_STEMS
        and len(rest) >= MIN_DOCUMENT_STEMS
        and len(own & rest) <= MAX_SHARED_STEMS * len(own)
    )


def _is_users_question(text: str, start: int, end: int) -> bool:
    """Whether a sentence is the last of the text, set off by a label or a blank line."""
    if text[end:].strip():
        return False
    before = text[:start].rstrip(" ")
    return before.endswith("\n\n") or bool(re.search(r"(?i)(?:question|query|task|instruction|user|q)\s*:$", before))


def _stems(text: str) -> set[str]:
    return {word[:STEM_LETTERS] for word in WORD.findall(text.lower()) if word not in WEAK_WORDS}
