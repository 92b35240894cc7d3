"""How an encoder-decoder writes: what its decoder starts with, what every target begins and ends with, what is never written.

One place says what of a base's generation config is kept. Kept: tokens that may never be written (`suppress_tokens`, and the
entries of `bad_words_ids` that are one token, such as Marian's padding). Not kept, because it is tuned to what the base was
published for and would bend the answers of another task: beams, sampling, penalties, lengths, n-grams that may not come again,
the end that is forced at the longest length. Start, first and last token are not believed but read from how the tokenizer
writes a target and how the model shifts it, so that answers begin and end as what was trained does.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from tunesmith.errors import DataError, Misuse

PROBE_TEXT: Final = "One line of text."
SUPPORTED_FAMILIES_HINT: Final = "give a T5, mT5, BART, mBART, Marian, PEGASUS or M2M100"
LANGUAGE_KEYS: Final = ("src_lang", "tgt_lang")


@dataclass(frozen=True)
class TargetTokens:
    """`start` is what the decoder reads first, `first` what it must then write, if anything; `end` closes an answer."""

    start: int
    first: int | None
    end: int
    never: tuple[int, ...]

    def config(self, model: Any, *, max_new_tokens: int | None = None) -> GenerationConfig:
        """The same for transformers' `generate`: greedy, and nothing else."""
        return GenerationConfig(
            decoder_start_token_id=self.start,
            forced_bos_token_id=self.first,
            eos_token_id=self.end,
            bos_token_id=getattr(model.config, "bos_token_id", None),  # T5 has none
            pad_token_id=model.config.pad_token_id,
            suppress_tokens=list(self.never) or None,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
        )


def read_target_tokens(model: Any, tokenizer: PreTrainedTokenizerBase, *, where: str) -> TargetTokens:
    """Of transformers' model without a wrapper. Raises DataError for a base that does not say how its decoder starts or ends,
    Misuse for one whose tokenizer or family is not supported."""
    check_target_tokenizer(tokenizer, where=where)
    size = model.get_input_embeddings().weight.shape[0]
    target = target_ids(tokenizer, PROBE_TEXT)
    labels = torch.tensor([target], device=next(model.parameters()).device)
    try:
        (read,) = decoder_input_ids(model, labels).tolist()
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        hint = (
            "set decoder_start_token_id and pad_token_id in its config.json: T5 starts with pad_token_id, "
            "BART with eos_token_id"
        )
        said = f"the base does not say what its decoder starts with: {error}"
        raise DataError(said, where=f"{where}/config.json", hint=hint) from error
    if read[1:] != target[:-1]:
        said = f"a {model.config.model_type} model does not read its target shifted by one"
        raise Misuse(said, where=where, hint=SUPPORTED_FAMILIES_HINT)
    if read[0] is None or not 0 <= read[0] < size:
        hint = "set decoder_start_token_id in its config.json"
        said = f"the decoder starts with the token {read[0]}, and the embeddings have {size} rows"
        raise DataError(said, where=f"{where}/config.json", hint=hint)
    return TargetTokens(
        start=read[0],
        first=target[0] if target[0] != target_ids_without_specials(tokenizer, PROBE_TEXT)[0] else None,
        end=int(tokenizer.eos_token_id),
        never=_suppressed_tokens(model.generation_config),
    )


def check_target_tokenizer(tokenizer: PreTrainedTokenizerBase, *, where: str) -> None:
    """Raises Misuse for a tokenizer whose targets have no end, or that writes codes of languages and is not told which."""
    if tokenizer.eos_token_id is None:
        hint = "name its eos_token in tokenizer_config.json"
        raise Misuse("the tokenizer has no token that ends a text", where=where, hint=hint)
    if not target_ids_without_specials(tokenizer, PROBE_TEXT):
        hint = "give a base with the tokenizer that it was trained with"
        raise Misuse("the tokenizer leaves nothing of a line of English", where=where, hint=hint)
    if getattr(tokenizer, "fairseq_tokens_to_ids", None) is None:
        return
    for key in LANGUAGE_KEYS:
        code = tokenizer.init_kwargs.get(key)
        if code is None or tokenizer.convert_tokens_to_ids(code) in (None, tokenizer.unk_token_id):
            said = (
                f"{type(tokenizer).__name__} writes a code of the language into every text, and its {key} is {code!r}"
            )
            hint = 'name both in its tokenizer_config.json, e.g. "src_lang": "en_XX", "tgt_lang": "de_DE"'
            raise Misuse(said, where=f"{where}/tokenizer_config.json", hint=hint)


def target_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The target as the tokenizer writes one, closed by exactly one end; a special token that it spells is letters like any."""
    ids: list[int] = list(tokenizer(text_target=text, split_special_tokens=True)["input_ids"])
    return ids if tokenizer.eos_token_id in ids else [*ids, int(tokenizer.eos_token_id)]


def target_ids_without_specials(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The target without what the tokenizer writes around one."""
    made = tokenizer(text_target=text, add_special_tokens=False, split_special_tokens=True)
    ids: list[int] = list(made["input_ids"])
    return ids


def decoder_input_ids(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """[B, T]: what the decoder reads to predict `labels` [B, T] (-100: padding), made by the model's own code."""
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is not None:
        found: torch.Tensor = shift(labels=labels)
        return found
    of_family = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)
    if of_family is None:
        said = f"a {model.config.model_type} model does not say how its decoder's inputs are made"
        raise Misuse(said, where="base", hint=SUPPORTED_FAMILIES_HINT)
    found = of_family(labels, model.config.pad_token_id, model.config.decoder_start_token_id)
    return found


def _suppressed_tokens(config: GenerationConfig) -> tuple[int, ...]:
    words: Sequence[Sequence[int]] = config.bad_words_ids or ()
    alone = [word[0] for word in words if len(word) == 1]
    return tuple(sorted({*alone, *(config.suppress_tokens or ())}))
