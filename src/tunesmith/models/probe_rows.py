"""Rows that a model is tried on before a run: ordinary English in its own tokenizer.

A special token is hardly trained, and what a model makes of a row of them amplifies every rounding: such rows would accuse the
model of what is only noise. So none stands in a probe row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import nn
from transformers import PreTrainedTokenizerBase

from tunesmith.errors import Misuse
from tunesmith.models.loading import context_length

TokenIds = tuple[int, ...]

MAX_PROBE_TOKENS: Final = 1280
"""Tokens of the longest probe row. A longer one would take minutes on a CPU; a window that it does not fill is said."""

TOKENS_BEYOND_WINDOW: Final = 24
"""Tokens that the long row goes beyond the longest window."""

MIN_DISTINCT_TOKENS: Final = 12
"""Fewer different tokens than this in the text: the tokenizer does not know its characters, and its other entries are used."""

PROBE_SENTENCES: Final = (
    "The bakery on Mill Lane opens at six and has sold its last loaf before noon.",
    "Most people come for the rye bread, which keeps for a week in a linen bag.",
    "On Fridays there are plum cakes, and the line reaches down to the bridge.",
    "Flour comes by train, salt from the harbour, and the eggs from a farm behind the church.",
    "When it rains, customers wait inside and talk about the price of wood.",
    "Anna, who kneads the dough, counts in a low voice and never looks at the clock.",
    "She has baked here for 27 years; her brother drives the van to 14 villages.",
    "Last winter the oven broke twice, and a smith from the next valley mended it for 380 euros.",
    "He asked for no money at first, only for bread, but a bill is a bill.",
    "What is left in the evening goes to the school, where somebody is always hungry.",
    "Could you bring two loaves and a dozen rolls on Saturday, please?",
    "The new apprentice writes every order into a blue book: name, number, day and hour.",
    "If a page is full, he tears it out and pins it to the wall above the scales.",
    "Nobody knows who painted the sign, though it shows a fox with a basket of apples.",
    "In spring the river rises, and the cellar has to be emptied within an hour.",
    "Then everyone carries sacks, even the teacher, and nothing is baked until Monday.",
)


@dataclass(frozen=True)
class ProbeTokens:
    """`ids` are ordinary tokens to cut rows from, as many as the longest row needs; `long` is that row's length, if any.

    `unreached` is the longest window of the model's attention that no row can go beyond, None when there is none.
    """

    ids: TokenIds
    long: int | None
    unreached: int | None

    def row(self, start: int, length: int) -> TokenIds:
        """`length` tokens from `start` on, from the beginning again at the end."""
        return tuple(self.ids[at % len(self.ids)] for at in range(start, start + length))

    def note(self) -> str:
        """What the rows cannot show, or nothing."""
        if self.unreached is None:
            return ""
        return (
            f"a window of {self.unreached:,} tokens is longer than the longest probe row ({MAX_PROBE_TOKENS:,}): "
            "it is compared with the config alone"
        )


def build_probe_tokens(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> ProbeTokens:
    """Tokens for probe rows of a causal LM (or PEFT's wrapper). Raises Misuse for a tokenizer with no ordinary tokens."""
    inner: Any = model
    config, context = inner.config.get_text_config(), context_length(inner)
    windows = [window for window in _attention_windows(config) if window < context]
    room = min(MAX_PROBE_TOKENS, context)
    reached = [window for window in windows if window + TOKENS_BEYOND_WINDOW <= room]
    long = max(reached) + TOKENS_BEYOND_WINDOW if reached else None
    unreached = max((window for window in windows if window not in reached), default=None)
    ids = ordinary_token_ids(
        tokenizer, embeddings=int(inner.get_input_embeddings().weight.shape[0]), count=max(256, room)
    )
    return ProbeTokens(ids, long, unreached)


def ordinary_token_ids(tokenizer: PreTrainedTokenizerBase, *, embeddings: int, count: int) -> TokenIds:
    """About `count` tokens of English text or more, none of them special, all below `embeddings`."""
    special = {*tokenizer.all_special_ids, *(at for at, one in tokenizer.added_tokens_decoder.items() if one.special)}
    found: list[int] = []
    for text in _reordered_texts():
        found += [
            one for one in _encode_without_special_tokens(tokenizer, text) if one not in special and one < embeddings
        ]
        if len(found) >= count or not found:
            break
    if len(set(found)) < MIN_DISTINCT_TOKENS:
        found = [at for at in range(min(len(tokenizer), embeddings)) if at not in special]
    if len(set(found)) < 2:
        hint = "give a base with the tokenizer that it was trained with"
        raise Misuse("the tokenizer has no ordinary tokens to try the model with", where="base", hint=hint)
    return tuple(found)


def _reordered_texts() -> Iterator[str]:
    """The sentences in one order after another."""
    for turn in range(len(PROBE_SENTENCES)):
        step = (1, 3, 5, 7, 9, 11, 13, 15)[turn % 8]
        yield " ".join(PROBE_SENTENCES[(turn + at * step) % len(PROBE_SENTENCES)] for at in range(len(PROBE_SENTENCES)))


def _encode_without_special_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> Sequence[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _attention_windows(config: Any) -> list[int]:
    """The windows of a family's layers, in tokens, as its config names them."""
    kinds = getattr(config, "layer_types", None) or ()
    found = []
    window, chunk = getattr(config, "sliding_window", None), getattr(config, "attention_chunk_size", None)
    if window is not None and (not kinds or "sliding_attention" in kinds):
        found.append(int(window))
    if chunk is not None and "chunked_attention" in kinds:
        found.append(int(chunk))
    return found
