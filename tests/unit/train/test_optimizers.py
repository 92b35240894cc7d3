"""AdamW against torch's own plain loop, Muon against the singular values it must reach, and states that come back bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith import process

process.prepare()

import torch
from torch import nn

from tunesmith.context import Context
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import MUON_MOMENTUM, Muon, Optimizers, build_optimizer, orthogonal


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


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(rows_per_step=1, learning_rate=0.01, **options)


def train(model: Small, step: Callable[[], None], *, steps: range) -> None:
    for number in steps:
        model.zero_grad()
        ids = torch.arange(number, number + 5) % 11
        nn.functional.cross_entropy(model(ids), (ids + 1) % 11).backward()
        step()


def test_adamw_equals_torch_with_decay_on_matrices_alone() -> None:
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
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    scale = max(1.0, shape[0] / shape[1]) ** 0.5
    made = orthogonal(matrix) / scale
    values = torch.linalg.svdvals(made)
    # The published coefficients trade exactness for speed: values end between about 0.7 and 1.2.
    assert values.min() > 0.6
    assert values.max() < 1.25
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    assert (made * nearest).sum() / (made.norm() * nearest.norm()) > 0.98


def test_orthogonal_follows_the_direction_and_not_the_size() -> None:
    matrix = torch.randn((6, 9), generator=torch.Generator().manual_seed(4))
    assert torch.allclose(orthogonal(matrix * 100), orthogonal(matrix), atol=1e-5)
    assert torch.equal(orthogonal(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_orthogonal_equals_torchs_own_newton_schulz() -> None:
    from torch.optim._muon import _zeropower_via_newtonschulz

    matrix = torch.randn((12, 20), generator=torch.Generator().manual_seed(5))
    theirs = _zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7).float()
    # Theirs rounds to bfloat16 (8 bits) in each of five steps.
    assert (orthogonal(matrix) - theirs).norm() / theirs.norm() < 0.03


def test_a_muon_step_by_hand() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    muon = Muon([weight], lr=0.1, weight_decay=0.5)
    gradients = [torch.randn((3, 4), generator=torch.Generator().manual_seed(number)) for number in (1, 2)]
    momentum, expected = torch.zeros(3, 4), torch.ones(3, 4)
    for gradient in gradients:
        weight.grad = gradient.clone()
        muon.step()
        momentum = MUON_MOMENTUM * momentum + gradient
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * orthogonal(gradient + MUON_MOMENTUM * momentum)
    assert torch.allclose(weight, expected, atol=1e-6)


def test_a_tensor_without_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weight, torch.ones(2, 2))


def test_muon_takes_hidden_matrices_and_adamw_the_rest_at_its_share() -> None:
    model = Small()
    optimizer = build_optimizer(model, settings(optimizer="muon", adamw_share=0.25))
    optimizer.set_rate(0.08)
    (muon, _), (adamw, _) = optimizer.parts
    assert isinstance(muon, Muon)
    assert [id(value) for value in muon.param_groups[0]["params"]] == [id(model.hidden.weight)]
    taken = {id(value) for group in adamw.param_groups for value in group["params"]}
    assert taken == {id(value) for value in model.parameters()} - {id(model.hidden.weight)}
    assert muon.param_groups[0]["lr"] == 0.08
    assert {group["lr"] for group in adamw.param_groups} == {0.02}


def test_muon_over_adapters_leaves_nothing_for_adamw(tiny: Any, context: Context) -> None:
    wanted = settings(optimizer="muon", method="lora", rank=2)
    model = prepare_model(tiny, wanted, context)
    optimizer = build_optimizer(model, wanted)
    assert len(optimizer.parts) == 1
    taken = {id(value) for value in optimizer.parts[0][0].param_groups[0]["params"]}
    assert taken == {id(value) for name, value in model.named_parameters() if "lora_" in name}


def test_frozen_tensors_are_left_out() -> None:
    model = Small()
    model.embed_tokens.weight.requires_grad_(False)
    (adamw, _), *_ = build_optimizer(model, settings()).parts
    taken = {id(value) for group in adamw.param_groups for value in group["params"]}
    assert id(model.embed_tokens.weight) not in taken
    assert len(taken) == len(list(model.parameters())) - 1


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_state_comes_back_bit_for_bit(name: str) -> None:
    wanted = settings(optimizer=name, weight_decay=0.01)
    whole = Small()
    train(whole, build_optimizer(whole, wanted).step, steps=range(8))
    first = Small()
    optimizer = build_optimizer(first, wanted)
    train(first, optimizer.step, steps=range(5))
    second = Small()
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
