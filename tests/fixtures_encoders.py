"""Tiny random encoders and encoder-decoders of several families, as folders. Loaded by path from the conftest files."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)

TEXTS = (
    "Where is my order? It should have been here on Tuesday, and nobody answers the phone.",
    "The kettle leaks. I would like my money back, or a new kettle by Friday.",
    "card arrival, card not working, exchange rate, lost or stolen card, pending transfer",
    "Anna Berg of Acme in Oslo wrote to Erik Lund in Paris.",
)
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 258,
    "initializer_range": 0.3,
}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL,
    "electra": {**SMALL, "embedding_size": 16},
    "deberta-v2": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "pooler_hidden_size": 32},
    "modernbert": {**SMALL, "local_attention": 8, "global_attn_every_n_layers": 2, "reference_compile": False},
    "distilbert": {
        "dim": 32,
        "hidden_dim": 48,
        "n_layers": 2,
        "n_heads": 4,
        "max_position_embeddings": 258,
        "initializer_range": 0.3,
    },
}
NO_MASK: dict[str, dict[str, Any]] = {"convbert": {**SMALL, "embedding_size": 32}}
"""Families whose layers look at the padding beside a row; they are refused."""

T5: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "initializer_factor": 1.0}
BART: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 258,
    "init_std": 0.1,
}
SEQ2SEQ: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("t5", T5),
    "t5-gated": ("t5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("mt5", {**T5, "tie_word_embeddings": False}),
    **{name: (name, BART) for name in ("bart", "mbart", "marian", "pegasus", "m2m_100")},
}
"""By name the model type of transformers and its shape."""


def make_tokenizer(*, opens: bool = True) -> PreTrainedTokenizerFast:
    """Lower-cased WordPiece with `[CLS]` and `[SEP]` around a text, or `[SEP]` alone behind it."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]" if opens else "$A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        eos_token="[SEP]",
        bos_token="[CLS]",
        model_max_length=256,
    )


def make_encoder(folder: Path, family: str = "bert", *, seed: int = 3) -> Path:
    """Config, weights under a masked-language-model head, tokenizer."""
    return _make(folder, family, {**ENCODERS, **NO_MASK}[family], AutoModelForMaskedLM, seed)


def make_seq2seq(folder: Path, family: str = "t5", *, seed: int = 3) -> Path:
    """Config, weights, tokenizer, which puts `[CLS]` and `[SEP]` around targets too, or with T5 `[SEP]` behind them."""
    kind, shape = SEQ2SEQ[family]
    return _make(folder, kind, {**shape, "decoder_start_token_id": 0}, AutoModelForSeq2SeqLM, seed)


def _make(folder: Path, family: str, shape: dict[str, Any], kind: Any, seed: int) -> Path:
    tokenizer = make_tokenizer(opens="t5" not in family)
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **ids, **shape)
    torch.manual_seed(seed)
    kind.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
