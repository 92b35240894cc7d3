"""Training methods: trainable tensors, refusals, gradient checkpointing bit for bit, and noise row by row."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.integrations.neftune import neftune_post_forward_hook

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.loading import load_folder
from tunesmith.models.packed import hidden_states, pack_rows, summed_loss, unwrap_peft
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods import check_machine, embedding_noise, load_base, prepare_model, save_model
from tunesmith.train.methods.master_weights import MasterLinear

CPU = torch.device("cpu")
LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"rows_per_step": 4, "rank": 3, **options})


def rows() -> list[EncodedSequence]:
    """Three rows of 7, 9 and 11 tokens; the first two share five."""
    first = [(11 * place) % 390 + 8 for place in range(7)]
    second = [*first[:5], 300, 301, 302, 303]
    third = [(13 * place) % 390 + 9 for place in range(11)]
    return [EncodedSequence(f"{n}", tuple(ids), ((3, len(ids)),)) for n, ids in enumerate((first, second, third))]


def moving(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def adapted(model: nn.Module) -> dict[str, LoraLayer]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(5, 25)[None]).logits


def stir(model: nn.Module) -> None:
    """Give every trainable tensor random values, so that B is not zero."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in moving(model).values():
            value.add_(torch.randn(value.shape, generator=generator) * 0.1)


def loss_and_gradients(model: Any, *, share: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.train()
    model.zero_grad()
    torch.manual_seed(4)
    loss = summed_loss(model, pack_rows(rows(), CPU, share=share))
    loss.backward()
    return loss.detach(), {name: value.grad.clone() for name, value in moving(model).items()}


def test_full_tuning_trains_every_tensor(tiny: Any, context: Context) -> None:
    tiny.requires_grad_(False)
    assert prepare_model(tiny, settings(method="full"), context) is tiny
    assert all(value.requires_grad for value in tiny.parameters())


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"method": "lora"}, {"lora_A", "lora_B"}),
        ({"method": "lora", "rank_stabilized": True}, {"lora_A", "lora_B"}),
        ({"method": "dora"}, {"lora_A", "lora_B", "lora_magnitude_vector"}),
    ],
)
def test_adapters_are_on_every_linear_layer_but_the_head(
    options: dict[str, Any], parts: set[str], tiny: Any, context: Context
) -> None:
    model = prepare_model(tiny, settings(**options), context)
    layers = adapted(model)
    assert {name.rpartition(".")[2] for name in layers} == LINEAR
    assert len(layers) == 2 * len(LINEAR)
    assert {part for name in moving(model) for part in name.split(".") if part.startswith("lora_")} == parts
    assert len(moving(model)) == len(layers) * len(parts)
    assert {layer.scaling["default"] for layer in layers.values()} == {
        6 / math.sqrt(3) if "rank_stabilized" in options else 2.0
    }
    assert all(not torch.any(value) for name, value in moving(model).items() if "lora_B" in name)


def test_alpha_and_dropout_reach_the_layers(tiny: Any, context: Context) -> None:
    model = prepare_model(tiny, settings(alpha=12, dropout=0.25), context)
    for layer in adapted(model).values():
        assert layer.scaling["default"] == 4.0
        assert layer.lora_dropout["default"].p == 0.25


