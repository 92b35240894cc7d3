"""The `train:` part of a recipe."""

from typing import Literal

from pydantic import Field, model_validator

from tunesmith.recipe.base import Settings

ADAPTER_METHODS = ("lora", "dora", "qlora")


class TrainSettings(Settings):
    """How the base is tuned."""

    method: Literal["full", "lora", "dora", "qlora"] = Field(
        default="lora",
        description="full: every tensor; the others: low-rank adapters; qlora: over a base in 4 bits (CUDA)",
    )
    rank: int = Field(default=16, ge=1, description="rank of the adapters")
    alpha: int | None = Field(default=None, ge=1, description="alpha of the adapters; twice the rank when left out")
    rank_stabilized: bool = Field(default=False, description="rsLoRA: scale by alpha over the root of the rank")
    target_modules: tuple[str, ...] = Field(
        default=(), description="adapter targets; every linear layer but the head when left out"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout before the adapters; turns prefix sharing off")
    base_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="dropout inside an encoder or encoder-decoder, in place of its config's own",
    )
    neftune: float = Field(
        default=0.0, ge=0, description="NEFTune noise alpha on the embeddings; turns prefix sharing off"
    )
    add_tokens: tuple[str, ...] = Field(
        default=(),
        description='special tokens that the base\'s tokenizer or its embeddings lack, e.g. ["<|im_start|>"]; their rows are '
        "trained and saved, under adapters these rows alone",
    )
    objective: Literal["completion", "all-tokens"] = "completion"
    share_prefixes: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="compute tokens that rows share once; auto: wherever that is exact; on: or refuse the run",
    )
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1, description="stop after this many optimiser steps")
    learning_rate: float = Field(default=1e-3, gt=0)
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="peak rate of a new classification head, on the same schedule; learning_rate when left out",
    )
    schedule: Literal["cosine", "linear", "constant", "stable-decay"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps with a rising learning rate")
    decay: float = Field(
        default=0.2, gt=0, le=1, description="with stable-decay, the last share of the steps, that fall"
    )
    final_rate: float = Field(
        default=0.0, ge=0, le=1, description="where the learning rate ends, as a share of the peak"
    )
    optimizer: Literal["adamw", "adamw-8bit", "muon"] = Field(
        default="adamw",
        description="muon: hidden matrices by Muon, embeddings, head and norms by AdamW; adamw-8bit: states in 8 bits (CUDA)",
    )
    adamw_share: float = Field(default=0.15, gt=0, description="with muon, AdamW's learning rate as a share of Muon's")
    weight_decay: float = Field(default=0.0, ge=0)
    beta2: float = Field(default=0.99, gt=0, lt=1)
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    rows_per_step: int | None = Field(default=None, ge=1)
    tokens_per_step: int | None = Field(default=None, ge=1, description="counted before any sharing")
    tokens_per_pass: int = Field(
        default=4096, ge=16, description="after sharing; bounds memory only, never changes which rows form a step"
    )
    gradient_checkpointing: bool = Field(default=False, description="compute layers twice and keep less in memory")
    max_tokens: int | None = Field(
        default=None, ge=8, description="longest row; the base's positions when left out. Longer rows are refused"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    validation: float = Field(
        default=0.0, ge=0, lt=0.5, description="share of the training rows held back to watch the loss"
    )
    validate_every: int = Field(default=100, ge=1, description="steps between losses on the rows held back")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="stop after this many losses on the rows held back in a row without a new lowest",
    )
    keep: Literal["last", "best"] = Field(
        default="last", description="best: the weights with the lowest validation loss"
    )
    checkpoint_every: int = Field(default=50, ge=1, description="steps between checkpoints")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="bf16: the model computes in bf16, and what is trained is kept and moved in fp32; auto: bf16 where the "
        "device has instructions for it, else fp32",
    )
    seed: int = Field(default=7, ge=0)
    threads: int | None = Field(
        default=None,
        ge=1,
        description="processor threads; another count changes the last bits. When left out: TORCH_NUM_THREADS, "
        "OMP_NUM_THREADS, or the cores that the process may use, 16 at most",
    )
    track: tuple[Literal["tensorboard", "mlflow"], ...] = Field(
        default=(), description="also log the curve there, in files beside the store (extra `track`)"
    )
    runner: Literal["local", "ray"] = Field(
        default="local", description="ray: Ray Train starts the ranks; local: this process, or torchrun's ranks"
    )
    workers: int = Field(default=1, ge=1, description="ranks that Ray starts; under torchrun its own count holds")
    strategy: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="of several ranks: the whole model on each, or slices of every matrix (FSDP2)"
    )

    @property
    def draws_noise(self) -> bool:
        """Whether a pass in training draws random numbers."""
        return bool(self.dropout or self.neftune or self.base_dropout)

    @model_validator(mode="after")
    def _agree(self) -> "TrainSettings":
        if (self.rows_per_step is None) == (self.tokens_per_step is None):
            raise ValueError("give exactly one of rows_per_step and tokens_per_step")
        for name, value in (("keep: best", self.keep == "best"), ("patience", self.patience is not None)):
            if value and self.validation == 0:
                raise ValueError(f"{name} needs validation rows; set train.validation, e.g. 0.02")
        if self.dropout and self.method not in ADAPTER_METHODS:
            raise ValueError("dropout is the adapters'; method: full has none")
        if self.share_prefixes == "on" and (self.dropout or self.neftune):
            raise ValueError("rows cannot share a prefix under dropout or neftune: each row draws its own noise there")
        if len(set(self.add_tokens)) < len(self.add_tokens) or not all(name.strip() for name in self.add_tokens):
            raise ValueError("add_tokens names tokens, each once and none of them empty")
        if self.add_tokens and self.strategy == "fsdp":
            raise ValueError("add_tokens is tried with ddp alone; set strategy: ddp")
        if self.add_tokens and self.method == "qlora":
            raise ValueError("add_tokens is not tried over a base in 4 bits; set method: lora")
        if self.workers > 1 and self.runner != "ray":
            raise ValueError("workers are Ray's; start local ranks with torchrun --nproc-per-node")
        return self
