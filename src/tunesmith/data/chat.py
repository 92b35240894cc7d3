"""Chat layout and loss mask: one rendering for training and serving, spans by rendering twice, checked row by row."""

from dataclasses import dataclass
from functools import lru_cache

from tunesmith import process
from tunesmith.artifacts import Message, Row, message
from tunesmith.errors import DataError

process.prepare()

from transformers import PreTrainedTokenizerBase  # noqa: E402


@dataclass(frozen=True)
class Encoded:
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
    def supervised(self) -> int:
        """How many tokens are trained on; position 0 has nothing to be predicted from."""
        return sum(end - max(start, 1) for start, end in self.spans)

    @property
    def weight(self) -> float:
        """The trained tokens, each counted by its weight: what a mean loss is divided by."""
        weights = self.weights or (1.0,) * len(self.spans)
        return sum(weight * (end - max(start, 1)) for weight, (start, end) in zip(weights, self.spans, strict=True))


def render(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], *, ask: bool) -> str:
    """The text of a conversation; `ask` opens the assistant's turn.

    Raises DataError when a message spells a control token of the template: it would open or close a turn of its own.
    """
    if spelled := _spelled(tokenizer, messages):
        raise DataError(f"a message spells the control token {spelled}", hint=SPELLED)
    turns = [{"role": turn.role, "content": turn.text} for turn in messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask))


SPELLED = "take it out of the text; whoever writes it could speak in another role"


def _spelled(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...]) -> str | None:
    return next((name for name in control_tokens(tokenizer) for turn in messages if name in turn.text), None)


@lru_cache(maxsize=8)
def control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The special tokens of a tokenizer as they are spelled: turn markers, start, end, padding."""
    return tuple(sorted(token.content for token in tokenizer.added_tokens_decoder.values() if token.special))


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of rendered text; the template has written the special tokens already."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...]) -> list[int]:
    """What the model is given when it is asked to answer: the same ids in training, evaluation and serving."""
    return token_ids(tokenizer, render(tokenizer, messages, ask=True))


def with_instruction(messages: tuple[Message, ...], instruction: str | None) -> tuple[Message, ...]:
    """The conversation under the task's system message, if it has one."""
    return messages if instruction is None else (message("system", instruction), *messages)


def encode_chat(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> Encoded:
    """Ids and assistant-only spans of a conversation.

    Raises DataError with the row's id when there is no assistant turn, when the first turn is the assistant's, when a
    prompt's ids are not a prefix of the full ids, or when an assistant turn does not end in an end-of-turn token.
    """
    if not any(turn.role == "assistant" for turn in messages):
        raise _bad(row, "no assistant turn, so nothing would be trained", "the last message must be the assistant's")
    if messages[0].role == "assistant":
        raise _bad(
            row,
            "the conversation begins with the assistant",
            "put a system or user message first, or set task.instruction",
        )
    if spelled := _spelled(tokenizer, messages):
        raise _bad(row, f"a message spells the control token {spelled}", SPELLED)
    full = token_ids(tokenizer, render(tokenizer, messages, ask=False))
    spans = []
    for index, turn in enumerate(messages):
        if turn.role != "assistant":
            continue
        start_ids = prompt_ids(tokenizer, messages[:index])
        end_ids = token_ids(tokenizer, render(tokenizer, messages[: index + 1], ask=False))
        if full[: len(start_ids)] != start_ids or full[: len(end_ids)] != end_ids:
            raise _bad(
                row,
                "the prompt's tokens are not a prefix of the conversation's",
                "the chat template rewrites earlier turns",
            )
        end = _end_of_turn(tokenizer, end_ids, len(start_ids))
        if end is None:
            raise _bad(
                row, "the assistant turn does not end in an end-of-turn token", "the model would never learn to stop"
            )
        spans.append((len(start_ids), end))
    return Encoded(row_id=row.row_id, ids=tuple(full), spans=tuple(spans))


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, ids: list[int], start: int) -> int | None:
    """One past the end-of-turn token of the turn that starts at `start`; text after it (a newline) is not trained."""
    stops = stop_ids(tokenizer)
    for position in range(len(ids) - 1, start - 1, -1):
        if ids[position] in stops:
            return position + 1
    return None


@lru_cache(maxsize=8)
def stop_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a turn: the end-of-sequence token and the usual end-of-turn tokens the tokenizer knows."""
    names = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|eot|>", "<|end_of_text|>")
    known = tokenizer.get_vocab()
    found = {known[name] for name in names if name in known}
    return frozenset(found | ({tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()))


def encode_text(tokenizer: PreTrainedTokenizerBase, row: Row, text: str, *, window: int) -> list[Encoded]:
    """A document as windows of at most `window` (2 or more) tokens, document start and end marked.

    Neighbouring windows share one token, the last of one and the first of the next, so that every token but the very first
    is trained exactly once.
    """
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids = [*start, *token_ids(tokenizer, text), tokenizer.eos_token_id]
    return [
        Encoded(row.row_id, tuple(ids[first : first + window]), ((0, min(window, len(ids) - first)),), first)
        for first in range(0, len(ids) - 1, window - 1)
    ]


def _bad(row: Row, what: str, hint: str) -> DataError:
    return DataError(f"row {row.row_id}: {what}", where=f"{row.file}:{row.line}", hint=hint)
