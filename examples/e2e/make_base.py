"""Make a small T5 with random weights, and a tokenizer from the training rows: python make_base.py E2E-FOLDER [FOLDER].

It knows nothing: the recipe beside it shows the way from rows to a release, not how well a tuned T5 does.
"""

import csv
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

SEED = 7
PAD, END = "<pad>", "</s>"


def main(data: Path, folder: Path) -> None:
    """Config, weights and tokenizer; the same rows and seed give the same files."""
    tokenizer = make_tokenizer(data / "devset.csv.gz")
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    torch.manual_seed(SEED)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"a T5 with random weights lies in {folder}")


def make_tokenizer(rows: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 1,000 tokens, which writes the end behind every text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(texts_of(rows), trainer)
    made.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=END, model_max_length=512)


def texts_of(rows: Path) -> Iterator[str]:
    """Sources and targets."""
    with gzip.open(rows, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield from (row["mr"], row["ref"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "base")
