"""Make a loaded base trainable by the method of the recipe."""

import warnings
from typing import Any

from tunesmith import process
from tunesmith.context import Context
from tunesmith.errors import RecipeError
from tunesmith.recipe import TrainSettings

process.prepare()

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402


def prepare_model(model: Any, settings: TrainSettings, context: Context) -> Any:
    """The model with exactly the tensors of the method requiring gradients. LoRA's A is seeded, its B is zero."""
    if settings.method == "full":
        return model.requires_grad_(True)
    torch.manual_seed(context.seed_for(f"train/lora/{settings.seed}") % 2**63)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha if settings.alpha is not None else 2 * settings.rank,
        target_modules=list(settings.target_modules) or "all-linear",
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks for a property that transformers 5.23 has renamed; it works and is not the user's business.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            return get_peft_model(model, config)
    except ValueError as error:
        raise RecipeError(f"train.target_modules: {error}", hint="name linear layers of the base") from error
