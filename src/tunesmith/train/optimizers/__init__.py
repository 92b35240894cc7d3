"""Optimizers: AdamW for every tensor, 8-bit AdamW on CUDA, or Muon for hidden matrices with AdamW for the rest."""

from tunesmith.train.optimizers.build import build_optimizer, describe_optimizer
from tunesmith.train.optimizers.container import Optimizers
from tunesmith.train.optimizers.muon import MUON_MOMENTUM, Muon, orthogonalize

__all__ = ["MUON_MOMENTUM", "Muon", "Optimizers", "build_optimizer", "orthogonalize", "describe_optimizer"]
