"""Which tokens of a conversation are the answers, found by rendering twice and checked: the row is refused or it is right."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.chat.templates import (
    PROBE_QUESTION,
    GenerationMarks,
    TemplateMessage,
    TemplateTraits,
    ToolDefinitions,
    render_template,
    render_with_marks,
    token_ids,
)
from tunesmith.chat.tool_calls import missing_call, missing_tool
from tunesmith.errors import DataError
from tunesmith.text.reasoning import CLOSE_TAG, REASONING_FIELDS

PROMPT_IS_NO_PREFIX = "the prompt's tokens are not a prefix of the conversation's"
TOOLS_HINT = "take a base whose template writes tools, or write calls and tools into the texts"
MARKS_HINT = "mend the chat template, or take the marks out: spans then come from rendering twice"

NO_REASONING_HINT = (
    "`task: {thinking: false}` closes them, in training and wherever it is served; or give the row its thoughts"
)
REASONING_HINT = "say `task: {thinking: true}`, or take the thoughts out of the row"

SWITCH_WORDS = re.compile(r"/(no_think|think|system_override)\b")
"""Words that SmolLM3's template acts upon and takes out of a system message."""


@dataclass(frozen=True)
class TemplateConversation:
    """A conversation of a row, and the tools it names, as the template is given them."""

    tokenizer: PreTrainedTokenizerBase
    row: Row
    turns: list[TemplateMessage]
    habits: TemplateTraits
    tools: ToolDefinitions = ()

    def text(self, count: int, *, ask: bool) -> str:
        """The first `count` turns as the template writes them."""
        return render_template(self.tokenizer, self.turns[:count], ask=ask, tools=self.tools)

    def ids(self, text: str) -> list[int]:
        """Ids of rendered text."""
        return token_ids(self.tokenizer, text)

    def bad(self, what: str, hint: str = "") -> DataError:
        """The error that names the row."""
        return row_error(self.row, what, hint)


@dataclass(frozen=True)
class AnswerSpan:
    """An assistant turn behind the prompt that asks for it: `ids[start:end]`, its end of turn included.

    `text` is what `ids` were made of, `asked` how many of its characters are the prompt.
    """

    ids: list[int]
    start: int
    end: int
    text: str
    asked: int

    def stands_in(self, ids: list[int]) -> bool:
        """Whether `ids` begin with prompt and answer."""
        return ids[: self.end] == self.ids[: self.end]


def row_error(row: Row, what: str, hint: str = "") -> DataError:
    """The error for a row that cannot be trained, with its file and line."""
    return DataError(f"row {row.row_id}: {what}", where=f"{row.file}:{row.line}", hint=hint)


def conversation_ids(talk: TemplateConversation) -> list[int]:
    """The ids of the whole conversation. Raises DataError with the row's id when the start token is not right, or when tools
    or calls are left out."""
    _check_tools(talk)
    text = _render_whole(talk)
    bare = "".join(text.split())
    for turn in talk.turns:
        _check_calls(talk, bare, turn)
    ids = talk.ids(text)
    _check_start_token(talk, ids)
    return ids


def find_answers(talk: TemplateConversation, trained: Sequence[int]) -> list[tuple[list[int], list[AnswerSpan]]]:
    """The sequences to train on and the answers in each; `trained` are the indices of the turns that count, in order.

    One sequence, the whole conversation, when every answer stands in it behind its prompt; otherwise one per answer: the
    prompt as it is served, and the answer. Raises DataError with the row's id when an answer does not follow its prompt or
    does not end, when words are left out, the start token is doubled, or the template's own marks say something else.
    """
    _check_tools(talk)
    text, marks = _render_marked(talk, len(talk.turns)) if talk.habits.marked else (_render_whole(talk), [])
    ids = talk.ids(text)
    answers = [_locate_answer(talk, index, text, ids) for index in trained]
    if all(answer.stands_in(ids) for answer in answers):
        _check_start_token(talk, ids)
        if talk.habits.marked:
            complete = len(trained) == sum(turn["role"] == "assistant" for turn in talk.turns)
            _check_marks(talk, text, marks, answers, complete=complete)
        return [(ids, answers)]
    for index, answer in zip(trained, answers, strict=True):
        _check_start_token(talk, answer.ids)
        if talk.habits.marked:
            text, marks = _render_marked(talk, index + 1)
            _check_marks(talk, text, marks, [answer], complete=False)
    return [(answer.ids[: answer.end], [answer]) for answer in answers]


