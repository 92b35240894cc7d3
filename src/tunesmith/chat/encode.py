"""Chat layout and loss mask: one rendering for training and serving, spans by rendering twice, checked row by row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Message, Row, message
from tunesmith.chat.answer_spans import AnswerSpan, TemplateConversation, conversation_ids, find_answers, row_error
from tunesmith.chat.templates import TemplateMessage, render_template, template_traits, token_ids
from tunesmith.chat.tool_calls import template_messages, template_texts, template_tools
from tunesmith.errors import DataError
from tunesmith.text.reasoning import reasoning_as_fields

__all__ = [
    "EncodedSequence",
    "control_tokens",
    "encode_chat",
    "encode_text",
    "encode_all_tokens",
    "prompt_ids",
    "render_conversation",
    "stop_ids",
    "text_ids",
    "token_ids",
    "with_instruction",
]

NOTHING_TO_TRAIN = "there is no token to train on"
CONTROL_TOKEN_HINT = "take it out of the text; whoever writes it could speak in another role"


@dataclass(frozen=True)
class EncodedSequence:
    """Token ids of one row (or one window of it) and the half-open spans of tokens whose prediction is trained.

    `first_token` is where the window begins in the row's own token sequence, for the consumption record. `weights` has
    the weight of each span in the loss, above 0; empty when all are 1.
    """

    row_id: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    first_token: int = 0
    weights: tuple[float, ...] = ()

    @property
    def sides(self) -> tuple[int, ...]:
        """The lengths of what must fit the context, each by itself."""
        return (len(self.ids),)

    @property
    def supervised(self) -> int:
        """How many tokens are trained on; position 0 has nothing to be predicted from."""
        return sum(end - max(start, 1) for start, end in self.spans)

    @property
    def weight(self) -> float:
        """The trained tokens, each counted by its weight: what a mean loss is divided by."""
        weights = self.weights or (1.0,) * len(self.spans)
        return sum(weight * (end - max(start, 1)) for weight, (start, end) in zip(weights, self.spans, strict=True))


def render_conversation(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], *, ask: bool, tools: Sequence[str] | None = None
) -> str:
    """The text of a conversation; `ask` opens the assistant's turn, `tools` are definitions as an `Example` has them.

    Raises DataError when a message spells a control token of the template: it would open or close a turn of its own;
    jinja2's TemplateError when the template refuses the conversation.
    """
    turns, given = _messages_for_template(tokenizer, messages), template_tools(tools)
    if spelled := _find_control_token(tokenizer, template_texts(turns, given)):
        raise DataError(f"a message spells the control token {spelled}", hint=CONTROL_TOKEN_HINT)
    return render_template(tokenizer, turns, ask=ask, tools=given)


def _messages_for_template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[TemplateMessage]:
    """Messages as the tokenizer's template is given them."""
    turns = template_messages(messages)
    return reasoning_as_fields(turns) if template_traits(tokenizer).places_thoughts else turns


