"""SmolLM2 and MiniLM as the catalogue gives them: they load, and what they say is what such models say."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from tunesmith.models.bases.catalogue import find_entry

Folder = Callable[[str], Path]
SMOLLM2, MINILM = "smollm2-135m-instruct", "all-minilm-l6-v2"


def ask(folder: Path, question: str, *, new: int = 24) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    turns = [{"role": "user", "content": question}]
    batch = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**batch, max_new_tokens=new, do_sample=False)
    return str(tokenizer.decode(out[0, batch["input_ids"].shape[1] :]))


def test_smollm2_answers_and_ends_its_turn(base_folder: Folder) -> None:
    answer = ask(base_folder(SMOLLM2), "What is the capital of France?")
    assert "Paris" in answer and answer.endswith("<|im_end|>")


def test_smollm2_is_converted_to_the_bytes_of_the_catalogue(base_folder: Folder) -> None:
    folder = base_folder(SMOLLM2)
    for name, expected in find_entry(SMOLLM2).digests.items():
        path = folder / name
        if path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, use_safetensors=True)
    assert model.num_parameters() == find_entry(SMOLLM2).parameters
    assert getattr(model.config, "quantization_config", None) is None
    assert (model.config.rms_norm_eps, model.config.rope_parameters["rope_theta"]) == (1e-5, 100_000.0)


PUBLISHED = {
    "hello world": [28120, 905],
    "Hi there": [26843, 665],
    "Quelle est la capitale de la France ? Réponds en une phrase.": [
        *(65, 2726, 290, 1264, 2618, 47765, 1121, 367, 2618, 4649, 9148, 428, 2756, 96, 19870, 430, 16520, 8715, 30),
    ],
}
"""Ids by the publisher's tokenizer.json, as projects that use it have printed them in their own tests and pages."""

BEGINNING = [
    *(1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2)
]
USER, ASSISTANT = [198, 1, 4093, 198], [2, 198, 1, 520, 9531, 198]


def test_smollm2_reads_texts_as_its_publisher_does(base_folder: Folder) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_folder(SMOLLM2), local_files_only=True)
    for text, ids in PUBLISHED.items():
        turns = [{"role": "user", "content": text}]
        found = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert found == [*BEGINNING, *USER, *ids, *ASSISTANT]
    digits = tokenizer("order 48213 of 3 May").input_ids
    assert [tokenizer.decode(one) for one in digits if tokenizer.decode(one).strip().isdigit()] == list("482133")
    special = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    assert special == ("<|im_start|>", "<|im_end|>", "<|im_end|>", "<|endoftext|>")
    turns = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def embed(folder: Path, texts: list[str]) -> torch.Tensor:
    """Mean over the tokens, to length one, as the card of the model has it."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def test_minilm_puts_like_beside_like(base_folder: Folder) -> None:
    texts = ["My card has not arrived", "When will I get my new card?", "The cat sleeps on the warm sofa"]
    vectors = embed(base_folder(MINILM), texts)
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near > 0.6 and far < 0.2
    assert vectors.shape == (3, 384)


@pytest.mark.parametrize("name", [SMOLLM2, MINILM])
def test_the_catalogue_counts_parameters_right(base_folder: Folder, name: str) -> None:
    from safetensors import safe_open

    with safe_open(base_folder(name) / "model.safetensors", framework="pt") as weights:
        count = sum(weights.get_tensor(key).numel() for key in weights.keys())
    assert count == find_entry(name).parameters
