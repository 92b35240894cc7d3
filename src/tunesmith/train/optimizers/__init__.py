"""Optimisers: AdamW for every tensor, its states in 8 bits on CUDA, or Muon for hidden matrices beside AdamW for the rest."""

from tunesmith.train.optimizers.build import build_optimizer, told_parts
from tunesmith.train.optimizers.muon import MUON_MOMENTUM, Muon, orthogonal
from tunesmith.train.optimizers.parts import Optimizers

__all__ = ["MUON_MOMENTUM", "Muon", "Optimizers", "build_optimizer", "orthogonal", "told_parts"]