def test_the_seed_determines_lora_a(tiny_folder: Path, context: Context) -> None:
    def made(**options: Any) -> dict[str, torch.Tensor]:
        return moving(prepare_model(load_folder(tiny_folder)[0], settings(**options), context))

    first, again, other = made(), made(), made(seed=8)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert all(torch.equal(value, other[name]) != ("lora_A" in name) for name, value in first.items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("targets", [(), ("q_proj", "lm_head", "embed_tokens")])
@pytest.mark.parametrize("method", ["lora", "dora"])
def test_an_untrained_adapter_is_an_identity(
    method: str, targets: tuple[str, ...], precision: Any, tiny_folder: Path, context: Context
) -> None:
    base = load_folder(tiny_folder, dtype=precision)[0]
    before = logits(base)
    model = prepare_model(base, settings(method=method, target_modules=targets, precision=precision), context)
    assert torch.equal(logits(model), before)
    assert {value.dtype for value in moving(model).values()} == {torch.float32}


def test_dora_magnitudes_are_fp32_weight_norms(tiny_folder: Path, context: Context) -> None:
    wanted = settings(method="dora", precision="bf16", target_modules=("o_proj", "embed_tokens"))
    model = prepare_model(load_folder(tiny_folder, dtype="bf16")[0], wanted, context)
    for name, layer in adapted(model).items():
        weight = layer.get_base_layer().weight.float()
        norms = torch.linalg.norm(weight, dim=0 if "embed" in name else 1)
        assert torch.equal(layer.lora_magnitude_vector["default"].weight, norms)
        assert not torch.equal(norms.bfloat16().float(), norms)


def test_lora_over_bf16_computes_in_bf16_and_trains_fp32(tiny_folder: Path, context: Context) -> None:
    model = prepare_model(load_folder(tiny_folder, dtype="bf16")[0], settings(precision="bf16"), context)
    seen = set()
    for layer in adapted(model).values():
        for factor in (layer.lora_A["default"], layer.lora_B["default"]):
            assert isinstance(factor, MasterLinear)
            factor.register_forward_hook(lambda _, given, made: seen.add((given[0].dtype, made.dtype)))
    _, gradients = loss_and_gradients(model)
    assert seen == {(torch.bfloat16, torch.bfloat16)}
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("q_porj", "did you mean q_proj or v_proj or o_proj? the base has down_proj, embed_tokens, gate_proj"),
        ("model.layers.0.self_attn.qproj", "did you mean q_proj"),
        ("xyz", "the base has down_proj"),
    ],
)
def test_a_missing_target_is_refused(name: str, hint: str, tiny: Any, context: Context) -> None:
    with pytest.raises(RecipeError) as caught:
        prepare_model(tiny, settings(target_modules=("v_proj", name)), context)
    assert caught.value.what == f"the base has no layer named {name}"
    assert caught.value.where == "train.target_modules"
    assert caught.value.hint.startswith(hint)
    assert not adapted(tiny)


def test_a_target_that_cannot_carry_an_adapter_is_refused(tiny: Any, context: Context) -> None:
    with pytest.raises(RecipeError) as caught:
        prepare_model(tiny, settings(target_modules=("self_attn",)), context)
    assert caught.value.what == "model.layers.0.self_attn is a LlamaAttention"
    assert "linear layers and embeddings: down_proj, embed_tokens, gate_proj" in caught.value.hint


def test_targets_by_path_and_by_name(tiny: Any, context: Context) -> None:
    model = prepare_model(tiny, settings(target_modules=("layers.1.self_attn.q_proj", "lm_head")), context)
    assert [name.removeprefix("base_model.model.") for name in adapted(model)] == [
        "model.layers.1.self_attn.q_proj",
        "lm_head",
    ]


@pytest.mark.parametrize("name", ["lm_head", "embed_tokens", "model.embed_tokens"])
def test_an_adapter_on_one_of_two_tied_layers_changes_neither(name: str, tiny: Any, context: Context) -> None:
    tiny.config.tie_word_embeddings = True
    tiny.tie_weights()
    shared = tiny.model.embed_tokens.weight
    model = prepare_model(tiny, settings(target_modules=("q_proj", name)), context)
    inner = model.get_base_model()
    layers = [inner.get_input_embeddings(), inner.get_output_embeddings()]
    base_layers = [one.get_base_layer() if isinstance(one, LoraLayer) else one for one in layers]
    assert [isinstance(one, LoraLayer) for one in layers] == [name != "lm_head", name == "lm_head"]
    assert all(one.weight is shared for one in base_layers) and not shared.requires_grad


def test_dora_over_a_row_of_zeros_is_refused(tiny: Any, context: Context) -> None:
    with torch.no_grad():
        tiny.lm_head.weight[3] = 0.0
    with pytest.raises(RecipeError) as caught:
        prepare_model(tiny, settings(method="dora", target_modules=("lm_head",)), context)
    assert caught.value.what.endswith("lm_head has a row of zeros") and caught.value.where == "train.method"


def test_qlora_is_refused_without_cuda(tiny: Any, tiny_folder: Path, context: Context) -> None:
    for refuse in (check_machine, lambda wanted: load_base(tiny_folder, wanted)):
        with pytest.raises(Misuse) as caught:
            refuse(settings(method="qlora"))
        assert caught.value.what == "method: qlora needs a CUDA device, and there is none"
        assert (caught.value.where, caught.value.hint) == ("train.method", "set `train: {method: lora}`")
    with pytest.raises(Misuse, match="a base in 4 bits needs a CUDA device"):
        load_folder(tiny_folder, four_bits=True)
    with pytest.raises(RecipeError, match="the base is not in 4 bits"):
        prepare_model(tiny, settings(method="qlora"), context)