def _render_whole(talk: TemplateConversation) -> str:
    return talk.text(len(talk.turns), ask=False)


def _render_marked(talk: TemplateConversation, count: int) -> tuple[str, GenerationMarks]:
    return render_with_marks(talk.tokenizer, talk.turns[:count], tools=talk.tools)


def _locate_answer(talk: TemplateConversation, index: int, whole: str, whole_ids: list[int]) -> AnswerSpan:
    """The turn at `index` as the model is asked for it: its prompt's ids are those that are served."""
    asked = talk.text(index, ask=True)
    prompt = talk.ids(asked)
    last = index == len(talk.turns) - 1
    text = whole if last else talk.text(index + 1, ask=False)
    ids = whole_ids if last else talk.ids(text)
    if ids[: len(prompt)] != prompt:
        text, ids = _answer_after_prompt(talk, index, asked, prompt, text)
    stops = talk.habits.stops
    end = next((place + 1 for place in range(len(prompt), len(ids)) if ids[place] in stops), None)
    if end is None:
        raise talk.bad("the assistant turn does not end in an end-of-turn token", "the model would never learn to stop")
    behind = tuple(token for token in ids[end:] if token not in stops)
    if not _is_blank(talk.tokenizer, behind):
        words = str(talk.tokenizer.decode(list(behind))).strip()
        raise talk.bad(f"the chat template writes {words[:40]!r} behind the end of the assistant's turn")
    _check_nothing_dropped(talk, index, asked, text[len(asked) :])
    return AnswerSpan(ids, len(prompt), end, text, len(asked))


def _answer_after_prompt(
    talk: TemplateConversation, index: int, asked: str, prompt: list[int], text: str
) -> tuple[str, list[int]]:
    """The prompt as it is served, and the answer as the template writes it behind a plain question.

    For a template that writes the prompt in another way once it is answered: Mistral's puts the system message into the
    last user turn, and leaves it out when an answer follows.
    """
    known = talk.habits
    thinks = known.places_thoughts and bool(talk.turns[index].get(REASONING_FIELDS[0]))
    if known.opens_thoughts and known.places_thoughts and not thinks:
        raise talk.bad("the prompt opens thoughts, and the answer has none", NO_REASONING_HINT)
    if thinks and asked.rstrip().endswith(CLOSE_TAG):
        raise talk.bad("the prompt closes empty thoughts, and the answer has some", REASONING_HINT)
    if text.startswith(asked):
        raise talk.bad(PROMPT_IS_NO_PREFIX, "the answer's first characters join the prompt's last token")
    alone = render_template(talk.tokenizer, [PROBE_QUESTION, talk.turns[index]], ask=False)
    ids, size = talk.ids(alone), len(known.question_ids)
    if not (
        asked.endswith(known.closing) and alone.startswith(known.question) and tuple(ids[:size]) == known.question_ids
    ):
        raise talk.bad(PROMPT_IS_NO_PREFIX, "the chat template rewrites earlier turns")
    return asked + alone[len(known.question) :], [*prompt, *ids[size:]]


def _check_nothing_dropped(talk: TemplateConversation, index: int, asked: str, answered: str) -> None:
    """Nothing that was asked or answered is left out: some templates pass over a role, some drop the thinking.

    White space does not count, and what the assistant said before may be shortened.
    """
    said = talk.turns[index]
    if not (
        _contains_words(answered, said["content"]) and _contains_words(answered, said.get(REASONING_FIELDS[0], ""))
    ):
        raise talk.bad("the chat template leaves out a part of the answer", "it may drop thoughts; see what it writes")
    if "tool_calls" in talk.turns[index]:
        _check_calls(talk, "".join(answered.split()), talk.turns[index])
    for number, turn in enumerate(talk.turns[:index], 1):
        if turn["role"] != "assistant" and not _contains_words(asked, turn["content"]):
            what = f"the chat template leaves out message {number}, of the role {turn['role']}"
            raise talk.bad(what, "put its words into the user's message")


