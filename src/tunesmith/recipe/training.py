"""The `train:` part of a recipe."""

from typing import Literal

from pydantic import Field, model_validator

from tunesmith.recipe.base import Settings

ADAPTER_METHODS = ("lora", "dora", "qlora")


class TrainSettings(Settings):
    """How the base is tuned."""

    method: Literal["full", "lora", "dora", "qlora"] = Field(
        default="lora",
        description=(
            "full trains every tensor; lora and dora train low-rank adapters; qlora trains them over a base in 4 bits "
            "(CUDA)."
        ),
    )
    rank: int = Field(default=16, ge=1, description="Rank of the adapters.")
    alpha: int | None = Field(default=None, ge=1, description="Alpha of the adapters; twice the rank when unset.")
    rank_stabilized: bool = Field(
        default=False, description="rsLoRA: scale adapters by alpha over the square root of the rank."
    )
    target_modules: tuple[str, ...] = Field(
        default=(), description="Names of the layers that get adapters; all linear layers except the head when unset."
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout probability before the adapters; turns prefix sharing off."
    )
    base_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Dropout probability inside an encoder or encoder-decoder, in place of the one in its config.",
    )
    neftune: float = Field(
        default=0.0, ge=0, description="NEFTune noise alpha on the embeddings; turns prefix sharing off."
    )
    add_tokens: tuple[str, ...] = Field(
        default=(),
        description=(
            'Special tokens that the base\'s tokenizer or embeddings lack, e.g. ["<|im_start|>"]; their embedding rows '
            "are trained and saved, with adapters only these rows."
        ),
    )
    objective: Literal["completion", "all-tokens"] = Field(
        default="completion", description="Tokens that are trained: the completion only, or all tokens of a row."
    )
    share_prefixes: Literal["auto", "on", "off"] = Field(
        default="auto",
        description=(
            "Compute prefixes that rows share once: auto shares wherever it is exact, on raises an error where it is "
            "not."
        ),
    )
    epochs: float = Field(
        default=1.0, gt=0, description="Number of passes over the training rows; fractions are allowed."
    )
    max_steps: int | None = Field(default=None, ge=1, description="Stop after this many optimiser steps.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate of a new classification head, on the same schedule; learning_rate when unset.",
    )
    schedule: Literal["cosine", "linear", "constant", "stable-decay"] = Field(
        default="cosine", description="Shape of the learning rate after the warmup."
    )
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    decay: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="With stable-decay, the last share of the steps, in which the learning rate falls.",
    )
    final_rate: float = Field(
        default=0.0, ge=0, le=1, description="Learning rate at the last step, as a share of the peak."
    )
    optimizer: Literal["adamw", "adamw-8bit", "muon"] = Field(
        default="adamw",
        description=(
            "adamw; adamw-8bit with states in 8 bits (CUDA); or muon for hidden matrices with AdamW for embeddings, "
            "head and norms."
        ),
    )
    adamw_share: float = Field(default=0.15, gt=0, description="With muon, AdamW's learning rate as a share of Muon's.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled weight decay.")
    beta2: float = Field(default=0.99, gt=0, lt=1, description="Second-moment decay rate of AdamW.")
    clip: float = Field(default=1.0, gt=0, description="Maximum norm of the gradient.")
    rows_per_step: int | None = Field(
        default=None, ge=1, description="Number of rows per optimiser step; give this or tokens_per_step."
    )
    tokens_per_step: int | None = Field(
        default=None, ge=1, description="Number of tokens per optimiser step, counted before prefix sharing."
    )
    tokens_per_pass: int = Field(
        default=4096,
        ge=16,
        description=(
            "Maximum number of tokens per micro-batch, counted after prefix sharing; it bounds memory and never "
            "changes which rows form a step."
        ),
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Recompute layers in the backward pass to save memory."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=8,
        description="Maximum number of tokens per row; the base's context length when unset. Longer rows are an error.",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Label smoothing of the cross-entropy loss.")
    validation: float = Field(default=0.0, ge=0, lt=0.5, description="Share of the training rows used for validation.")
    validate_every: int = Field(default=100, ge=1, description="Number of steps between validations.")
    patience: int | None = Field(
        default=None, ge=1, description="Stop after this many validations in a row without a new lowest loss."
    )
    keep: Literal["last", "best"] = Field(
        default="last", description="Weights to keep: the last ones, or those with the lowest validation loss."
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Number of steps between checkpoints.")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description=(
            "bf16 computes in bf16 and keeps fp32 master weights of what is trained; auto uses bf16 where the device "
            "has instructions for it."
        ),
    )
    seed: int = Field(default=7, ge=0, description="Seed of row order, initial adapter weights, dropout and noise.")
    threads: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Number of CPU threads; another number changes the last bits. When unset: TORCH_NUM_THREADS, "
            "OMP_NUM_THREADS, or the cores available to the process, 16 at most."
        ),
    )
    track: tuple[Literal["tensorboard", "mlflow"], ...] = Field(
        default=(),
        description="Also log the loss curve to these trackers, in files next to the store (needs the extra `track`).",
    )
    runner: Literal["local", "ray"] = Field(
        default="local", description="Who starts the ranks: ray (Ray Train), or local (this process, or torchrun)."
    )
    workers: int = Field(default=1, ge=1, description="Number of ranks that Ray starts; torchrun sets its own.")
    strategy: Literal["ddp", "fsdp"] = Field(
        default="ddp",
        description="With several ranks: the whole model on each (ddp), or every matrix sharded across them (fsdp, FSDP2).",
    )

    @property
    def draws_noise(self) -> bool:
        """Whether a training pass draws random numbers."""
        return bool(self.dropout or self.neftune or self.base_dropout)

    @model_validator(mode="after")
    def _agree(self) -> "TrainSettings":
        if (self.rows_per_step is None) == (self.tokens_per_step is None):
            raise ValueError("give exactly one of rows_per_step and tokens_per_step")
        for name, value in (("keep: best", self.keep == "best"), ("patience", self.patience is not None)):
            if value and self.validation == 0:
                raise ValueError(f"{name} needs validation rows; set train.validation, e.g. 0.02")
        if self.dropout and self.method not in ADAPTER_METHODS:
            raise ValueError("dropout applies to adapters only; method: full has none")
        if self.share_prefixes == "on" and (self.dropout or self.neftune):
            raise ValueError("prefixes cannot be shared with dropout or neftune: each row draws its own noise")
        if len(set(self.add_tokens)) < len(self.add_tokens) or not all(name.strip() for name in self.add_tokens):
            raise ValueError("add_tokens must not contain an empty or repeated token")
        if self.add_tokens and self.strategy == "fsdp":
            raise ValueError("add_tokens is not tested with fsdp; set strategy: ddp")
        if self.add_tokens and self.method == "qlora":
            raise ValueError("add_tokens is not tested with a base in 4 bits; set method: lora")
        if self.workers > 1 and self.runner != "ray":
            raise ValueError("workers needs runner: ray; start local ranks with torchrun --nproc-per-node")
        return self
