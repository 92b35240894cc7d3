"""Token ids and loss mask of conversations and documents. Training, evaluation and serving share one rendering."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Message, Row, message
from tunesmith.chat.answer_spans import AnswerSpan, TemplateConversation, conversation_ids, find_answers, row_error
from tunesmith.chat.templates import TemplateMessage, apply_template, template_traits, token_ids
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
CONTROL_TOKEN_HINT = "remove it from the text: it would let the text speak in another role"


@dataclass(frozen=True)
class EncodedSequence:
    """Token ids of one row, or one window of it, and the half-open spans of tokens that are trained.

    `first_token` is where the window begins in the row's token sequence, for the consumption record. `weights` are the loss
    weights of the spans, each above 0; empty when all are 1.
    """

    row_id: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    first_token: int = 0
    weights: tuple[float, ...] = ()

    @property
    def sides(self) -> tuple[int, ...]:
        """The lengths that must each fit the context."""
        return (len(self.ids),)

    @property
    def supervised(self) -> int:
        """Number of trained tokens; position 0 is never predicted."""
        return sum(end - max(start, 1) for start, end in self.spans)

    @property
    def weight(self) -> float:
        """Sum of the weights of the trained tokens: the divisor of a mean loss."""
        weights = self.weights or (1.0,) * len(self.spans)
        return sum(weight * (end - max(start, 1)) for weight, (start, end) in zip(weights, self.spans, strict=True))


def render_conversation(
    tokenizer: PreTrainedTokenizerBase,
    messages: tuple[Message, ...],
    *,
    add_generation_prompt: bool,
    tools: Sequence[str] | None = None,
) -> str:
    """The rendered conversation; `add_generation_prompt` opens the assistant's turn, `tools` are those of an `Example`.

    Raises DataError when a message contains a control token of the template, which would open or close a turn, and jinja2's
    TemplateError when the template refuses the conversation.
    """
    turns, definitions = _messages_for_template(tokenizer, messages), template_tools(tools)
    if token := _find_control_token(tokenizer, template_texts(turns, definitions)):
        raise DataError(f"a message spells the control token {token}", hint=CONTROL_TOKEN_HINT)
    return apply_template(tokenizer, turns, add_generation_prompt=add_generation_prompt, tools=definitions)


def _messages_for_template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[TemplateMessage]:
    """Messages in the form that the tokenizer's template takes."""
    turns = template_messages(messages)
    return reasoning_as_fields(turns) if template_traits(tokenizer).has_reasoning_field else turns


def _find_control_token(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> str | None:
    traits = template_traits(tokenizer)
    suspects = (text for text in texts if any(prefix in text for prefix in traits.control_prefixes))
    return next((name for text in suspects for name in traits.control_tokens if name in text), None)


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Texts that no message may contain: special tokens, tokens that end a turn, and turn markers in plain text."""
    return template_traits(tokenizer).control_tokens


def stop_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a turn: end of sequence, what the template writes after an answer, end tokens of known families."""
    return template_traits(tokenizer).stop_ids


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], *, tools: Sequence[str] | None = None
) -> list[int]:
    """Token ids of the prompt, the same in training, evaluation and serving."""
    return token_ids(tokenizer, render_conversation(tokenizer, messages, add_generation_prompt=True, tools=tools))


def with_instruction(messages: tuple[Message, ...], instruction: str | None) -> tuple[Message, ...]:
    """The conversation after the task's system message, unless there is none or it has a system message of its own."""
    if instruction is None or any(turn.role == "system" for turn in messages):
        return messages
    return (message("system", instruction), *messages)


def encode_chat(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> list[EncodedSequence]:
    """Ids and assistant-only spans of a conversation: one sequence, or one per answer where the template rewrites earlier turns.

    A span is an answer with its tool calls and end-of-turn token, and has the weight of its message; weight 0 has no span.
    Several sequences of a row share their first ids, up to where the template renders earlier turns differently.

    Raises DataError with the row's id when nothing would be trained, when the first message is the assistant's, when a message
    contains a control token, when the template refuses the conversation, and when `find_answers` raises it.
    """
    conversation = _conversation(tokenizer, row, messages)
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
        sequences = find_answers(conversation, trained)
    except TemplateError as error:
        raise _template_error(row, error) from error
    remaining = iter([weights[index] for index in trained])
    return [_encode_sequence(row, ids, answers, [next(remaining) for _ in answers]) for ids, answers in sequences]


def _conversation(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> TemplateConversation:
    turns, tools = _messages_for_template(tokenizer, messages), template_tools(row.example.tools)
    if token := _find_control_token(tokenizer, template_texts(turns, tools)):
        raise row_error(row, f"a message spells the control token {token}", CONTROL_TOKEN_HINT)
    return TemplateConversation(tokenizer, row, turns, template_traits(tokenizer), tools)


def _template_error(row: Row, error: TemplateError) -> DataError:
    hint = "put the instruction into the user's message if the template has no system role; roles may have to alternate"
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
    """A conversation with every token trained, including the user's.

    Raises DataError with the row's id when a message contains a control token or has a weight, when the template refuses the
    conversation, or when there is no token to train on.
    """
    if any(turn.weight is not None for turn in messages):
        hint = "set `train: {objective: completion}`, which trains the answers by their weights"
        raise row_error(row, "a message has a weight, and all tokens are trained", hint)
    try:
        ids = conversation_ids(_conversation(tokenizer, row, messages))
    except TemplateError as error:
        raise _template_error(row, error) from error
    if len(ids) < 2:
        raise row_error(row, NOTHING_TO_TRAIN)
    return EncodedSequence(row.row_id, tuple(ids), ((0, len(ids)),))


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a document: a control token in it is encoded as plain characters.

    Raises DataError when the tokenizer cannot encode it as plain characters.
    """
    if not _find_control_token(tokenizer, (text,)):
        return token_ids(tokenizer, text)
    ids = list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
    names = set(tokenizer.convert_ids_to_tokens(ids))
    if name := next((name for name in control_tokens(tokenizer) if name in names), None):
        raise DataError(f"the text spells the control token {name}", hint="remove it from the text")
    return ids


def encode_text(tokenizer: PreTrainedTokenizerBase, row: Row, text: str, *, window: int) -> list[EncodedSequence]:
    """A document, between start and end tokens, as windows of at most `window` (2 or more) tokens.

    The last token of a window is the first of the next, so every token but the very first is trained exactly once. Raises
    DataError with the row's id when the tokenizer has no end token, when there is no token to train on, or when a control
    token in the text cannot be encoded as plain characters.
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
