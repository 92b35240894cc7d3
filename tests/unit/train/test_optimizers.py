"""AdamW against torch's own plain loop, Muon against the singular values it must reach, and states that come back bit for bit."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.context import Context
from tunesmith.errors import Misuse
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import MUON_MOMENTUM, Muon, Optimizers, build_optimizer, orthogonalize


class Small(nn.Module):
    """An embedding, a hidden matrix, a norm and a head."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(1)
        self.embed_tokens = nn.Embedding(11, 6)
        self.hidden = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm_head(self.norm(torch.tanh(self.hidden(self.embed_tokens(ids)))))

    @property
    def base_model(self) -> nn.Module:
        return self

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(rows_per_step=1, learning_rate=0.01, **options)


def train(model: Small, step: Callable[[], None], *, steps: range) -> None:
    for number in steps:
        model.zero_grad()
        ids = torch.arange(number, number + 5) % 11
        nn.functional.cross_entropy(model(ids), (ids + 1) % 11).backward()
        step()


def test_adamw_equals_torch_with_decay_on_matrices_only() -> None:
    ours, theirs = Small(), Small()
    optimizer = build_optimizer(ours, settings(weight_decay=0.1, beta2=0.95))
    optimizer.set_rate(0.02)
    matrices = [value for value in theirs.parameters() if value.ndim == 2]
    vectors = [value for value in theirs.parameters() if value.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    oracle = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.95), eps=1e-8, foreach=False, fused=False)
    train(ours, optimizer.step, steps=range(10))
    train(theirs, oracle.step, steps=range(10))
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (one - two).norm() <= 1e-6 * two.norm(), name


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8)])
def test_orthogonalize_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    scale = max(1.0, shape[0] / shape[1]) ** 0.5
    orthogonal = orthogonalize(matrix) / scale
    values = torch.linalg.svdvals(orthogonal)
    # The published coefficients trade exactness for speed: values end between about 0.7 and 1.2.
    assert values.min() > 0.6
    assert values.max() < 1.25
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    assert (orthogonal * nearest).sum() / (orthogonal.norm() * nearest.norm()) > 0.98


def test_orthogonalize_ignores_scale() -> None:
    matrix = torch.randn((6, 9), generator=torch.Generator().manual_seed(4))
    assert torch.allclose(orthogonalize(matrix * 100), orthogonalize(matrix), atol=1e-5)
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_orthogonalize_equals_torchs_newton_schulz() -> None:
    from torch.optim._muon import _zeropower_via_newtonschulz

    matrix = torch.randn((12, 20), generator=torch.Generator().manual_seed(5))
    theirs = _zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7).float()
    # Theirs rounds to bfloat16 (8 bits) in each of five steps.
    assert (orthogonalize(matrix) - theirs).norm() / theirs.norm() < 0.03


def test_a_muon_step_by_hand() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    muon = Muon([weight], lr=0.1, weight_decay=0.5)
    gradients = [torch.randn((3, 4), generator=torch.Generator().manual_seed(number)) for number in (1, 2)]
    momentum, expected = torch.zeros(3, 4), torch.ones(3, 4)
    for gradient in gradients:
        weight.grad = gradient.clone()
        muon.step()
        momentum = MUON_MOMENTUM * momentum + gradient
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * orthogonalize(gradient + MUON_MOMENTUM * momentum)
    assert torch.allclose(weight, expected, atol=1e-6)


def test_a_tensor_without_gradient_is_unchanged() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weight, torch.ones(2, 2))


def test_muon_updates_hidden_matrices_and_adamw_the_rest_at_its_share() -> None:
    model = Small()
    optimizer = build_optimizer(model, settings(optimizer="muon", adamw_share=0.25))
    optimizer.set_rate(0.08)
    (muon, _), (adamw, _) = optimizer.parts
    assert isinstance(muon, Muon)
    assert [id(value) for value in muon.param_groups[0]["params"]] == [id(model.hidden.weight)]
    adamw_ids = {id(value) for group in adamw.param_groups for value in group["params"]}
    assert adamw_ids == {id(value) for value in model.parameters()} - {id(model.hidden.weight)}
    assert muon.param_groups[0]["lr"] == 0.08
    assert {group["lr"] for group in adamw.param_groups} == {0.02}


