"""A tiny random Llama with a small tokenizer and a chat template, as a folder; a tokenizer of letters. Loaded by path."""

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tunesmith.models.bases.new_tokenizer import train_tokenizer

TEXTS = (
    "Where is my order? It should have been here on Tuesday, and nobody answers the phone.",
    "The kettle leaks. I would like my money back, or a new kettle by Friday.",
    "card arrival, card not working, exchange rate, lost or stolen card, pending transfer",
    "You are the clerk of a small shop. Name the queue of the message.",
)


def make_folder(folder: Path, *, seed: int = 5, context: int = 256, scale: float = 8.0) -> Path:
    """Write config, safetensors, tokenizer and template. `scale` widens the logits, so that greedy choices are clear."""
    tokenizer = train_tokenizer(TEXTS, 400, positions=context)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(scale / 8.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def letters(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters with at most `vocabulary` entries, of which 0, 1 and 2 are padding, start and end."""
    known = "".join(dict.fromkeys(" etaoinshrdlucmfwypvbgkjqxz.,;:TMAFOWSLHCNI0123456789" + string.ascii_letters))
    entries = {name: at for at, name in enumerate(("<pad>", "<s>", "</s>", *known)) if at < vocabulary}
    words = Tokenizer(models.WordLevel(entries, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
