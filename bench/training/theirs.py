"""TRL's arms: SFTTrainer set up as somebody who wants it fast sets it up.

Every default that costs time for nothing is set in TRL's favour: no logging, no saving, no evaluation, no progress bar, no
printing, no filter on the loss, no checkpointing of activations (TRL turns it on; it has an arm of its own), no truncation
pass, token ids ready made, no autocast over weights that have the wanted type already, fused AdamW, no worker process on a CPU
that has no core for it. The entropy and the accuracy that SFTTrainer computes in each step cannot be switched off; the
arm `trl-plain-loss` overrides compute_loss, which TRL 1.16 recommends to whoever wants another loss, and goes without.
"""

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from training.arms import BETAS, CLIP, EPSILON, LEARNING_RATE, WEIGHT_DECAY, Job
from training.cases import Data, mask_of
from training.meter import Meter
from training.models import SEED, build_model, context_in, load_tokenizer

SHORTEST_BLOCK = 256
COUNTS = ("losses", "rows", "tokens", "supervised")


class Watched(SFTTrainer):
    """Keeps loss and counts of every step as tensors, so that watching costs no synchronisation."""

    def watch(self) -> None:
        self.seen: dict[str, list[Any]] = {name: [] for name in COUNTS}

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        positions = inputs.get("position_ids")
        rows = inputs["input_ids"].shape[0] if positions is None else (positions == 0).sum()
        tokens = inputs["attention_mask"].sum() if positions is None else positions.numel()
        supervised = (inputs["labels"][:, 1:] != -100).sum()
        loss = SFTTrainer.training_step(self, model, inputs, num_items_in_batch)
        for name, value in zip(COUNTS, (loss, rows, tokens, supervised), strict=True):
            self.seen[name][-1] = self.seen[name][-1] + value
        return loss


class PlainLoss(Watched):
    """The loss of transformers: logits of every position, one cross-entropy."""

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        return Trainer.compute_loss(self, *arguments, **options)


class Marks(TrainerCallback):
    """Tells the meter when steps begin and end."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.seen: dict[str, list[Any]] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.meter.begin()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        for values in self.seen.values():
            values.append(0)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.meter.step_done()


def run_theirs(job: Job, data: Data, folder: Path) -> dict[str, Any]:
    """Losses of every step, readings of the meter, and what went through, as SFTTrainer's own batches show it."""
    datasets.disable_progress_bars()
    model = build_model(job, context_in(folder))
    meter = Meter(model, device=job.device, warm_up=job.warm_up)
    marks = Marks(meter)
    trainer = (PlainLoss if job.arm.plain_loss else Watched)(
        model=model,
        args=SFTConfig(**_settings(job, data, folder)),
        train_dataset=_dataset(job, data),
        processing_class=load_tokenizer(),
        callbacks=[marks],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.watch()
    marks.seen = trainer.seen
    trainer.train()
    counts = {name: [float(value) for value in values] for name, values in trainer.seen.items()}
    measured = {name: counts[name][job.warm_up :] for name in ("rows", "tokens", "supervised")}
    return meter.readings() | {"losses": counts["losses"]} | measured


def _dataset(job: Job, data: Data) -> datasets.Dataset:
    """Token ids with masks, in the order of the steps; arms that form their own steps get the spare rows too."""
    steps = data.step_rows()
    if job.arm.sorted:
        steps = [sorted(rows, key=lambda row: len(row.ids)) for rows in steps]
    rows = [row for step in steps for row in step] if job.arm.equal else data.rows
    return datasets.Dataset.from_dict(
        {"input_ids": [list(row.ids) for row in rows], "assistant_masks": [mask_of(row) for row in rows]}
    )


def _settings(job: Job, data: Data, folder: Path) -> dict[str, Any]:
    arm = job.arm
    return {
        "output_dir": str(folder / "trl"),
        "max_steps": data.steps,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": WEIGHT_DECAY,
        "adam_beta1": BETAS[0],
        "adam_beta2": BETAS[1],
        "adam_epsilon": EPSILON,
        "max_grad_norm": CLIP,
        "optim": "adamw_torch_fused",
        "seed": SEED,
        "use_cpu": job.device == "cpu",
        "bf16": False,
        "activation_checkpointing": arm.checkpointing,
        "train_sampling_strategy": "group_by_length" if arm.grouped else "sequential",
        "padding_free": arm.padding_free,
        "torch_compile": arm.compiled,
        "logging_strategy": "no",
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_drop_last": True,
        "dataloader_num_workers": 0 if job.device == "cpu" else 2,
        "dataloader_persistent_workers": job.device == "cuda",
        "dataloader_pin_memory": job.device == "cuda",
    } | _batches(job, data)


def _batches(job: Job, data: Data) -> dict[str, Any]:
    """How many rows or blocks go through at once, and how often before the optimiser moves.

    Packing keeps the tokens of a step, rounded to whole blocks. No row is cut: the block holds the longest.
    """
    arm, each = job.arm, data.rows_per_step
    block: int | None = None
    if arm.packing:
        longest = max(len(row.ids) for row in data.rows)
        block = max(1024, longest) if arm.packing == "1024" else max(SHORTEST_BLOCK, -(-longest // 64) * 64)
        each = max(1, round(sum(len(row.ids) for row in data.rows) / len(data.rows) * data.rows_per_step / block))
    micro = min(arm.micro or each, each)
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": each // micro,
        "packing": bool(arm.packing),
        "packing_strategy": "bfd",
        "max_length": block,
    }
