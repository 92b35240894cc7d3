"""Every decoder family: packed batches, with and without shared prefixes, have the loss and gradients of the reference."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

from tunesmith.chat.encode import EncodedSequence
from tunesmith.errors import Misuse
from tunesmith.models.packed import (
    check_packable,
    compare_shared_prefixes,
    is_last_layer_pruned,
    pack_rows,
    padded_batches,
    prune_last_layer,
    split_micro_batches,
    summed_loss,
    token_logprobs,
)
from tunesmith.models.packed.reference import reference_loss

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

CPU = torch.device("cpu")
VOCABULARY = 61
LETTERS = fixtures_models.letters(VOCABULARY)
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.08, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
ALTERNATING = ["sliding_attention", "full_attention"]
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"use_sliding_window": True, "sliding_window": 5, "layer_types": ALTERNATING},
    "qwen3": {"head_dim": 16},
    "mistral": {"sliding_window": 6},
    "gemma2": {"head_dim": 16, "sliding_window": 5, "attn_logit_softcapping": 2.0,
               "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 10},
    "gemma3_text": {"head_dim": 16, "sliding_window": 5, "layer_types": ALTERNATING, "query_pre_attn_scalar": 10},
    "phi": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "partial_rotary_factor": 0.5},
    "phi3": {"sliding_window": 7, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
    "smollm3": {"no_rope_layers": [1, 0]},
    "olmo2": {},
    "granite": {"logits_scaling": 4.0, "attention_multiplier": 0.3,
                "residual_multiplier": 0.7, "embedding_multiplier": 3.0},
    "cohere": {"logit_scale": 0.25},
    "mixtral": {"sliding_window": 6, "num_local_experts": 4, "num_experts_per_tok": 2, "initializer_range": 0.05},
}  # fmt: skip
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "stablelm": ({"hidden_dropout": 0.0}, "a stablelm model cannot be packed exactly"),
    "gpt_oss": ({"num_local_experts": 4, "head_dim": 16}, "a gpt_oss model cannot be packed exactly"),
    "mixtral": ({"output_router_logits": True}, "asks for an auxiliary loss of its routers"),
    "qwen2_moe": (
        {"use_sliding_window": True, "sliding_window": 20, "num_experts": 4, "layer_types": ["sliding_attention"] * 2},
        "declares a window of 20 tokens, but passes None to its attention",
    ),
    "falcon_h1": ({}, "rows of a falcon_h1 model influence each other"),
    "mamba": ({}, "rows of a mamba model influence each other"),
    "qwen3_next": (
        {"layer_types": ["linear_attention", "full_attention"]},
        "rows of a qwen3_next model influence each other",
    ),
}


DTYPES = {"mixtral": torch.float32}
"""Its experts run on a kernel without fp64."""


def build(family: str) -> PreTrainedModel:
    """A tiny random model of the family in fp64, so that only a different computation can differ."""
    torch.manual_seed(3)
    config = CONFIG_MAPPING[family](**{**SMALL, **FAMILIES[family]})
    return AutoModelForCausalLM.from_config(config, dtype=DTYPES.get(family, torch.float64)).eval()


def build_any(family: str, options: dict[str, Any]) -> PreTrainedModel:
    torch.manual_seed(3)
    config = CONFIG_MAPPING[family](**{**SMALL, **options})
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("family", REFUSED)
def test_an_unsupported_family_is_refused_by_name(family: str) -> None:
    options, what = REFUSED[family]
    with pytest.raises(Misuse, match=what):
        check_packable(build_any(family, options), LETTERS)


def rows() -> list[EncodedSequence]:
    """Three levels of sharing, a duplicate, a prefix that ends inside an answer, and a row that shares nothing."""
    generator = torch.Generator().manual_seed(5)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, VOCABULARY, (count,), generator=generator).tolist())

    system, other = draw(9), draw(11)
    document = system + draw(6)
    made = [EncodedSequence(f"a{n}", system + draw(4 + n), ((10, 12 + n),)) for n in range(3)]
    made += [EncodedSequence(f"b{n}", document + draw(3 + n), ((14, 17), (17, 18 + n))) for n in range(3)]
    made += [
        EncodedSequence("twice", made[0].ids, made[0].spans),
        EncodedSequence("long", made[3].ids + draw(4), ((12, 22),)),
    ]
    return [
        *made,
        EncodedSequence("alone", other, ((0, 11),)),
        EncodedSequence("weighed", document + draw(2), ((15, 17),), weights=(0.5,)),
    ]


def gradients_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    return gradients


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("share", "size", "cut"), [(False, 500, True), (True, 500, False), (True, 500, True), (True, 40, True)]
)
def test_loss_and_gradients_equal_the_reference(
    family: str, share: bool, size: int, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(padded_batches, "MIN_SAVED_COPIES", 4)
    model, data = build(family), rows()
    expected, expected_gradients = reference_loss(model, data)
    assert not cut or prune_last_layer(model)
    total = 0.0
    for group in split_micro_batches(data, size, share=share):
        loss = summed_loss(model, pack_rows(group, CPU, share=share))
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(expected, rel=1e-6)
    gradients = gradients_of(model)
    assert gradients.keys() == expected_gradients.keys()
    for name, value in gradients.items():
        truth = expected_gradients[name]
        assert (value - truth).norm() <= 1e-6 * truth.norm(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes_the_check(family: str) -> None:
    model = build(family).float()
    check_packable(model, LETTERS)
    assert compare_shared_prefixes(model, LETTERS).agrees
    assert is_last_layer_pruned(model)


def test_logprobs_come_in_the_order_of_the_rows() -> None:
    model, data = build("llama"), rows()
    apart = torch.cat([token_logprobs(model, pack_rows([row], CPU)) for row in data])
    assert torch.allclose(token_logprobs(model, pack_rows(data, CPU, share=True)), apart, rtol=0, atol=1e-12)