def test_muon_over_adapters_needs_no_adamw(tiny: Any, context: Context) -> None:
    wanted = settings(optimizer="muon", method="lora", rank=2)
    model = prepare_model(tiny, wanted, context)
    optimizer = build_optimizer(model, wanted)
    assert len(optimizer.parts) == 1
    muon_ids = {id(value) for value in optimizer.parts[0][0].param_groups[0]["params"]}
    assert muon_ids == {id(value) for name, value in model.named_parameters() if "lora_" in name}


def test_frozen_tensors_are_left_out() -> None:
    model = Small()
    model.embed_tokens.weight.requires_grad_(False)
    (adamw, _), *_ = build_optimizer(model, settings()).parts
    adamw_ids = {id(value) for group in adamw.param_groups for value in group["params"]}
    assert id(model.embed_tokens.weight) not in adamw_ids
    assert len(adamw_ids) == len(list(model.parameters())) - 1


def test_bf16_weights_are_updated_through_fp32_masters() -> None:
    """Thirty steps at a rate of 1e-5: each rounds to nothing in bf16, and their sum does not."""
    ours, theirs = Small().to(torch.bfloat16), Small().to(torch.bfloat16)
    start = [value.detach().clone() for value in ours.parameters()]
    exact = [nn.Parameter(value.detach().float()) for value in theirs.parameters()]
    optimizer = build_optimizer(ours, settings())
    optimizer.set_rate(1e-5)
    oracle = torch.optim.AdamW(exact, lr=1e-5, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0, fused=True)

    def by_hand() -> None:
        for weight, master in zip(theirs.parameters(), exact, strict=True):
            master.grad = weight.grad.float()
        oracle.step()
        with torch.no_grad():
            for weight, master in zip(theirs.parameters(), exact, strict=True):
                weight.copy_(master)

    train(ours, optimizer.step, steps=range(30))
    train(theirs, by_hand, steps=range(30))
    for (weight, master), mine, expected in zip(optimizer.masters, ours.parameters(), exact, strict=True):
        assert weight is mine and weight.dtype == torch.bfloat16 and master.grad is None
        assert torch.equal(master, expected)
        assert torch.equal(mine, expected.to(torch.bfloat16))
        assert optimizer.master_for(mine) is master
    masters = [master for _, master in optimizer.masters]
    moved = sum(int((master != old.float()).sum()) for master, old in zip(masters, start, strict=True))
    assert moved / sum(old.numel() for old in start) > 0.99
    assert any(not torch.equal(mine, old) for mine, old in zip(ours.parameters(), start, strict=True))


def test_fp32_weights_have_no_masters() -> None:
    model = Small()
    optimizer = build_optimizer(model, settings())
    assert optimizer.masters == () and optimizer.master_for(model.hidden.weight) is model.hidden.weight


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_state_is_restored_bit_for_bit(name: str, precision: torch.dtype) -> None:
    wanted = settings(optimizer=name, weight_decay=0.01)
    whole = Small().to(precision)
    train(whole, build_optimizer(whole, wanted).step, steps=range(8))
    first = Small().to(precision)
    optimizer = build_optimizer(first, wanted)
    train(first, optimizer.step, steps=range(5))
    second = Small().to(precision)
    second.load_state_dict(first.state_dict())
    resumed: Optimizers = build_optimizer(second, wanted)
    resumed.restore({key: value.clone() for key, value in optimizer.tensors().items()})
    assert {key: value.tolist() for key, value in resumed.tensors().items()} == {
        key: value.tolist() for key, value in optimizer.tensors().items()
    }
    train(second, resumed.step, steps=range(5, 8))
    for (key, one), two in zip(second.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, two), key


def test_a_state_before_the_first_step_is_empty() -> None:
    optimizer = build_optimizer(Small(), settings())
    assert optimizer.tensors() == {}
    optimizer.restore({})
    assert optimizer.tensors() == {}


