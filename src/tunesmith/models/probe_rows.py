"""Probe rows for checks before a run: ordinary English in the model's own tokenizer, without special tokens.

Special tokens are hardly trained, and rows of them amplify rounding errors, so a check on them would fail for no reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from torch import nn
from transformers import PreTrainedTokenizerBase

from tunesmith.errors import Misuse
from tunesmith.models.loading import context_length
from tunesmith.models.logit_agreement import TokenIds

MAX_PROBE_TOKENS: Final = 1280
"""Length of the longest probe row; a longer one would take minutes on a CPU. `note` names a window that it does not fill."""

TOKENS_BEYOND_WINDOW: Final = 24
"""How far the long row exceeds the longest window that fits."""

MIN_DISTINCT_TOKENS: Final = 12
"""With fewer distinct tokens, the tokenizer does not know the characters of English; its other entries are used."""

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
    """Ordinary token ids to cut probe rows from."""

    ids: TokenIds

    long: int | None
    """Length of a row that exceeds the model's longest window that fits; None if it has no such window."""

    unreached: int | None
    """The longest window that no probe row exceeds; None if there is none."""

    def row(self, start: int, length: int) -> TokenIds:
        """`length` tokens from `start` on, continued at the beginning."""
        return tuple(self.ids[at % len(self.ids)] for at in range(start, start + length))

    def note(self) -> str:
        """What the probe rows cannot show; empty if nothing."""
        if self.unreached is None:
            return ""
        return (
            f"a window of {self.unreached:,} tokens is longer than the longest probe row ({MAX_PROBE_TOKENS:,}): "
            "it is compared with the config alone"
        )


def build_probe_tokens(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> ProbeTokens:
    """Probe tokens for a causal language model, with or without a PEFT wrapper.

    Raises Misuse if the tokenizer has no ordinary tokens.
    """
    causal: Any = model
    config, context = causal.config.get_text_config(), context_length(causal)
    windows = [window for window in _attention_windows(config) if window < context]
    room = min(MAX_PROBE_TOKENS, context)
    reached = [window for window in windows if window + TOKENS_BEYOND_WINDOW <= room]
    long = max(reached) + TOKENS_BEYOND_WINDOW if reached else None
    unreached = max((window for window in windows if window not in reached), default=None)
    embeddings = int(causal.get_input_embeddings().weight.shape[0])
    return ProbeTokens(ordinary_token_ids(tokenizer, embeddings=embeddings, count=max(256, room)), long, unreached)


def ordinary_token_ids(tokenizer: PreTrainedTokenizerBase, *, embeddings: int, count: int) -> TokenIds:
    """At least about `count` token ids of English text, none special, all below `embeddings`."""
    special = {
        *tokenizer.all_special_ids,
        *(number for number, token in tokenizer.added_tokens_decoder.items() if token.special),
    }
    ids: list[int] = []
    for text in _reordered_texts():
        encoded = tokenizer.encode(text, add_special_tokens=False)
        ids += [token for token in encoded if token not in special and token < embeddings]
        if len(ids) >= count or not ids:
            break
    if len(set(ids)) < MIN_DISTINCT_TOKENS:
        ids = [token for token in range(min(len(tokenizer), embeddings)) if token not in special]
    if len(set(ids)) < 2:
        hint = "use a base together with the tokenizer that it was trained with"
        raise Misuse("the tokenizer has no ordinary tokens to check the model with", where="base", hint=hint)
    return tuple(ids)


def _reordered_texts() -> Iterator[str]:
    """All sentences as one text, in a new order each time."""
    count = len(PROBE_SENTENCES)
    for first in range(count):
        step = (1, 3, 5, 7, 9, 11, 13, 15)[first % 8]  # coprime to the number of sentences, so each occurs once
        yield " ".join(PROBE_SENTENCES[(first + at * step) % count] for at in range(count))


def _attention_windows(config: Any) -> list[int]:
    """The windows of the model's layers in tokens, as its config names them."""
    layer_types = getattr(config, "layer_types", None) or ()
    windows = []
    window, chunk = getattr(config, "sliding_window", None), getattr(config, "attention_chunk_size", None)
    if window is not None and (not layer_types or "sliding_attention" in layer_types):
        windows.append(int(window))
    if chunk is not None and "chunked_attention" in layer_types:
        windows.append(int(chunk))
    return windows
