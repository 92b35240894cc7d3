"""The tokens of a conversation that are answers: found by rendering twice, then checked. A row is encoded exactly or rejected."""

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
    apply_template,
    render_with_marks,
    token_ids,
)
from tunesmith.chat.tool_calls import missing_call, missing_tool
from tunesmith.errors import DataError
from tunesmith.text.reasoning import CLOSE_TAG, REASONING_FIELDS

PROMPT_IS_NO_PREFIX = "the prompt's tokens are not a prefix of the conversation's"
TOOLS_HINT = "use a base whose chat template renders tools, or write tools and calls as text into the messages"
MARKS_HINT = (
    "fix the {% generation %} marks of the chat template, or remove them: spans are then found by rendering twice"
)

NO_REASONING_HINT = (
    "set `task: {thinking: false}`, which closes them in training and serving, or add reasoning to the row"
)
REASONING_HINT = "set `task: {thinking: true}`, or remove the reasoning from the row"

SWITCH_WORDS = re.compile(r"/(no_think|think|system_override)\b")
"""Commands that SmolLM3's template executes and removes from a system message."""


@dataclass(frozen=True)
class TemplateConversation:
    """The messages and tools of a row, as its chat template takes them."""

    tokenizer: PreTrainedTokenizerBase
    row: Row
    turns: list[TemplateMessage]
    traits: TemplateTraits
    tools: ToolDefinitions = ()

    def text(self, count: int, *, add_generation_prompt: bool) -> str:
        """The rendered first `count` messages."""
        return apply_template(
            self.tokenizer, self.turns[:count], add_generation_prompt=add_generation_prompt, tools=self.tools
        )

    def ids(self, text: str) -> list[int]:
        """Token ids of rendered text."""
        return token_ids(self.tokenizer, text)

    def error(self, what: str, hint: str = "") -> DataError:
        """An error with the row's file and line."""
        return row_error(self.row, what, hint)


@dataclass(frozen=True)
class AnswerSpan:
    """An assistant message after its generation prompt: `ids[start:end]`, its end-of-turn token included.

    `ids` are the tokens of `text`, of which the first `prompt_length` characters are the prompt.
    """

    ids: list[int]
    start: int
    end: int
    text: str
    prompt_length: int

    def is_prefix_of(self, ids: list[int]) -> bool:
        """Whether `ids` begin with the prompt and the answer."""
        return ids[: self.end] == self.ids[: self.end]


def row_error(row: Row, what: str, hint: str = "") -> DataError:
    """The error for a row that cannot be trained on, with its file and line."""
    return DataError(f"row {row.row_id}: {what}", where=f"{row.file}:{row.line}", hint=hint)


def conversation_ids(conversation: TemplateConversation) -> list[int]:
    """Token ids of the whole conversation.

    Raises DataError with the row's id when the start token is missing or doubled, or when the template drops tools or calls.
    """
    _check_tools(conversation)
    text = _render_whole(conversation)
    bare = "".join(text.split())
    for turn in conversation.turns:
        _check_calls(conversation, bare, turn)
    ids = conversation.ids(text)
    _check_start_token(conversation, ids)
    return ids


def find_answers(
    conversation: TemplateConversation, trained: Sequence[int]
) -> list[tuple[list[int], list[AnswerSpan]]]:
    """The sequences to train on and the answers in each; `trained` are indices of assistant messages, in order.

    One sequence, the whole conversation, when every answer follows its own prompt in it; otherwise one per answer: the prompt
    as it is served, and the answer. Raises DataError with the row's id when an answer does not follow its prompt or has no
    end token, when the template drops text, when the start token is doubled, or when the template's generation marks disagree.
    """
    _check_tools(conversation)
    marked = conversation.traits.has_generation_marks
    text, marks = _render_marked(conversation, len(conversation.turns)) if marked else (_render_whole(conversation), [])
    ids = conversation.ids(text)
    answers = [_locate_answer(conversation, index, text, ids) for index in trained]
    if all(answer.is_prefix_of(ids) for answer in answers):
        _check_start_token(conversation, ids)
        if marked:
            complete = len(trained) == sum(turn["role"] == "assistant" for turn in conversation.turns)
            _check_marks(conversation, text, marks, answers, complete=complete)
        return [(ids, answers)]
    # The template rewrites earlier turns once an answer follows: each answer gets a sequence of its own.
    for index, answer in zip(trained, answers, strict=True):
        _check_start_token(conversation, answer.ids)
        if marked:
            text, marks = _render_marked(conversation, index + 1)
            _check_marks(conversation, text, marks, [answer], complete=False)
    return [(answer.ids[: answer.end], [answer]) for answer in answers]


