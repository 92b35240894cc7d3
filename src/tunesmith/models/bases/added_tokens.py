"""Tokens that a base's tokenizer lacks, and tokens that its embeddings lack: added with rows of their own, or refused."""

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
NOT_TEXT_HINT: Final = "give a model that reads text"
MAX_LISTED_TOKENS: Final = 8
"""Tokens without a row that an error names."""


def add_tokens(folder: Path, names: Sequence[str], target: Path, *, seed: int) -> None:
    """Write into `target` the tokenizer of a base with special tokens added, and where they are more than its embeddings have
    rows, the model with more: embeddings and head, tied or not.

    New rows are drawn as transformers' `resize_token_embeddings` draws them, around the mean of the old ones (Hewitt 2021,
    "Initializing New Word Embeddings for Pretrained Language Models"), from `seed` and on one thread: the same bytes each
    time. Rows that the embeddings have in reserve stay as they are. Raises RecipeError for a token that is there already, and
    for a base that is no decoder.
    """
    if architecture_of(folder) != "decoder":
        raise RecipeError("tokens are added to decoders alone", where=ADD_TOKENS_KEY, hint="leave the key out")
    tokenizer, rows = open_tokenizer(folder), embedding_rows(folder)
    known = tokenizer.get_vocab()
    for name in names:
        if known.get(name, rows) < rows:
            raise RecipeError(
                f"the base has the token {name!r}, with id {known[name]}", where=ADD_TOKENS_KEY, hint="take it out"
            )
    made = [AddedToken(name, special=True, normalized=False) for name in names if name not in known]
    tokenizer.add_tokens(made, special_tokens=True)
    tokenizer.save_pretrained(target)
    wanted = 1 + max(tokenizer.get_vocab().values())
    if wanted <= rows:
        return
    check_config(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype="auto", trust_remote_code=False, local_files_only=True, use_safetensors=True
    )
    with _seeded_initialization(seed):
        model.resize_token_embeddings(wanted)
    model.save_pretrained(target)


@contextmanager
def _seeded_initialization(seed: int) -> Iterator[None]:
    """Random numbers of this seed and sums of one order within; both are as they were behind it."""
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
    """Raises RecipeError, with figures, when a decoder's tokenizer has tokens in use that its embeddings have no row for.

    Special tokens beyond the rows are no use where nobody writes them (Gemma 3's mark for images in its text models);
    `written` are those that the chat template or the ends of texts write.
    """
    ids, special = _vocabulary(folder)
    rows = embedding_rows(folder)
    beyond = sorted((number, name) for name, number in ids.items() if number >= rows)
    bad = [(number, name) for number, name in beyond if name not in special or name in written]
    if not bad or architecture_of(folder) != "decoder":
        return
    listed = ", ".join(json.dumps(name, ensure_ascii=False) for _, name in bad[:MAX_LISTED_TOKENS]) + (
        ", ..." if len(bad) > MAX_LISTED_TOKENS else ""
    )
    number, name = bad[0]
    said = f"the tokenizer has ids up to {beyond[-1][0]:,}, and the embeddings have {rows:,} rows: "
    raise RecipeError(
        f"{said}{len(bad):,} {'token has' if len(bad) == 1 else 'tokens have'} none, the first is {name!r} with id {number:,}",
        where="base",
        hint=f"`train: {{add_tokens: [{listed}]}}` gives them rows and trains these; or take the base's own tokenizer",
    )


def has_tokens_without_rows(folder: Path) -> bool:
    """Whether some token of the tokenizer, of whatever kind, has no row in the embeddings."""
    ids, _ = _vocabulary(folder)
    return max(ids.values(), default=0) >= embedding_rows(folder)


def text_boundary_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The tokens that begin and end every text."""
    return tuple(name for name in (tokenizer.bos_token, tokenizer.eos_token) if name)


@lru_cache(maxsize=16)
def embedding_rows(folder: Path) -> int:
    """Rows of the embeddings, by the config, which the weights must fit to be loaded. Raises DataError when it names none."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if not isinstance(rows, int):
        raise DataError("the config names no vocab_size", where=str(folder / "config.json"), hint=NOT_TEXT_HINT)
    return rows


@lru_cache(maxsize=4)
def _vocabulary(folder: Path) -> tuple[dict[str, int], frozenset[str]]:
    """Ids by token, and which tokens are special; read from tokenizer.json, which is quicker than the tokenizer.

    Raises DataError when the file is no tokenizer.
    """
    path = folder / "tokenizer.json"
    try:
        made = json.loads(path.read_bytes())
        vocabulary = made["model"].get("vocab", {})
        ids = vocabulary if isinstance(vocabulary, dict) else {entry[0]: at for at, entry in enumerate(vocabulary)}
        added = made.get("added_tokens", [])
        special = frozenset(token["content"] for token in added if token["special"])
        return {**ids, **{token["content"]: token["id"] for token in added}}, special
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        hint = "save the tokenizer again in its fast form"
        raise DataError(f"not a tokenizer: {type(error).__name__}: {error}", where=str(path), hint=hint) from error