def _check_calls(talk: TemplateConversation, bare: str, turn: TemplateMessage) -> None:
    """`bare`: what the template wrote for the turn, without white space."""
    if name := missing_call(bare, turn):
        raise talk.bad(f"the chat template leaves out the call of the tool {name[:40]!r}", TOOLS_HINT)


def _check_tools(talk: TemplateConversation) -> None:
    """The tools stand in front of the first answer, where no call can be taken for them."""
    if not talk.tools:
        return
    first = next((number for number, turn in enumerate(talk.turns) if turn["role"] == "assistant"), len(talk.turns))
    if name := missing_tool("".join(talk.text(first, ask=False).split()), talk.tools):
        raise talk.bad(f"the chat template leaves out the tool {name[:40]!r}", TOOLS_HINT)


def _contains_words(text: str, words: str) -> bool:
    """Whether the words are in the text, but for white space and switches; a template may write them as JSON."""
    if words in text or words.strip() in text:
        return True
    bare = _without_whitespace(text)
    return (
        _without_whitespace(words) in bare or _without_whitespace(json.dumps(words, ensure_ascii=False)[1:-1]) in bare
    )


def _without_whitespace(text: str) -> str:
    return "".join(SWITCH_WORDS.sub("", text).split())


def _check_start_token(talk: TemplateConversation, ids: list[int]) -> None:
    """One start token, at position 0, where the template writes one.

    A further one may only open a turn: Llama 2 writes it before every question, SmolLM2's is the turn marker itself, and
    in OLMo 2 and Granite it is the end-of-turn token as well.
    """
    known = talk.habits
    if known.bos is None:
        return
    if (ids[:1] == [known.bos]) != known.begins:
        what = "the conversation has no start token" if known.begins else "the conversation begins with a start token"
        raise talk.bad(what, "the chat template writes it for some conversations only")
    if ids.count(known.bos) == known.begins:
        return
    if known.begins and ids[1] == known.bos:
        raise talk.bad("the conversation begins with two start tokens", "take one out of the chat template")
    for place in range(1, len(ids)):
        if ids[place] == known.bos and known.bos not in known.stops and not _ends_turn(talk, ids[:place]):
            raise talk.bad("a start token stands inside a turn", "take it out of the chat template")


def _ends_turn(talk: TemplateConversation, ids: list[int]) -> bool:
    """Whether the last token that is not white space ends a turn."""
    place = len(ids)
    while place and _is_blank(talk.tokenizer, (ids[place - 1],)):
        place -= 1
    return place > 0 and ids[place - 1] in talk.habits.stops


def _check_marks(
    talk: TemplateConversation, text: str, marks: list[tuple[int, int]], answers: list[AnswerSpan], *, complete: bool
) -> None:
    """The template's own marks say the same as the spans, or one of the two is wrong about what the model writes.

    A mark may take in the opening of the answer, which the prompt has written, and white space behind its end, which is
    never reached (SmolLM3's do): neither is ever generated. `complete`: there is no mark but those of these answers.
    """
    for answer in answers:
        ends = ((answer.text.find(name, answer.asked), len(name)) for name in talk.habits.ends)
        end = min(place + length for place, length in ends if place >= 0)
        around = ((first, last) for first, last in marks if first <= answer.asked and end <= last)
        mark = next(around, None) if text.startswith(answer.text[:end]) else None
        if mark is None:
            raise talk.bad(
                "the template's generation marks leave out a part of an answer, or its end of turn", MARKS_HINT
            )
        if not _expected_prefix(talk, answer).endswith(text[mark[0] : answer.asked]) or text[end : mark[1]].strip():
            raise talk.bad("the template's generation marks take in more than an answer", MARKS_HINT)
    if complete and len(marks) > len(answers):
        raise talk.bad("the template's generation marks take in more than the answers", MARKS_HINT)


def _expected_prefix(talk: TemplateConversation, answer: AnswerSpan) -> str:
    """What opens the answer: the end of its prompt, behind the last turn."""
    known, asked = talk.habits, answer.text[: answer.asked]
    ended = [asked.rfind(name) + len(name) for name in known.ends if name in known.closing and name in asked]
    return asked[max(ended) :] if ended else known.closing


@lru_cache(maxsize=1024)
def _is_blank(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...]) -> bool:
    """Whether these ids are nothing but white space."""
    return not ids or not str(tokenizer.decode(list(ids))).strip()