def test_qlora_and_8_bit_states_are_refused_without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("tunesmith.models.loading.find_spec", lambda name: None)
    for options, what, where in (
        ({"method": "qlora"}, "method: qlora", "train.method"),
        ({"optimizer": "adamw-8bit"}, "8-bit AdamW", "train.optimizer"),
    ):
        with pytest.raises(Misuse) as caught:
            check_machine(settings(**options))
        assert caught.value.what == f"{what} needs bitsandbytes, and it is not installed"
        assert caught.value.where == where
        assert caught.value.hint.startswith(f"install it, or set `train: {{{where.removeprefix('train.')}: ")
    monkeypatch.setattr("tunesmith.models.loading.find_spec", importlib.util.find_spec)
    check_machine(settings())


def test_a_base_is_loaded_in_the_recipes_precision(tiny_folder: Path) -> None:
    assert load_base(tiny_folder, settings(precision="bf16"))[0].dtype == torch.bfloat16
    assert load_base(tiny_folder, settings())[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({"method": "full"}, False),
        ({"method": "full"}, True),
        ({"method": "lora"}, True),
        ({"method": "lora", "target_modules": ("q_proj", "lm_head", "embed_tokens")}, False),
        ({"method": "dora"}, True),
        ({"method": "lora", "dropout": 0.3}, False),
        ({"method": "lora", "precision": "bf16"}, True),
    ],
    ids=["full", "full shared", "lora shared", "head and embeddings", "dora shared", "dropout", "bf16 shared"],
)
def test_gradient_checkpointing_is_bit_identical(
    options: dict[str, Any], share: bool, tiny_folder: Path, context: Context
) -> None:
    def made(twice: bool) -> Any:
        wanted = settings(gradient_checkpointing=twice, **options)
        model = prepare_model(load_folder(tiny_folder, dtype=wanted.precision)[0], wanted, context)
        stir(model)
        return model

    once, twice = made(False), made(True)
    loss, gradients = loss_and_gradients(once, share=share)
    calls = []
    for layer in unwrap_peft(twice).model.layers:
        layer.input_layernorm.register_forward_hook(lambda *_: calls.append(1))
    again, same = loss_and_gradients(twice, share=share)
    assert len(calls) == 4
    assert torch.equal(loss, again)
    assert gradients.keys() == same.keys()
    assert all(torch.equal(value, same[name]) for name, value in gradients.items())
    assert all(torch.any(value) for value in gradients.values())


def test_recomputation_repeats_the_dropout_mask(tiny: Any, context: Context) -> None:
    model = prepare_model(tiny, settings(dropout=0.5), context)
    stir(model)
    one, two = loss_and_gradients(model)[0], loss_and_gradients(model)[0]
    assert torch.equal(one, two)
    torch.manual_seed(5)
    assert not torch.equal(summed_loss(model, pack_rows(rows(), CPU)), one)
    model.eval()
    batch = pack_rows(rows(), CPU)
    assert torch.equal(summed_loss(model, batch), summed_loss(model, batch))


def test_gradient_checkpointing_leaves_no_hook_and_is_off_in_evaluation(tiny: Any, context: Context) -> None:
    model = prepare_model(tiny, settings(gradient_checkpointing=True), context)
    assert not tiny.get_input_embeddings()._forward_hooks
    calls = []
    tiny.model.layers[0].register_forward_hook(lambda *_: calls.append(1))
    model.eval()
    summed_loss(model, pack_rows(rows(), CPU)).backward()
    assert len(calls) == 1


def test_a_model_without_gradient_checkpointing_is_refused(
    tiny: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(tiny), "supports_gradient_checkpointing", False)
    with pytest.raises(RecipeError, match="does not support") as caught:
        prepare_model(tiny, settings(gradient_checkpointing=True), context)
    assert caught.value.where == "train.gradient_checkpointing"


def embedded(model: Any, alpha: float, sequences: list[EncodedSequence], *, seed: int = 6) -> torch.Tensor:
    """[T, D] what the embeddings of a pass give under noise."""
    outputs = []
    torch.manual_seed(seed)
    with embedding_noise(model, alpha, [len(row.ids) for row in sequences]):
        # Called after the noise: hooks run in the order in which they were put on.
        handle = (
            unwrap_peft(model).get_input_embeddings().register_forward_hook(lambda *made: outputs.append(made[2][0]))
        )
        hidden_states(model, pack_rows(sequences, CPU, whole=True))
        handle.remove()
    return outputs[0].detach()