def _find_control_token(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> str | None:
    known = template_traits(tokenizer)
    suspects = (text for text in texts if any(head in text for head in known.heads))
    return next((name for text in suspects for name in known.controls if name in text), None)


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """What no message may spell: special tokens (start, end, padding, turn markers), what ends a turn, markers in plain text."""
    return template_traits(tokenizer).controls


def stop_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a turn: end of sequence, what the template writes behind an answer, the end tokens of the families."""
    return template_traits(tokenizer).stops


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], *, tools: Sequence[str] | None = None
) -> list[int]:
    """What the model is given when it is asked to answer: the same ids in training, evaluation and serving."""
    return token_ids(tokenizer, render_conversation(tokenizer, messages, ask=True, tools=tools))


def with_instruction(messages: tuple[Message, ...], instruction: str | None) -> tuple[Message, ...]:
    """The conversation under the task's system message, unless there is none or it brings a system message of its own."""
    if instruction is None or any(turn.role == "system" for turn in messages):
        return messages
    return (message("system", instruction), *messages)


def encode_chat(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> list[EncodedSequence]:
    """Ids and assistant-only spans of a conversation: one sequence, or one per answer where the template rewrites earlier turns.

    The row's tools are written by the template, and the calls of an answer are trained as a part of it.

    A span is an answer with its end-of-turn token, and weighs what its message weighs; weight 0 has no span. Several
    sequences of a row begin with the same ids, up to where the template writes the past in another way.

    Raises DataError with the row's id when nothing would be trained, when the first turn is the assistant's, when a message
    spells a control token, when the template refuses the conversation, and for whatever `find_answers` refuses.
    """
    talk = _conversation(tokenizer, row, messages)
    weights = {
        index: 1.0 if turn.weight is None else turn.weight
        for index, turn in enumerate(messages)
        if turn.role == "assistant"
    }
    trained = [index for index, weight in weights.items() if weight > 0]
    if not trained:
        what = "every assistant turn has weight 0" if weights else "no assistant turn"
        raise row_error(row, f"{what}, so nothing would be trained", "the last message must be the assistant's")
    if messages[0].role == "assistant":
        hint = "put a system or user message first, or set task.instruction"
        raise row_error(row, "the conversation begins with the assistant", hint)
    try:
        found = find_answers(talk, trained)
    except TemplateError as error:
        raise _template_error(row, error) from error
    weighed = iter([weights[index] for index in trained])
    return [_encode_sequence(row, ids, answers, [next(weighed) for _ in answers]) for ids, answers in found]


def _conversation(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> TemplateConversation:
    turns, tools = _messages_for_template(tokenizer, messages), template_tools(row.example.tools)
    if spelled := _find_control_token(tokenizer, template_texts(turns, tools)):
        raise row_error(row, f"a message spells the control token {spelled}", CONTROL_TOKEN_HINT)
    return TemplateConversation(tokenizer, row, turns, template_traits(tokenizer), tools)


def _template_error(row: Row, error: TemplateError) -> DataError:
    hint = "without a system role, put the instruction into the user's message; roles may have to take turns"
    return row_error(row, f"the chat template refuses the conversation: {error}", hint)


def _encode_sequence(row: Row, ids: list[int], answers: list[AnswerSpan], weights: list[float]) -> EncodedSequence:
    spans = tuple((answer.start, answer.end) for answer in answers)
    return EncodedSequence(
        row_id=row.row_id,
        ids=tuple(ids),
        spans=spans,
        weights=() if all(weight == 1 for weight in weights) else tuple(weights),
    )


def encode_all_tokens(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> EncodedSequence:
    """A conversation with every token trained, the user's too.

    Raises DataError with the row's id when a message spells a control token or has a weight, the template refuses, or there
    is no token to train on.
    """
    if any(turn.weight is not None for turn in messages):
        hint = "train.objective: completion trains the answers by their weights"
        raise row_error(row, "a message has a weight, and all tokens are trained", hint)
    try:
        ids = conversation_ids(_conversation(tokenizer, row, messages))
    except TemplateError as error:
        raise _template_error(row, error) from error
    if len(ids) < 2:
        raise row_error(row, NOTHING_TO_TRAIN)
    return EncodedSequence(row.row_id, tuple(ids), ((0, len(ids)),))


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text that is no conversation: a control token that it spells is letters like any other.

    Raises DataError when the tokenizer cannot write it as letters.
    """
    if not _find_control_token(tokenizer, (text,)):
        return token_ids(tokenizer, text)
    ids = list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
    names = set(tokenizer.convert_ids_to_tokens(ids))
    if name := next((name for name in control_tokens(tokenizer) if name in names), None):
        raise DataError(f"the text spells the control token {name}", hint="take it out of the text")
    return ids


def encode_text(tokenizer: PreTrainedTokenizerBase, row: Row, text: str, *, window: int) -> list[EncodedSequence]:
    """A document as windows of at most `window` (2 or more) tokens, document start and end marked.

    Neighbouring windows share one token, the last of one and the first of the next, so that every token but the very first
    is trained exactly once. Raises DataError with the row's id when the document's end cannot be marked, when there is no
    token to train on, or when a control token that it spells cannot be written as letters.
    """
    if tokenizer.eos_token_id is None:
        raise row_error(row, "the tokenizer has no end-of-sequence token to end a document with")
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    try:
        ids = [*start, *text_ids(tokenizer, text), tokenizer.eos_token_id]
    except DataError as error:
        raise row_error(row, error.what, error.hint) from error
    if len(ids) < 2:
        raise row_error(row, NOTHING_TO_TRAIN)
    return [
        EncodedSequence(row.row_id, tuple(ids[first : first + window]), ((0, min(window, len(ids) - first)),), first)
        for first in range(0, len(ids) - 1, window - 1)
    ]
