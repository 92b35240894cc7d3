"""Special tokens added to a base, and the check that every token in use has a row in the embeddings."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import AddedToken
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from tunesmith.errors import DataError, RecipeError
from tunesmith.models.architecture import architecture_of
from tunesmith.models.loading import check_config, open_tokenizer

ADD_TOKENS_KEY: Final = "train.add_tokens"
NOT_TEXT_HINT: Final = "choose a text model as base"
MAX_LISTED_TOKENS: Final = 8
"""Tokens listed in the message of one error."""


def add_tokens(folder: Path, names: Sequence[str], target: Path, *, seed: int) -> None:
    """Write the tokenizer of a base with added special tokens into `target`, and the model if its embeddings need more rows.

    Embeddings and head are resized, tied or not. New rows are initialized as by transformers' `resize_token_embeddings`, around
    the mean of the old ones (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models"), from `seed` and
    on one thread, so the bytes are the same each time. Unused rows of the embeddings keep their values. Raises RecipeError for
    a token that already exists, and for a base that is not a decoder.
    """
    if architecture_of(folder) != "decoder":
        raise RecipeError("tokens can be added only to a decoder", where=ADD_TOKENS_KEY, hint="remove the key")
    tokenizer, rows = open_tokenizer(folder), embedding_rows(folder)
    vocabulary = tokenizer.get_vocab()
    for name in names:
        if vocabulary.get(name, rows) < rows:
            raise RecipeError(
                f"the base already has the token {name!r} (id {vocabulary[name]})",
                where=ADD_TOKENS_KEY,
                hint="remove it from the list",
            )
    added = [AddedToken(name, special=True, normalized=False) for name in names if name not in vocabulary]
    tokenizer.add_tokens(added, special_tokens=True)
    tokenizer.save_pretrained(target)
    needed = 1 + max(tokenizer.get_vocab().values())
    if needed <= rows:
        return
    check_config(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype="auto", trust_remote_code=False, local_files_only=True, use_safetensors=True
    )
    with _seeded_initialization(seed):
        model.resize_token_embeddings(needed)
    model.save_pretrained(target)


@contextmanager
def _seeded_initialization(seed: int) -> Iterator[None]:
    """Seeded random numbers and one thread inside the block; both are restored afterwards."""
    before = torch.get_num_threads()
    digest = hashlib.sha256(f"add-tokens/{seed}".encode()).digest()
    try:
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            yield
    finally:
        torch.set_num_threads(before)


def check_embedding_rows(folder: Path, written: Sequence[str] = ()) -> None:
    """Raises RecipeError, with figures, if a decoder's tokenizer has tokens in use that have no row in the embeddings.

    A special token without a row is harmless if nothing writes it, such as the image token in Gemma 3's text models. `written`
    are the tokens that the chat template writes, and those that begin and end texts.
    """
    ids, special = _vocabulary(folder)
    rows = embedding_rows(folder)
    beyond = sorted((number, name) for name, number in ids.items() if number >= rows)
    missing = [(number, name) for number, name in beyond if name not in special or name in written]
    if not missing or architecture_of(folder) != "decoder":
        return
    listed = ", ".join(json.dumps(name, ensure_ascii=False) for _, name in missing[:MAX_LISTED_TOKENS]) + (
        ", ..." if len(missing) > MAX_LISTED_TOKENS else ""
    )
    number, name = missing[0]
    sizes = f"the tokenizer has ids up to {beyond[-1][0]:,}, but the embeddings have {rows:,} rows: "
    raise RecipeError(
        f"{sizes}{len(missing):,} {'token has' if len(missing) == 1 else 'tokens have'} no row, the first is {name!r} "
        f"with id {number:,}",
        where="base",
        hint=f"`train: {{add_tokens: [{listed}]}}` adds rows and trains them; or use the base's original tokenizer",
    )


def has_tokens_without_rows(folder: Path) -> bool:
    """Whether any token of the tokenizer has no row in the embeddings."""
    ids, _ = _vocabulary(folder)
    return max(ids.values(), default=0) >= embedding_rows(folder)


def text_boundary_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The tokenizer's begin and end tokens, as far as it has them."""
    return tuple(name for name in (tokenizer.bos_token, tokenizer.eos_token) if name)


@lru_cache(maxsize=16)
def embedding_rows(folder: Path) -> int:
    """Rows of the embeddings according to the config. Raises DataError if it has no `vocab_size`."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if not isinstance(rows, int):
        raise DataError("the config has no vocab_size", where=str(folder / "config.json"), hint=NOT_TEXT_HINT)
    return rows


@lru_cache(maxsize=4)
def _vocabulary(folder: Path) -> tuple[dict[str, int], frozenset[str]]:
    """{token: id}, and the special tokens. Read from tokenizer.json, which is faster than loading the tokenizer.

    Raises DataError if the file is not a tokenizer.
    """
    path = folder / "tokenizer.json"
    try:
        tokenizer_json = json.loads(path.read_bytes())
        vocabulary = tokenizer_json["model"].get("vocab", {})
        ids = vocabulary if isinstance(vocabulary, dict) else {entry[0]: at for at, entry in enumerate(vocabulary)}
        added = tokenizer_json.get("added_tokens", [])
        special = frozenset(token["content"] for token in added if token["special"])
        return {**ids, **{token["content"]: token["id"] for token in added}}, special
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        hint = "save the tokenizer again with `save_pretrained`, in its fast form"
        raise DataError(f"not a tokenizer: {type(error).__name__}: {error}", where=str(path), hint=hint) from error
