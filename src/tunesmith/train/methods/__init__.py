"""Training methods, which decide the trainable tensors: full trains all of them; LoRA, DoRA and QLoRA train low-rank adapters
on the layers of a frozen base."""

from tunesmith.train.methods.model_io import check_machine, load_base, save_model
from tunesmith.train.methods.neftune import embedding_noise
from tunesmith.train.methods.prepare import prepare_model

__all__ = ["check_machine", "embedding_noise", "load_base", "prepare_model", "save_model"]
