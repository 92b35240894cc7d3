"""Which special tokens frame a target of an encoder-decoder: decoder start, forced first token, end, and suppressed tokens.

Start, first and end token are read from how the tokenizer encodes a target and how the model shifts it, not from the config, so
generated answers are framed exactly like trained targets.

Of a base's generation config only tokens that must never be generated are kept: `suppress_tokens`, and the entries of
`bad_words_ids` that are one token, such as Marian's padding. Beams, sampling, penalties, lengths, blocked n-grams and a forced
end are dropped: they were tuned for the base's own task and would distort the answers of another.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from tunesmith.errors import DataError, Misuse

PROBE_TEXT: Final = "One line of text."
SUPPORTED_FAMILIES_HINT: Final = "use a T5, mT5, BART, mBART, Marian, PEGASUS or M2M100 model as `base`"
LANGUAGE_KEYS: Final = ("src_lang", "tgt_lang")


@dataclass(frozen=True)
class TargetTokens:
    """Token ids of decoder start, forced first token (None: none) and end, and those that are never generated."""

    start: int
    first: int | None
    end: int
    suppressed: tuple[int, ...]

    def config(self, model: Any, *, max_new_tokens: int | None = None) -> GenerationConfig:
        """The same for `generate` of transformers: greedy, nothing else."""
        return GenerationConfig(
            decoder_start_token_id=self.start,
            forced_bos_token_id=self.first,
            eos_token_id=self.end,
            bos_token_id=getattr(model.config, "bos_token_id", None),  # T5 has none
            pad_token_id=model.config.pad_token_id,
            suppress_tokens=list(self.suppressed) or None,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
        )


def read_target_tokens(model: Any, tokenizer: PreTrainedTokenizerBase, *, where: str) -> TargetTokens:
    """Read the target tokens of a transformers encoder-decoder without a PEFT wrapper.

    Raises DataError if the base does not define how its decoder starts, Misuse if its tokenizer or family is not supported.
    """
    check_target_tokenizer(tokenizer, where=where)
    embeddings = model.get_input_embeddings().weight.shape[0]
    target = target_ids(tokenizer, PROBE_TEXT)
    labels = torch.tensor([target], device=next(model.parameters()).device)
    try:
        (decoder_ids,) = decoder_input_ids(model, labels).tolist()
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        hint = (
            "set decoder_start_token_id and pad_token_id in its config.json: T5 starts with pad_token_id, "
            "BART with eos_token_id"
        )
        what = f"the base does not define its decoder start token: {error}"
        raise DataError(what, where=f"{where}/config.json", hint=hint) from error
    if decoder_ids[1:] != target[:-1]:
        what = f"a {model.config.model_type} model does not shift its target by one token"
        raise Misuse(what, where=where, hint=SUPPORTED_FAMILIES_HINT)
    start = decoder_ids[0]
    if start is None or not 0 <= start < embeddings:
        hint = f"set decoder_start_token_id in its config.json to a token id below {embeddings}"
        what = f"the decoder starts with token {start}, but there are {embeddings} embeddings"
        raise DataError(what, where=f"{where}/config.json", hint=hint)
    return TargetTokens(
        start=start,
        first=target[0] if target[0] != target_ids_without_specials(tokenizer, PROBE_TEXT)[0] else None,
        end=int(tokenizer.eos_token_id),
        suppressed=_suppressed_tokens(model.generation_config),
    )


def check_target_tokenizer(tokenizer: PreTrainedTokenizerBase, *, where: str) -> None:
    """Raises Misuse for a tokenizer without an end token, or one that needs language codes and has none."""
    if tokenizer.eos_token_id is None:
        hint = "set eos_token in tokenizer_config.json"
        raise Misuse("the tokenizer has no end-of-sequence token", where=where, hint=hint)
    if not target_ids_without_specials(tokenizer, PROBE_TEXT):
        hint = "use a base together with the tokenizer that it was trained with"
        raise Misuse("the tokenizer encodes a line of English as no tokens", where=where, hint=hint)
    if getattr(tokenizer, "fairseq_tokens_to_ids", None) is None:
        return
    for key in LANGUAGE_KEYS:
        code = tokenizer.init_kwargs.get(key)
        if code is None or tokenizer.convert_tokens_to_ids(code) in (None, tokenizer.unk_token_id):
            what = f"{type(tokenizer).__name__} adds a language code to every text, but {key} is {code!r}"
            hint = 'set both in its tokenizer_config.json, e.g. "src_lang": "en_XX", "tgt_lang": "de_DE"'
            raise Misuse(what, where=f"{where}/tokenizer_config.json", hint=hint)


def target_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a target with exactly one end token. Special tokens spelled out in the text are encoded as plain text."""
    ids: list[int] = list(tokenizer(text_target=text, split_special_tokens=True)["input_ids"])
    return ids if tokenizer.eos_token_id in ids else [*ids, int(tokenizer.eos_token_id)]


def target_ids_without_specials(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a target without the tokens that the tokenizer adds."""
    encoded = tokenizer(text_target=text, add_special_tokens=False, split_special_tokens=True)
    ids: list[int] = list(encoded["input_ids"])
    return ids


def decoder_input_ids(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """What the decoder reads to predict `labels` [rows, tokens] (-100: padding), by the model's own code; same shape.

    Raises Misuse if the model has no such code.
    """
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is not None:
        shifted: torch.Tensor = shift(labels=labels)
        return shifted
    family_shift = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)
    if family_shift is None:
        what = f"a {model.config.model_type} model does not define how its decoder inputs are made"
        raise Misuse(what, where="base", hint=SUPPORTED_FAMILIES_HINT)
    shifted = family_shift(labels, model.config.pad_token_id, model.config.decoder_start_token_id)
    return shifted


def _suppressed_tokens(config: GenerationConfig) -> tuple[int, ...]:
    words: Sequence[Sequence[int]] = config.bad_words_ids or ()
    single = [word[0] for word in words if len(word) == 1]
    return tuple(sorted({*single, *(config.suppress_tokens or ())}))