class Blockwise(torch.optim.Optimizer):
    """Stands in for bitsandbytes 0.50.2's AdamW8bit where there is no CUDA device: the layout of its state and no more.

    Read in its `optim/optimizer.py`: steps counted in an int, moments of 4,096 values and more in uint8 with fp32 scales,
    which `state_dict` nests one level deeper and `load_state_dict` reads flat too.
    """

    QUANTIZED = ("state1", "state2", "absmax1")

    def __init__(self, groups: Any, **options: Any) -> None:
        torch.optim.Optimizer.__init__(self, groups, {"weight_decay": 0.01, **options})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["step"] = 0
                    state["state1"] = torch.zeros_like(weight, dtype=torch.uint8)
                    state["absmax1"] = torch.zeros(1)
                state["step"] += 1
                state["state1"] += 3 * state["step"]
                state["absmax1"] += weight.grad.abs().max()
                weight.sub_(weight.grad * group["lr"] / state["step"])

    def state_dict(self) -> dict[str, Any]:
        plain = torch.optim.Optimizer.state_dict(self)
        nested = {}
        for index, entries in plain["state"].items():
            inner = {name: value for name, value in entries.items() if name in self.QUANTIZED}
            outer = {name: value for name, value in entries.items() if name not in self.QUANTIZED}
            nested[index] = {**outer, "__bnb_optimizer_quant_state__": inner}
        return {**plain, "state": nested}

    def load_state_dict(self, contents: dict[str, Any]) -> None:
        assert all(type(entries["step"]) is int for entries in contents["state"].values())
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for index, entries in contents["state"].items():
            self.state[weights[index]] = dict(entries)


@pytest.fixture
def blockwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a CUDA device with bitsandbytes."""
    monkeypatch.setattr("tunesmith.train.optimizers.build.check_bitsandbytes", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace(AdamW8bit=Blockwise))


def test_8_bit_adamw_is_refused_without_cuda() -> None:
    with pytest.raises(Misuse) as caught:
        build_optimizer(Small(), settings(optimizer="adamw-8bit"))
    assert caught.value.what == "8-bit AdamW needs a CUDA device, and there is none"
    assert (caught.value.where, caught.value.hint) == ("train.optimizer", "set `train: {optimizer: adamw}`")


@pytest.mark.usefixtures("blockwise")
def test_8_bit_adamw_keeps_32_bit_states_for_embeddings() -> None:
    model = Small()
    optimizer = build_optimizer(model, settings(optimizer="adamw-8bit", weight_decay=0.1))
    optimizer.set_rate(0.03)
    (eight, _), (exact, _) = optimizer.parts
    assert isinstance(eight, Blockwise)
    assert isinstance(exact, torch.optim.AdamW)
    assert [id(value) for group in exact.param_groups for value in group["params"]] == [id(model.embed_tokens.weight)]
    matrices, vectors = eight.param_groups
    assert [id(value) for value in matrices["params"]] == [id(model.hidden.weight), id(model.lm_head.weight)]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert {group["lr"] for group in (*eight.param_groups, *exact.param_groups)} == {0.03}


@pytest.mark.usefixtures("blockwise")
def test_8_bit_adamw_over_adapters_only_and_over_embeddings_only(tiny: Any, context: Context) -> None:
    wanted = settings(optimizer="adamw-8bit", rank=2)
    ((part, _),) = build_optimizer(prepare_model(tiny, wanted, context), wanted).parts
    assert isinstance(part, Blockwise)
    model = Small().requires_grad_(False)
    model.embed_tokens.requires_grad_(True)
    ((part, _),) = build_optimizer(model, wanted).parts
    assert isinstance(part, torch.optim.AdamW)


@pytest.mark.usefixtures("blockwise")
def test_a_nested_state_with_ints_is_restored_bit_for_bit() -> None:
    wanted = settings(optimizer="adamw-8bit")
    whole = Small()
    train(whole, build_optimizer(whole, wanted).step, steps=range(6))
    first = Small()
    optimizer = build_optimizer(first, wanted)
    train(first, optimizer.step, steps=range(4))
    flat = optimizer.tensors()
    assert flat["0.0.step"].dtype == torch.int64
    assert flat["0.0.state1"].dtype == torch.uint8
    second = Small()
    second.load_state_dict(first.state_dict())
    resumed = build_optimizer(second, wanted)
    resumed.restore({key: value.clone() for key, value in flat.items()})
    assert {key: value.tolist() for key, value in resumed.tensors().items()} == {
        key: value.tolist() for key, value in flat.items()
    }
    train(second, resumed.step, steps=range(4, 6))
    for (key, one), two in zip(second.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, two), key


@pytest.mark.parametrize(("device", "fused"), [("cpu", True), ("meta", False)])
def test_adamw_is_fused_on_supported_devices(device: str, fused: bool) -> None:
    ((adamw, _),) = build_optimizer(Small().to(device), settings()).parts
    assert adamw.defaults["fused"] is fused
