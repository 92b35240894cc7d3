"""Adapters trained by the packed engine against plain PEFT: they load there, give the same logits, and merge.

peft 0.21.2, transformers 5.23.0, torch 2.13.0. The oracle is `PeftModel.from_pretrained` over `AutoModelForCausalLM`, no code
of ours.
"""

import json
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.errors import Misuse
from tunesmith.models.loading import DTYPES, QUANTIZATION_FILE, load_folder, load_merged
from tunesmith.models.packed import check_packable, pack_rows, summed_loss, unwrap_peft
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


def rows() -> list[EncodedSequence]:
    return [
        EncodedSequence(
            f"{number:016x}", tuple((7 * number + 3 * place) % 390 + 8 for place in range(6 + number)), ((2, 6),)
        )
        for number in range(4)
    ]


def train(model: Any, settings: TrainSettings, *, steps: int = 4) -> None:
    optimizer = build_optimizer(model, settings)
    optimizer.set_rate(settings.learning_rate)
    model.train()
    for step in range(steps):
        torch.manual_seed(step)
        batch = pack_rows(rows(), torch.device("cpu"), whole=settings.neftune > 0)
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
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True` and a tied layer")
        return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter).eval()


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one.float() - two.float()).norm() / two.float().norm())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_saved_adapter_loads_in_peft_with_equal_logits(
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
    unwrap_peft(model).set_attn_implementation("sdpa")
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
def test_a_bf16_lora_computes_as_in_training(targets: str, base: Path, context: Context, tmp_path: Path) -> None:
    """Rounding fp32 factors for every product is the same as loading them rounded, which is what the product does."""
    settings = TrainSettings(
        rows_per_step=4, rank=4, learning_rate=0.01, precision="bf16", target_modules=TARGETS[targets]
    )
    model = prepare_model(load_folder(base, dtype="bf16")[0], settings, context)
    train(model, settings)
    unwrap_peft(model).set_attn_implementation("sdpa")
    save_model(model, tmp_path / "adapter")
    assert torch.equal(logits(load_folder(tmp_path / "adapter", base=base, dtype="bf16")[0]), logits(model))


def test_a_run_with_all_options_saves_only_an_adapter(base: Path, context: Context, tmp_path: Path) -> None:
    settings = TrainSettings(
        rows_per_step=4, method="dora", rank=3, alpha=5, rank_stabilized=True, dropout=0.2, neftune=5.0,
        gradient_checkpointing=True, target_modules=("o_proj", "lm_head", "embed_tokens"), learning_rate=0.01,
    )  # fmt: skip
    model = prepare_model(load_folder(base)[0], settings, context)
    train(model, settings)
    unwrap_peft(model).set_attn_implementation("sdpa")
    save_model(model, tmp_path / "adapter")
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert sum(value.numel() for value in kept.values()) == sum(
        value.numel() for value in model.parameters() if value.requires_grad
    )
    assert torch.equal(logits(plain_peft(base, tmp_path / "adapter", "fp32")), logits(model))


TIED = {"head": ("lm_head",), "embeddings": ("embed_tokens",), "both and more": ("lm_head", "embed_tokens", "v_proj")}


@pytest.fixture(scope="module", params=["llama", "gemma3_text", "qwen3"])
def tied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose head is its embeddings; Gemma 3 scales what it reads from them."""
    folder = fixtures_models.make_folder(tmp_path_factory.mktemp("tied"))
    sizes = {
        "vocab_size": 400, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "initializer_range": 0.2,
        "tie_word_embeddings": True, "attention_dropout": 0.0, "pad_token_id": None,
    }  # fmt: skip
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(CONFIG_MAPPING[request.param](**sizes)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("targets", TIED)
@pytest.mark.parametrize("method", ["lora", "dora", "rslora"])
def test_an_adapter_on_tied_weights_is_peft_s_and_merges_into_a_model_of_two_matrices(
    method: str, targets: str, precision: str, tied: Path, context: Context, tmp_path: Path
) -> None:
    settings = TrainSettings(
        rows_per_step=4,
        rank=4,
        learning_rate=0.01,
        precision=precision,
        target_modules=TIED[targets],
        **METHODS[method],
    )
    loaded, tokenizer = load_folder(tied, dtype=precision)
    model = prepare_model(loaded, settings, context)
    check_packable(model, tokenizer)
    untrained = logits(model)
    train(model, settings)
    unwrap_peft(model).set_attn_implementation("sdpa")
    trained = logits(model)
    assert distance(trained, untrained) > 0.05
    save_model(model, tmp_path / "adapter")
    theirs = logits(plain_peft(tied, tmp_path / "adapter", precision))
    # In bf16 PEFT multiplies LoRA's matrices in fp32 where the trained model rounds them: see above.
    assert torch.equal(theirs, trained) or (
        precision == "bf16" and method != "dora" and distance(theirs, trained) < 3e-2
    )

    merged, tokenizer = load_merged(tmp_path / "adapter", base=tied, dtype=precision)
    merged.save_pretrained(tmp_path / "merged")
    tokenizer.save_pretrained(tmp_path / "merged")
    kept = load_file(tmp_path / "merged" / "model.safetensors")
    (before,) = (value for name, value in load_file(tied / "model.safetensors").items() if "embed_tokens" in name)
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is False
    for name in ("lm_head", "embed_tokens"):
        (value,) = (value for key, value in kept.items() if name in key)
        assert torch.equal(value, before.to(value.dtype)) != (name in TIED[targets]), name
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=DTYPES[precision]).eval()
    assert distance(logits(again), trained) < MERGED[precision]
    assert torch.equal(logits(load_folder(tmp_path / "merged", dtype=precision)[0]), logits(again))


def test_an_adapter_on_other_layers_keeps_tied_weights_tied(tied: Path, context: Context, tmp_path: Path) -> None:
    settings = TrainSettings(rows_per_step=4, rank=4, learning_rate=0.01, target_modules=("q_proj",))
    model = prepare_model(load_folder(tied)[0], settings, context)
    train(model, settings)
    unwrap_peft(model).set_attn_implementation("sdpa")
    save_model(model, tmp_path / "adapter")
    merged, _ = load_merged(tmp_path / "adapter", base=tied)
    assert merged.config.tie_word_embeddings and merged.lm_head.weight is merged.model.embed_tokens.weight
    assert distance(logits(merged), logits(model)) < MERGED["fp32"]


def test_merging_what_cannot_be_merged_is_refused(base: Path, context: Context, tmp_path: Path) -> None:
    model = prepare_model(load_folder(base)[0], TrainSettings(rows_per_step=4, rank=2), context)
    save_model(model, tmp_path / "adapter")
    (tmp_path / "adapter" / QUANTIZATION_FILE).write_text("{}")
    with pytest.raises(Misuse, match="over a base in 4 bits cannot be merged exactly"):
        load_merged(tmp_path / "adapter", base=base)
    with pytest.raises(Misuse, match="holds no adapter"):
        load_merged(base, base=base)


def test_peft_still_merges_tied_weights_wrongly(tmp_path: Path) -> None:
    """When this fails, peft merges an adapter on a tied head as it should, and `load_merged` need not part the two."""
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
