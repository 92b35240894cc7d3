"""Load the base in the form that the method needs, and save the tuned model or its adapter."""

from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from tunesmith.models.heads import TaskHead, load_with_head
from tunesmith.models.loading import check_bitsandbytes, load_folder, load_meta_model
from tunesmith.models.packed import unwrap_peft
from tunesmith.recipe import TrainSettings
from tunesmith.train.optimizers.build import check_optimizer
from tunesmith.train.precision import precision_of


def check_machine(settings: TrainSettings) -> None:
    """Raises Misuse when this machine cannot run the method or the optimizer of the recipe. Fast; called before any work."""
    if settings.method == "qlora":
        check_bitsandbytes("method: qlora", where="train.method", hint="set `train: {method: lora}`")
    check_optimizer(settings)


def load_base(
    folder: Path, settings: TrainSettings, *, meta: bool = False, head: TaskHead | None = None, seed: int = 0
) -> tuple[Any, PreTrainedTokenizerBase]:
    """The base in the precision of the recipe, and its tokenizer; under qlora in 4 bits on the CUDA device.

    `meta`: on the meta device, without weights, for a rank that is sent its slices. `head` is put on an encoder, its new
    weights drawn from `seed`.
    """
    check_machine(settings)
    if head is not None:
        return load_with_head(folder, head, dtype=precision_of(settings), seed=seed, dropout=settings.base_dropout)
    if meta:
        return load_meta_model(folder, dtype=precision_of(settings))
    return load_folder(folder, dtype=precision_of(settings), four_bits=settings.method == "qlora")


def save_model(model: Any, folder: Path) -> None:
    """Save the whole model for transformers, or only the adapter for PEFT.

    `save_embedding_layers=False`: PEFT would also save the frozen matrix under an adapter on head or embeddings, which the base
    has already. The generation config of an encoder-decoder is saved beside its adapter, because it differs from the base's.
    """
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder), save_embedding_layers=False)
        if model.config.is_encoder_decoder:
            unwrap_peft(model).generation_config.save_pretrained(folder)
    else:
        model.save_pretrained(folder)
