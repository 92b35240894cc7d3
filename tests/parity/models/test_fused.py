"""Joined products against transformers' own `generate` and forward (5.23) and PEFT's adapters (0.21)."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from tunesmith.errors import Misuse
from tunesmith.models.backends import attention, fused, greedy, kv_cache
from tunesmith.models.backends.engine import Engine
from tunesmith.models.backends.fused import fused_trunk
from tunesmith.models.backends.local import open_local
from tunesmith.models.backends.self_check import check_exact
from tunesmith.models.packed import unwrap_peft

SPEC = spec_from_file_location("generated_families", Path(__file__).with_name("test_families_generate.py"))
families = module_from_spec(SPEC)
SPEC.loader.exec_module(families)

trained = families.trained
SHAPES = {
    "llama": {},
    "llama-biases": {"attention_bias": True, "mlp_bias": True, "head_dim": 16},
    "mistral": {"sliding_window": 6},
    "qwen2": trained.FAMILIES["qwen2"],
    "qwen3": {"head_dim": 16, "use_sliding_window": True, "sliding_window": 5, "layer_types": trained.ALTERNATING},
    "llama-scaled-positions": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 100.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    },
}
ADAPTERS = {
    "none": None,
    "all": {"r": 4, "lora_alpha": 6, "target_modules": "all-linear"},
    "some": {"r": 3, "lora_alpha": 7, "target_modules": ["k_proj", "up_proj", "down_proj"]},
    "ranks": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": "all-linear",
        "rank_pattern": {"q_proj": 2, "down_proj": 1},
        "alpha_pattern": {"gate_proj": 3},
    },
}
OTHERS = {
    "dora": {"r": 4, "use_dora": True, "target_modules": "all-linear"},
    "bias": {"r": 4, "lora_bias": True, "target_modules": "all-linear"},
}
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def build(shape, adapter=None):
    """A tiny random model in fp32, its logits widened; its adapter, if any, drawn too."""
    torch.manual_seed(3)
    config = CONFIG_MAPPING[shape.split("-")[0]](
        **{**trained.SMALL, "rms_norm_eps": 1e-5, **SHAPES[shape], "initializer_range": 0.25}
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, 0.2)
    if adapter is None:
        return model
    wrapped = get_peft_model(model, LoraConfig(**adapter, init_lora_weights=False, task_type="CAUSAL_LM")).eval()
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_" in name:
                value.normal_(0, 0.2)
    return wrapped


def own_answers(model, prompts):
    """What transformers or PEFT writes behind every prompt, one at a time, by eager attention."""
    unwrap_peft(model).set_attn_implementation("eager")
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        options = {"do_sample": False, "max_new_tokens": 12, "eos_token_id": families.END, "pad_token_id": 0}
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        found.append(families.before({families.END}, out[0, len(prompt) :].tolist()))
    return found


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_equals_generate_token_for_token(shape, adapter, monkeypatch):
    monkeypatch.setattr(attention, "MAX_SCORES_IN_MEMORY", 1)
    model = build(shape, ADAPTERS[adapter])
    asked = [families.prompts_of([25, 1, 9, 14, 4, 11, 7, 19, 2], shared=shared) for shared in (0, 12)]
    expected = [own_answers(model, prompts) for prompts in asked]
    joined = fused_trunk(model)
    assert joined is not None
    for worth in (128, 12):
        monkeypatch.setattr(kv_cache, "MIN_SINGLE_COPY_TOKENS", worth)
        for prompts, answers in zip(asked, expected, strict=True):
            for batch in (1, 4, 64):
                engine = Engine(model, joined)
                found = greedy.generate(
                    engine, prompts, max_new_tokens=12, batch=batch, stops=frozenset({families.END})
                )
                assert found == answers
    assert own_answers(model, asked[0]) == expected[0]


@pytest.mark.parametrize("adapter", ["none", "all", "ranks"])
@pytest.mark.parametrize("shape", ["llama", "qwen3"])
def test_half_precision_is_within_the_models_own_rounding(shape, adapter):
    model = build(shape, ADAPTERS[adapter]).to(torch.bfloat16)
    check_exact(model, trained.LETTERS, where="here", fused=fused_trunk(model))


def test_weights_are_held_once_and_are_the_models_own():
    model = build("llama", ADAPTERS["all"])
    before = {name: value.clone() for name, value in model.named_parameters()}
    layer = fused_trunk(model).layers[0]
    own = model.get_base_model().model.layers[0].self_attn
    assert own.k_proj.get_base_layer().weight.data_ptr() == layer.qkv.weight[32:].data_ptr()
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


@pytest.mark.parametrize("adapter", OTHERS)
def test_what_an_adapter_does_more_is_left_to_peft(adapter):
    assert fused_trunk(build("llama-biases", OTHERS[adapter])) is None


def test_other_families_run_as_they_are():
    assert fused_trunk(families.build("gemma2")) is None
    assert fused_trunk(families.build("granite")) is None


def test_joined_products_that_differ_from_the_model_are_not_used(tiny_folder, monkeypatch):
    assert open_local(tiny_folder, digest="sha256:joined").fused is not None
    expected = open_local(tiny_folder, digest="sha256:joined").generate([[5, 80, 33]], max_new_tokens=8)
    # As if a family with windows had been added and its window misread.
    monkeypatch.setattr(fused, "_attention_window", lambda attention, config: 3)
    model = open_local(tiny_folder, digest="sha256:plain")
    assert model.fused is None
    assert model.generate([[5, 80, 33]], max_new_tokens=8) == expected


def test_a_model_that_neither_way_is_its_own_is_refused(tiny_folder, monkeypatch):
    monkeypatch.setattr(attention, "MAX_SPLIT_QUERIES", 10**6)
    monkeypatch.setattr(attention, "_segmented_attention", lambda query, parts, cap: torch.zeros_like(query))
    with pytest.raises(Misuse, match="generation logits of the llama model differ"):
        open_local(tiny_folder, digest="sha256:wrong")
