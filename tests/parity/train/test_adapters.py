"""Adapters trained by the packed engine against plain PEFT: files load there, give the same logits, and merge.

peft 0.21.2, transformers 5.23.0, torch 2.13.0. The oracle is `PeftModel.from_pretrained` over `AutoModelForCausalLM`, no code
of ours.
"""

import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tunesmith import process

process.prepare()

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tunesmith.context import Context
from tunesmith.data.chat import Encoded
from tunesmith.models.loading import load_folder
from tunesmith.models.packed.forward import summed_loss, unwrapped
from tunesmith.models.packed.plan import pack
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train.methods import embedding_noise, prepare_model, save_model
from tunesmith.train.optimizers import build_optimizer

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

METHODS = {
    "lora": {"method": "lora"},
    "dora": {"method": "dora"},
    "rslora": {"method": "lora", "rank_stabilized": True},
    "lora with dropout": {"method": "lora", "dropout": 0.1},
}
TARGETS = {
    "all but the head": (),
    "with the head": ("q_proj", "down_proj", "lm_head"),
    "with head and embeddings": ("v_proj", "lm_head", "embed_tokens"),
}
MERGED = {"fp32": 1e-5, "bf16": 4e-2}
"""Largest relative change of the logits by merging. Measured over all cases here: 1.3e-6 and 2.6e-2; a merge rounds every
weight once, so bf16 (8 bits) moves each by up to 2e-3 and five products in a row by some times that."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixtures_models.make_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)


def rows() -> list[Encoded]:
    return [
        Encoded(f"{number:016x}", tuple((7 * number + 3 * place) % 390 + 8 for place in range(6 + number)), ((2, 6),))
        for number in range(4)
    ]


def train(model: Any, settings: TrainSettings, *, steps: int = 4) -> None:
    optimizer = build_optimizer(model, settings)
    optimizer.set_rate(settings.learning_rate)
    model.train()
    for step in range(steps):
        torch.manual_seed(step)
        batch = pack(rows(), torch.device("cpu"), whole=settings.neftune > 0)
        optimizer.zero_grad()
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in rows()]):
            loss = summed_loss(model, batch)
        loss.backward()
        optimizer.step()
    model.eval()


def logits(model: Any) -> torch.Tensor:
    ids = torch.arange(9, 40)[None]
    with torch.no_grad():
        return model(input_ids=ids).logits


def plain_peft(base: Path, adapter: Path, precision: str) -> Any:
    """What a user of PEFT writes. The filter is PEFT's own: it asks for a property that transformers has renamed."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter).eval()


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one.float() - two.float()).norm() / two.float().norm())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_the_saved_adapter_is_peft_s(
    method: str, targets: str, precision: str, base: Path, context: Context, tmp_path: Path
) -> None:
    settings = TrainSettings(
        rows_per_step=4, rank=4, learning_rate=0.01, precision=precision, target_modules=TARGETS[targets],
        **METHODS[method],
    )  # fmt: skip
    model = prepare_model(load_folder(base, dtype=precision)[0], settings, context)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    untrained = logits(model)
    train(model, settings)
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) != value.requires_grad, name
        assert value.dtype == torch.float32 or not value.requires_grad, name
    unwrapped(model).set_attn_implementation("sdpa")
    trained = logits(model)
    assert distance(trained, untrained) > 0.1
    save_model(model, tmp_path / "adapter")
    loaded = plain_peft(base, tmp_path / "adapter", precision)
    # LoRA over a bf16 base multiplies in bf16 where PEFT's default multiplies in fp32: the factors are the same, the products
    # are rounded. DoRA and everything in fp32 are the same to the last bit.
    if precision == "bf16" and settings.method == "lora":
        assert distance(logits(loaded), trained) < 3e-2
        ours = {name: value for name, value in model.state_dict().items() if "lora_" in name}
        theirs = loaded.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    else:
        assert torch.equal(logits(loaded), trained)
    merged = loaded.merge_and_unload()
    assert distance(logits(merged), trained) < MERGED[precision]


@pytest.mark.parametrize("targets", ["all but the head", "with the head"])
def test_lora_in_bf16_runs_as_it_was_trained(targets: str, base: Path, context: Context, tmp_path: Path) -> None:
    """Rounding fp32 factors for every product is the same as loading them rounded, which is what the product does."""
    settings = TrainSettings(
        rows_per_step=4, rank=4, learning_rate=0.01, precision="bf16", target_modules=TARGETS[targets]
    )
    model = prepare_model(load_folder(base, dtype="bf16")[0], settings, context)
    train(model, settings)
    unwrapped(model).set_attn_implementation("sdpa")
    save_model(model, tmp_path / "adapter")
    assert torch.equal(logits(load_folder(tmp_path / "adapter", base=base, dtype="bf16")[0]), logits(model))


def test_a_run_with_everything_on_saves_an_adapter_and_no_more(base: Path, context: Context, tmp_path: Path) -> None:
    settings = TrainSettings(
        rows_per_step=4, method="dora", rank=3, alpha=5, rank_stabilized=True, dropout=0.2, neftune=5.0,
        gradient_checkpointing=True, target_modules=("o_proj", "lm_head", "embed_tokens"), learning_rate=0.01,
    )  # fmt: skip
    model = prepare_model(load_folder(base)[0], settings, context)
    train(model, settings)
    unwrapped(model).set_attn_implementation("sdpa")
    save_model(model, tmp_path / "adapter")
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert sum(value.numel() for value in kept.values()) == sum(
        value.numel() for value in model.parameters() if value.requires_grad
    )
    assert torch.equal(logits(plain_peft(base, tmp_path / "adapter", "fp32")), logits(model))


def test_why_adapters_on_tied_weights_are_refused(tmp_path: Path) -> None:
    """When this fails, peft can merge an adapter on a tied head, and `targets.py` may let it through."""
    config = LlamaConfig(
        vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lora = LoraConfig(r=4, target_modules=["lm_head"], task_type="CAUSAL_LM", init_lora_weights=False)
        model = get_peft_model(LlamaForCausalLM(config), lora).eval()
        ids = torch.arange(20)[None]
        with torch.no_grad():
            apart = model(input_ids=ids).logits
            merged = model.merge_and_unload()(input_ids=ids).logits
    assert distance(merged, apart) > 0.1
