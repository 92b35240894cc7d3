"""Methods: which tensors move. Full: all of them. LoRA: low-rank adapters beside the linear layers."""

from tunesmith.train.methods.prepare import prepare_model

__all__ = ["prepare_model"]
