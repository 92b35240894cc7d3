"""Methods that need a CUDA device: a 4-bit base, 8-bit optimizer states, and the methods of the CPU tests in bf16."""

import math
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.models.loading import load_folder
from tunesmith.models.packed import pack_rows, summed_loss, unwrap_peft
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train.methods import embedding_noise, load_base, prepare_model, save_model
from tunesmith.train.optimizers import build_optimizer

CUDA = torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="needs a CUDA device")]
quantized = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs a CUDA device with bitsandbytes")

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny tokenizer under a Llama whose matrices are whole numbers of 4-bit blocks (64 values)."""
    folder = fixtures_models.make_folder(tmp_path_factory.mktemp("base"))
    config = LlamaConfig(
        vocab_size=400, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.1,
    )  # fmt: skip
    torch.manual_seed(5)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)
    yield made
    made.store.ledger.close()


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"rows_per_step": 4, "rank": 4, "learning_rate": 0.01, "precision": "bf16", **options})


def rows() -> list[EncodedSequence]:
    return [
        EncodedSequence(
            f"{number:016x}", tuple((7 * number + 3 * place) % 390 + 8 for place in range(6 + number)), ((2, 6),)
        )
        for number in range(4)
    ]


def loss_of(model: Any, *, alpha: float = 0.0) -> torch.Tensor:
    torch.manual_seed(4)
    with embedding_noise(model, alpha, [len(row.ids) for row in rows()]):
        return summed_loss(model, pack_rows(rows(), torch.device("cuda")))


def train(model: Any, wanted: TrainSettings, *, steps: int = 4) -> list[float]:
    optimizer = build_optimizer(model, wanted)
    optimizer.set_rate(wanted.learning_rate)
    model.train()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, alpha=wanted.neftune)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    unwrap_peft(model).set_attn_implementation("sdpa")
    return losses


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(9, 40, device="cuda")[None]).logits.float()


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one - two).norm() / two.norm())


@quantized
@pytest.mark.parametrize("targets", [(), ("q_proj", "lm_head")])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_qlora_trains_adapters_over_a_frozen_4_bit_base(
    precision: Any, targets: tuple[str, ...], base: Path, context: Context, tmp_path: Path
) -> None:
    wanted = settings(method="qlora", precision=precision, target_modules=targets, gradient_checkpointing=True)
    model = load_base(base, wanted)[0]
    layer = model.model.layers[0].mlp.up_proj
    assert (layer.weight.quant_type, layer.weight.compress_statistics) == ("nf4", True)
    assert layer.weight.numel() == 256 * 128 // 2
    assert type(model.lm_head) is nn.Linear
    model = prepare_model(model, wanted, context)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    losses = train(model, wanted)
    assert losses[-1] < losses[0]
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) != value.requires_grad, name
        assert value.dtype == torch.float32 or not value.requires_grad, name
    save_model(model, tmp_path / "adapter")
    again = load_folder(tmp_path / "adapter", base=base, dtype=precision, four_bits=True)[0]
    assert distance(logits(again), logits(model)) < (1e-5 if precision == "fp32" else 1e-2)
    full = load_folder(tmp_path / "adapter", base=base, dtype=precision)[0].to("cuda")
    assert distance(logits(full), logits(model)) > 0.05


@quantized
def test_8_bit_states_are_restored_bit_for_bit() -> None:
    def made() -> nn.Module:
        torch.manual_seed(1)
        parts = {"embed_tokens": nn.Embedding(100, 96), "up": nn.Linear(96, 128), "lm_head": nn.Linear(128, 100)}
        return nn.ModuleDict(parts).cuda()

    def run(model: nn.Module, optimizer: Any, steps: range) -> None:
        optimizer.set_rate(0.01)
        for step in steps:
            generator = torch.Generator("cuda").manual_seed(step)
            for value in model.parameters():
                value.grad = torch.randn(value.shape, device="cuda", generator=generator)
            optimizer.step()

    wanted = settings(optimizer="adamw-8bit", weight_decay=0.01)
    whole, first, second = made(), made(), made()
    run(whole, build_optimizer(whole, wanted), range(6))
    optimizer = build_optimizer(first, wanted)
    run(first, optimizer, range(4))
    flat = {key: value.cpu() for key, value in optimizer.tensors().items()}
    assert flat["0.0.state1"].dtype == torch.uint8
    second.load_state_dict(first.state_dict())
    resumed = build_optimizer(second, wanted)
    resumed.restore(flat)
    run(second, resumed, range(4, 6))
    for one, two in zip(second.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, two)


@quantized
def test_8_bit_adamw_stays_near_32_bits(base: Path, context: Context) -> None:
    ends = []
    for optimizer in ("adamw", "adamw-8bit"):
        wanted = settings(method="full", precision="fp32", optimizer=optimizer, learning_rate=1e-3)
        model = prepare_model(load_base(base, wanted)[0].to("cuda"), wanted, context)
        ends.append(train(model, wanted, steps=10))
    assert ends[1] == pytest.approx(ends[0], rel=0.05)
    assert ends[0] != ends[1]


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_adapters_over_bf16_train_in_fp32(method: str, base: Path, context: Context) -> None:
    wanted = settings(method=method, neftune=5.0, gradient_checkpointing=True, dropout=0.1)
    untouched = load_base(base, wanted)[0].to("cuda")
    before = logits(untouched)
    model = prepare_model(untouched, wanted, context)
    model.eval()
    assert torch.equal(logits(model), before)
    losses = train(model, wanted)
    assert all(math.isfinite(loss) for loss in losses)
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}


def test_gradient_checkpointing_gives_the_same_loss_and_close_gradients(base: Path, context: Context) -> None:
    """The backward of FlashAttention adds in no fixed order, so gradients are close but not equal."""
    results = []
    for twice in (False, True):
        wanted = settings(gradient_checkpointing=twice, dropout=0.2)
        model = prepare_model(load_base(base, wanted)[0].to("cuda"), wanted, context).train()
        loss = loss_of(model)
        loss.backward()
        results.append((loss.detach(), [value.grad for value in model.parameters() if value.requires_grad]))
    (loss, gradients), (again, same) = results
    assert torch.equal(loss, again)
    for one, two in zip(gradients, same, strict=True):
        assert (one - two).norm() <= 1e-2 * one.norm() + 1e-6


def test_noise_depends_on_the_seed_of_the_device(base: Path) -> None:
    model = load_folder(base)[0].to("cuda").train()
    assert torch.equal(loss_of(model, alpha=5.0), loss_of(model, alpha=5.0))
    assert not torch.equal(loss_of(model, alpha=5.0), loss_of(model))
