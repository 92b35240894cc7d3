"""Distributed training: every rank computes its part of each step, and all ranks end with the weights of a single process.

torchrun or Ray Train starts the ranks. Every rank holds all rows and all steps, so no training data is sent between ranks.
Under `ddp` every rank holds the whole model and gradients are summed once per step; under `fsdp` every rank holds a slice of
each tensor (FSDP2).
"""
