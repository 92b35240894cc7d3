"""The tensors that Muon updates, over many model families: never an embedding, head, norm or bias, whatever their names."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.pytorch_utils import Conv1D

from tunesmith.context import Context
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import Muon, build_optimizer, describe_optimizer
from tunesmith.train.optimizers.tensor_kinds import classify_tensors

VOCABULARY, POSITIONS, LABELS = 61, 47, 3
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": POSITIONS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
BART = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_start_token_id": 2}  # fmt: skip
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 40, "num_layers": 1, "num_heads": 4, "decoder_start_token_id": 0}
CAUSAL, SEQ2SEQ = AutoModelForCausalLM, AutoModelForSeq2SeqLM
CLASSES, TAGS = AutoModelForSequenceClassification, AutoModelForTokenClassification
FAMILIES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "llama": (CAUSAL, "llama", {}),
    "llama, tied": (CAUSAL, "llama", {"tie_word_embeddings": True}),
    "qwen3": (CAUSAL, "qwen3", {"head_dim": 16}),
    "gemma3": (CAUSAL, "gemma3_text", {"head_dim": 16}),
    "gpt2": (CAUSAL, "gpt2", GPT2),
    "gpt2, own head": (CAUSAL, "gpt2", {**GPT2, "tie_word_embeddings": False}),
    "opt": (CAUSAL, "opt", {"ffn_dim": 40, "word_embed_proj_dim": 16}),
    "gpt_neox": (CAUSAL, "gpt_neox", {}),
    "bloom": (CAUSAL, "bloom", {"n_layer": 2, "n_head": 4}),
    "phi": (CAUSAL, "phi", {}),
    "mixtral": (CAUSAL, "mixtral", {"num_local_experts": 4}),
    "bart": (SEQ2SEQ, "bart", BART),
    "t5": (SEQ2SEQ, "t5", T5),
    "t5, own head": (SEQ2SEQ, "t5", {**T5, "tie_word_embeddings": False}),
    "bert, classes": (CLASSES, "bert", {"num_labels": LABELS}),
    "roberta, classes": (CLASSES, "roberta", {"num_labels": LABELS}),
    "distilbert, classes": (CLASSES, "distilbert", {"dim": 32, "hidden_dim": 40, "n_layers": 2, "n_heads": 4}),
    "modernbert, tags": (TAGS, "modernbert", {"num_labels": LABELS, "cls_token_id": 1, "sep_token_id": 2}),
    "llama, classes": (CLASSES, "llama", {"num_labels": LABELS}),
}  # fmt: skip


def build(family: str) -> Any:
    make, kind, options = FAMILIES[family]
    torch.manual_seed(3)
    return make.from_config(CONFIG_MAPPING[kind](**{**SMALL, **options}))


def muon(**options: Any) -> TrainSettings:
    return TrainSettings(rows_per_step=1, optimizer="muon", **options)


def taken_by_muon(model: nn.Module, settings: TrainSettings) -> dict[str, torch.Tensor]:
    """By the optimiser itself."""
    names = {id(value): name for name, value in model.named_parameters()}
    parts = [part for part, _ in build_optimizer(model, settings).parts if isinstance(part, Muon)]
    return {names[id(value)]: value for part in parts for group in part.param_groups for value in group["params"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_muon_updates_hidden_matrices_only(family: str) -> None:
    """The outside truth are the sizes: no hidden matrix of these configs is as long as vocabulary, positions or labels."""
    model = build(family).requires_grad_(True)
    muon_tensors = taken_by_muon(model, muon())
    assert muon_tensors
    for name, value in muon_tensors.items():
        assert value.ndim == 2, name
        assert not {VOCABULARY, POSITIONS, POSITIONS + 2, LABELS} & set(value.shape), name
        assert "norm" not in name and "bias" not in name, name
    tables = [layer.weight for layer in model.modules() if isinstance(layer, nn.Embedding)]
    assert tables
    assert not {id(table) for table in tables} & {id(value) for value in muon_tensors.values()}
    linear = (nn.Linear, Conv1D)
    inner = [m.weight for m in model.base_model.modules() if isinstance(m, linear) and VOCABULARY not in m.weight.shape]
    assert {id(value) for value in muon_tensors.values()} == {id(value) for value in inner}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_has_exactly_one_optimizer(family: str) -> None:
    model = build(family).requires_grad_(True)
    parts = build_optimizer(model, muon()).parts
    optimizer_ids = [id(value) for part, _ in parts for group in part.param_groups for value in group["params"]]
    assert sorted(optimizer_ids) == sorted(id(value) for value in model.parameters())


def test_gpt2_embeddings_and_transposed_matrices() -> None:
    kinds = {one.name: one for one in classify_tensors(build("gpt2").requires_grad_(True))}
    assert kinds["transformer.wte.weight"].kind == kinds["transformer.wpe.weight"].kind == "embedding"
    matrix = kinds["transformer.h.0.mlp.c_fc.weight"]
    assert (matrix.kind, matrix.transposed, tuple(matrix.value.shape)) == ("hidden", True, (32, 128))
    assert kinds["transformer.ln_f.weight"].kind == "other"
    apart = {one.name: one.kind for one in classify_tensors(build("gpt2, own head").requires_grad_(True))}
    assert apart["lm_head.weight"] == "head"


@pytest.mark.parametrize(
    ("targets", "kinds"),
    [
        ((), {"hidden"}),
        (("q_proj", "embed_tokens"), {"hidden", "embedding"}),
        (("q_proj", "lm_head"), {"hidden", "head"}),
    ],
)
def test_adapters_have_the_kind_of_their_layer(targets: tuple[str, ...], kinds: set[str], context: Context) -> None:
    settings = muon(method="lora", rank=2, target_modules=targets)
    model = prepare_model(build("llama"), settings, context)
    kind_by_name = {one.name: one.kind for one in classify_tensors(model)}
    assert set(kind_by_name.values()) == kinds
    for name, kind in kind_by_name.items():
        assert kind == ("embedding" if "embed_tokens" in name else "head" if "lm_head" in name else "hidden"), name


@pytest.mark.parametrize(("family", "kinds"), [("llama", {"embedding", "head"}), ("llama, tied", {"embedding"})])
def test_rows_of_added_tokens_are_embeddings(family: str, kinds: set[str], context: Context) -> None:
    settings = muon(method="lora", rank=2, add_tokens=("<a>",))
    model = prepare_model(build(family), settings, context, added=[VOCABULARY - 1])
    row_kinds = {one.kind for one in classify_tensors(model) if "trainable_tokens" in one.name}
    assert row_kinds == kinds
    assert not [name for name in taken_by_muon(model, settings) if "trainable_tokens" in name]


def test_a_transposed_matrix_is_updated_like_its_transpose() -> None:
    torch.manual_seed(0)
    start, grad = torch.randn(5, 20), torch.randn(5, 20)
    usual, turned = nn.Parameter(start.T.contiguous().clone()), nn.Parameter(start.clone())
    usual.grad, turned.grad = grad.T.contiguous(), grad.clone()
    Muon([usual], lr=0.1, weight_decay=0.5).step()
    Muon([], transposed=[turned], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(usual.T, turned, atol=1e-6)
    assert float((turned.detach() - start * 0.95).norm()) == pytest.approx(0.1 * 2.0 * 5**0.5, rel=0.3)


def test_the_run_says_which_optimizer_updates_what() -> None:
    model = build("gpt2").requires_grad_(True)
    tokens = VOCABULARY * 32 + POSITIONS * 32
    assert describe_optimizer(model, muon()) == (
        "optimizer: Muon updates hidden matrices (8 tensors, 24,576 parameters); AdamW updates"
        f" embeddings (2 tensors, {tokens:,} parameters), norms, biases and others (18 tensors, 896 parameters)"
    )
    assert describe_optimizer(model, TrainSettings(rows_per_step=1)) == ""


def test_muon_is_left_out_without_hidden_matrices() -> None:
    model = build("llama").requires_grad_(False)
    model.get_input_embeddings().weight.requires_grad_(True)
    assert [type(part) for part, _ in build_optimizer(model, muon()).parts] == [torch.optim.AdamW]
