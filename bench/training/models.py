"""The models: the embedded base with its weights, or a published shape with random ones."""

from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    Qwen3Config,
)

import tunesmith
from training.arms import ALPHA, BETAS, CLIP, LEARNING_RATE, RANK, WEIGHT_DECAY, Job
from training.work import SHAPES
from tunesmith.context import Context
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train.methods import prepare_model

PEBBLE: Final = Path(tunesmith.__file__).parent / "models" / "bases" / "pebble"

MODELS: Final = ("pebble", *SHAPES)
SEED: Final = 11


def load_tokenizer() -> PreTrainedTokenizerBase:
    """The embedded base's, for every model: random weights have no language, and its ids fit every vocabulary here."""
    return AutoTokenizer.from_pretrained(str(PEBBLE), local_files_only=True)


def settings_of(job: Job) -> TrainSettings:
    """Our side's settings; what is not named here is left as it comes."""
    return TrainSettings(
        method=job.method,
        rank=RANK,
        alpha=ALPHA,
        share_prefixes="auto" if job.arm.shared else "off",
        rows_per_step=1,  # the plan already says which rows form a step
        learning_rate=LEARNING_RATE,
        schedule="constant",
        warmup=0.0,
        weight_decay=WEIGHT_DECAY,
        beta2=BETAS[1],
        clip=CLIP,
        checkpoint_every=10**6,
        precision=job.precision,
        gradient_checkpointing=job.arm.checkpointing,
    )


def context_in(folder: Path, **options: Any) -> Context:
    """A context whose store lives in `folder`."""
    return Context(store=open_store(folder / "store"), data_root=folder, home=folder, seed=SEED, **options)


def build_model(job: Job, context: Context) -> Any:
    """The model of a job, trainable by its method, on its device. Both sides begin with the same weights, bit for bit.

    Our side's adapters are put in as the train stage puts them in, TRL's by plain PEFT, drawn from the same seed.
    """
    options: dict[str, Any] = {"attn_implementation": "flash_attention_2"} if job.arm.flash else {}
    dtype = torch.bfloat16 if job.precision == "bf16" else torch.float32
    if job.model == "pebble":
        model = AutoModelForCausalLM.from_pretrained(str(PEBBLE), dtype=dtype, local_files_only=True, **options)
    else:
        torch.manual_seed(SEED)
        with torch.device(job.device):
            model = AutoModelForCausalLM.from_config(_shape(job.model), dtype=dtype, **options)
    model = model.to(job.device)
    if job.arm.side == "trl" and job.method == "lora":
        return _plain_adapters(model, settings_of(job), context)
    return prepare_model(model, settings_of(job), context)


def _plain_adapters(model: Any, settings: TrainSettings, context: Context) -> Any:
    """PEFT as a user of TRL has it; the seed is the one that `prepare_model` draws A from."""
    torch.manual_seed(context.seed_for(f"train/lora/{settings.seed}") % 2**63)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", bias="none", task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def _shape(name: str) -> PretrainedConfig:
    shape = SHAPES[name]
    sizes = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.keys,
        "head_dim": shape.head_dim,
        "tie_word_embeddings": True,
    }
    if name.startswith("qwen3"):
        rope = {"rope_type": "default", "rope_theta": 1_000_000.0}
        return Qwen3Config(max_position_embeddings=40_960, rope_parameters=rope, rms_norm_eps=1e-6, **sizes)
    rope = {"rope_type": "default", "rope_theta": 100_000.0}
    return LlamaConfig(max_position_embeddings=8192, rope_parameters=rope, rms_norm_eps=1e-5, **sizes)
