"""More than one process on one recipe: each computes its part of every step, and all end with the weights one would have.

torchrun or Ray Train starts the ranks. Every rank knows all rows and all steps, so nothing about the data is ever sent.
`ddp` holds the whole model on every rank and sums gradients once a step; `fsdp` holds a slice of every matrix (FSDP2).
"""