def _render_whole(conversation: TemplateConversation) -> str:
    return conversation.text(len(conversation.turns), add_generation_prompt=False)


def _render_marked(conversation: TemplateConversation, count: int) -> tuple[str, GenerationMarks]:
    return render_with_marks(conversation.tokenizer, conversation.turns[:count], tools=conversation.tools)


def _locate_answer(conversation: TemplateConversation, index: int, whole: str, whole_ids: list[int]) -> AnswerSpan:
    """The message at `index` as the model generates it: the ids of its prompt are those that serving uses."""
    prompt = conversation.text(index, add_generation_prompt=True)
    prompt_ids = conversation.ids(prompt)
    is_last = index == len(conversation.turns) - 1
    text = whole if is_last else conversation.text(index + 1, add_generation_prompt=False)
    ids = whole_ids if is_last else conversation.ids(text)
    if ids[: len(prompt_ids)] != prompt_ids:
        text, ids = _answer_after_prompt(conversation, index, prompt, prompt_ids, text)
    stop_ids = conversation.traits.stop_ids
    end = next((place + 1 for place in range(len(prompt_ids), len(ids)) if ids[place] in stop_ids), None)
    if end is None:
        what = "the assistant turn does not end in an end-of-turn token"
        raise conversation.error(what, "the model would never learn to stop")
    rest = tuple(token for token in ids[end:] if token not in stop_ids)
    if not _is_blank(conversation.tokenizer, rest):
        words = str(conversation.tokenizer.decode(list(rest))).strip()
        raise conversation.error(f"the chat template writes {words[:40]!r} behind the end of the assistant's turn")
    _check_nothing_dropped(conversation, index, prompt, text[len(prompt) :])
    return AnswerSpan(ids, len(prompt_ids), end, text, len(prompt))


def _answer_after_prompt(
    conversation: TemplateConversation, index: int, prompt: str, prompt_ids: list[int], text: str
) -> tuple[str, list[int]]:
    """The prompt as it is served, followed by the answer as the template writes it after a plain question.

    For templates that render the prompt differently once it is answered: Mistral's puts the system message into the last user
    turn, and leaves it out when an answer follows.
    """
    traits = conversation.traits
    has_reasoning = traits.has_reasoning_field and bool(conversation.turns[index].get(REASONING_FIELDS[0]))
    if traits.prompt_opens_reasoning and traits.has_reasoning_field and not has_reasoning:
        raise conversation.error("the prompt opens thoughts, and the answer has none", NO_REASONING_HINT)
    if has_reasoning and prompt.rstrip().endswith(CLOSE_TAG):
        raise conversation.error("the prompt closes empty thoughts, and the answer has some", REASONING_HINT)
    if text.startswith(prompt):
        raise conversation.error(PROMPT_IS_NO_PREFIX, "the answer's first characters join the prompt's last token")
    single = apply_template(
        conversation.tokenizer, [PROBE_QUESTION, conversation.turns[index]], add_generation_prompt=False
    )
    ids, size = conversation.ids(single), len(traits.prompt_ids)
    if not (
        prompt.endswith(traits.prompt_suffix)
        and single.startswith(traits.prompt)
        and tuple(ids[:size]) == traits.prompt_ids
    ):
        raise conversation.error(PROMPT_IS_NO_PREFIX, "the chat template rewrites earlier turns")
    return prompt + single[len(traits.prompt) :], [*prompt_ids, *ids[size:]]


def _check_nothing_dropped(conversation: TemplateConversation, index: int, prompt: str, answer: str) -> None:
    """The template dropped nothing of the prompt or the answer: some templates skip a role, some drop the reasoning.

    White space is ignored, and earlier assistant messages may be shortened.
    """
    message = conversation.turns[index]
    reasoning = message.get(REASONING_FIELDS[0], "")
    if not (_contains_words(answer, message["content"]) and _contains_words(answer, reasoning)):
        what = "the chat template leaves out a part of the answer"
        raise conversation.error(what, "it may drop reasoning; check what it renders")
    if "tool_calls" in message:
        _check_calls(conversation, "".join(answer.split()), message)
    for number, turn in enumerate(conversation.turns[:index], 1):
        if turn["role"] != "assistant" and not _contains_words(prompt, turn["content"]):
            what = f"the chat template leaves out message {number}, of the role {turn['role']}"
            raise conversation.error(what, "put its text into the user's message")


def _check_calls(conversation: TemplateConversation, bare: str, turn: TemplateMessage) -> None:
    """`bare`: what the template rendered for the message, without white space."""
    if name := missing_call(bare, turn):
        raise conversation.error(f"the chat template leaves out the call of the tool {name[:40]!r}", TOOLS_HINT)