def test_noise_is_bounded_by_row_length_not_batch_length(tiny: Any) -> None:
    tiny.train()
    sequences = [EncodedSequence("short", tuple(range(8, 12)), ()), EncodedSequence("long", tuple(range(8, 208)), ())]
    noise = embedded(tiny, 5.0, sequences) - embedded(tiny, 0.0, sequences)
    start = 0
    for row in sequences:
        length = len(row.ids)
        bound = 5.0 / math.sqrt(length * 32)
        part = noise[start : start + length]
        assert part.abs().max() <= bound * (1 + 1e-5)
        assert part.abs().max() > 0.9 * bound
        # The mean of n uniform draws in [-b, b] has a standard deviation of b / sqrt(3 n).
        assert part.mean().abs() < 4 * bound / math.sqrt(3 * part.numel())
        assert part.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
        start += length


def test_noise_on_one_row_equals_transformers(tiny: Any) -> None:
    """transformers 5.23.0: `neftune_post_forward_hook`, the paper's own code; it takes the padded length for every row."""
    tiny.train()
    sequences = rows()[2:]
    ours = embedded(tiny, 7.0, sequences)
    layer = tiny.get_input_embeddings()
    layer.neftune_noise_alpha = 7.0
    torch.manual_seed(6)
    theirs = neftune_post_forward_hook(layer, (), layer(torch.tensor([sequences[0].ids]))).detach()[0]
    assert torch.allclose(ours, theirs, atol=1e-6, rtol=0)
    assert not torch.allclose(embedded(tiny, 0.0, sequences), theirs, atol=1e-2, rtol=0)


def test_noise_depends_on_the_seed_and_changes_the_loss(tiny: Any) -> None:
    tiny.train()
    assert torch.equal(embedded(tiny, 5.0, rows()), embedded(tiny, 5.0, rows()))
    assert not torch.equal(embedded(tiny, 5.0, rows()), embedded(tiny, 5.0, rows(), seed=7))
    batch = pack_rows(rows(), CPU, whole=True)
    plain = summed_loss(tiny, batch)
    with embedding_noise(tiny, 5.0, [7, 9, 11]):
        assert not torch.equal(summed_loss(tiny, batch), plain)
    assert torch.equal(summed_loss(tiny, batch), plain)


def test_noise_under_an_adapter_on_the_embeddings(tiny: Any, context: Context) -> None:
    model = prepare_model(tiny, settings(target_modules=("embed_tokens",)), context)
    model.train()
    assert not torch.equal(embedded(model, 5.0, rows()), embedded(model, 0.0, rows()))


@pytest.mark.parametrize(("alpha", "training"), [(0.0, True), (5.0, False)])
def test_alpha_zero_draws_no_random_numbers(alpha: float, training: bool, tiny: Any) -> None:
    tiny.train(training)
    plain = summed_loss(tiny, pack_rows(rows(), CPU))
    before = torch.get_rng_state()
    with embedding_noise(tiny, alpha, [7, 9, 11]):
        assert torch.equal(summed_loss(tiny, pack_rows(rows(), CPU)), plain)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_noise_hook_is_removed_even_after_an_error(tiny: Any) -> None:
    tiny.train()
    with pytest.raises(Misuse, match=r"noise is drawn row by row: \(1, 22\) embeddings, rows of 27 tokens"):
        with embedding_noise(tiny, 5.0, [7, 9, 11]):
            summed_loss(tiny, pack_rows(rows(), CPU, share=True, whole=True))
    assert not tiny.get_input_embeddings()._forward_hooks


def test_saved_files_of_a_whole_model_and_of_an_adapter(tiny_folder: Path, context: Context, tmp_path: Path) -> None:
    whole = load_folder(tiny_folder)[0]
    save_model(whole, tmp_path / "whole")
    assert {path.name for path in (tmp_path / "whole").iterdir()} >= {"config.json", "model.safetensors"}
    model = prepare_model(whole, settings(target_modules=("lm_head", "embed_tokens")), context)
    save_model(model, tmp_path / "adapter")
    # Rank 3 over 400 tokens by 32: 2 * 3 * (400 + 32) fp32 values and a header, not the 400 * 32 values of a matrix.
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size < 4 * 2 * 3 * (400 + 32) + 1000