def _check_tools(conversation: TemplateConversation) -> None:
    """Tools must be rendered before the first answer, where they cannot be confused with a call."""
    if not conversation.tools:
        return
    turns = conversation.turns
    first = next((number for number, turn in enumerate(turns) if turn["role"] == "assistant"), len(turns))
    bare = "".join(conversation.text(first, add_generation_prompt=False).split())
    if name := missing_tool(bare, conversation.tools):
        raise conversation.error(f"the chat template leaves out the tool {name[:40]!r}", TOOLS_HINT)


def _contains_words(text: str, words: str) -> bool:
    """Whether the text contains the words, ignoring white space and switch words; a template may write them as JSON."""
    if words in text or words.strip() in text:
        return True
    bare = _without_whitespace(text)
    as_json = json.dumps(words, ensure_ascii=False)[1:-1]
    return _without_whitespace(words) in bare or _without_whitespace(as_json) in bare


def _without_whitespace(text: str) -> str:
    return "".join(SWITCH_WORDS.sub("", text).split())


def _check_start_token(conversation: TemplateConversation, ids: list[int]) -> None:
    """The template writes the start token once, at position 0, or never.

    A further one may only open a turn: Llama 2 writes it before every question, SmolLM2's is the turn marker itself, and in
    OLMo 2 and Granite it is also the end-of-turn token.
    """
    traits = conversation.traits
    if traits.bos_id is None:
        return
    if (ids[:1] == [traits.bos_id]) != traits.writes_bos:
        what = (
            "the conversation has no start token" if traits.writes_bos else "the conversation begins with a start token"
        )
        raise conversation.error(what, "the chat template writes it for some conversations only")
    if ids.count(traits.bos_id) == traits.writes_bos:
        return
    if traits.writes_bos and ids[1] == traits.bos_id:
        what = "the conversation begins with two start tokens"
        raise conversation.error(what, "remove one from the chat template")
    if traits.bos_id in traits.stop_ids:
        return
    for place in range(1, len(ids)):
        if ids[place] == traits.bos_id and not _ends_turn(conversation, ids[:place]):
            raise conversation.error("a start token stands inside a turn", "remove it from the chat template")


def _ends_turn(conversation: TemplateConversation, ids: list[int]) -> bool:
    """Whether the last token that is not white space ends a turn."""
    place = len(ids)
    while place and _is_blank(conversation.tokenizer, (ids[place - 1],)):
        place -= 1
    return place > 0 and ids[place - 1] in conversation.traits.stop_ids


def _check_marks(
    conversation: TemplateConversation,
    text: str,
    marks: list[tuple[int, int]],
    answers: list[AnswerSpan],
    *,
    complete: bool,
) -> None:
    """The template's generation marks agree with the spans; otherwise one of the two is wrong about what the model writes.

    A mark may include the answer prefix, which the prompt has written, and white space after the end token, which is never
    reached (SmolLM3's do): neither is ever generated. `complete`: `answers` are all answers of the text.
    """
    for answer in answers:
        ends = ((answer.text.find(name, answer.prompt_length), len(name)) for name in conversation.traits.end_tokens)
        end = min(place + length for place, length in ends if place >= 0)
        around = ((first, last) for first, last in marks if first <= answer.prompt_length and end <= last)
        mark = next(around, None) if text.startswith(answer.text[:end]) else None
        if mark is None:
            what = "the template's generation marks leave out a part of an answer, or its end of turn"
            raise conversation.error(what, MARKS_HINT)
        before, after = text[mark[0] : answer.prompt_length], text[end : mark[1]]
        if not _expected_prefix(conversation, answer).endswith(before) or after.strip():
            raise conversation.error("the template's generation marks take in more than an answer", MARKS_HINT)
    if complete and len(marks) > len(answers):
        raise conversation.error("the template's generation marks take in more than the answers", MARKS_HINT)


def _expected_prefix(conversation: TemplateConversation, answer: AnswerSpan) -> str:
    """What the prompt writes for the answer: its end, after the last turn."""
    traits, prompt = conversation.traits, answer.text[: answer.prompt_length]
    ends = [
        prompt.rfind(name) + len(name) for name in traits.end_tokens if name in traits.prompt_suffix and name in prompt
    ]
    return prompt[max(ends) :] if ends else traits.prompt_suffix


@lru_cache(maxsize=1024)
def _is_blank(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...]) -> bool:
    """Whether these ids are white space only."""
    return not ids or not str(tokenizer.decode(list(ids))).strip()
