"""Everything before the first training step; shared by the run, the dry run and the learning-rate finder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Dataset, ModelRef, Place, Provenance, RejectedRow, Row
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError, Misuse
from tunesmith.models.architecture import architecture_of, max_positions
from tunesmith.models.bases.prepare import prepare_base
from tunesmith.models.dropout import configured_dropout, dropout_note
from tunesmith.models.loading import context_length
from tunesmith.models.logit_agreement import Agreement
from tunesmith.models.packed import (
    check_packable,
    compare_shared_prefixes,
    is_last_layer_pruned,
    prune_last_layer,
    unwrap_peft,
)
from tunesmith.models.probe_rows import build_probe_tokens
from tunesmith.models.tasks import EncodedRow, Task, build_task, tokens_beyond_window
from tunesmith.recipe import BaseSettings, NewBase, TaskSettings, TrainSettings
from tunesmith.train.batches import plan_steps
from tunesmith.train.distributed.ranks import SINGLE_RANK, Ranks, broadcast
from tunesmith.train.distributed.wrap import to_device
from tunesmith.train.methods import check_machine, load_base, prepare_model
from tunesmith.train.threads import set_threads

UNLIMITED_TOKENS: Final = 2**31
MAX_LISTED_ROWS: Final = 5
"""Rejected rows that an error message names."""

RANDOM_ADAPTER_STD: Final = 0.02
"""Standard deviation of the random values that stand in for a trained adapter."""


@dataclass(frozen=True)
class TrainInputs:
    """What a training run starts from: the rows, the base model and the task."""

    dataset: Dataset
    base: BaseSettings
    task: TaskSettings


@dataclass(frozen=True)
class PrefixSharing:
    """Whether rows of a micro-batch share the computation of their common prefixes, and the reason.

    `agreement` compares logits with and without sharing, where this was tested on the model.
    """

    on: bool
    reason: str
    agreement: Agreement | None = None

    def describe(self) -> str:
        """The reason, with the figures of the comparison."""
        return self.reason if self.agreement is None else f"{self.reason}: {self.agreement.describe()}"

    def measured(self) -> dict[str, float]:
        """The figures by name. They depend on the machine, so they are not part of a report's digest."""
        if self.agreement is None:
            return {}
        return {
            "sharing_worst": float(f"{self.agreement.worst:.3g}"),
            "sharing_bound": float(f"{self.agreement.bound:.3g}"),
            "sharing_middle": float(f"{self.agreement.median:.3g}"),
            "sharing_middle_bound": float(f"{self.agreement.median_bound:.3g}"),
        }


@dataclass(frozen=True)
class TrainingSetup:
    """What a run needs for its first step.

    `task` encodes rows, packs them into micro-batches and computes their loss. `folder` holds the base's files. `window` is the
    maximum length of a row in tokens. `rejected` are the rows that cannot be trained on; `places` has file and line of every
    row by its id.
    """

    task: Task
    model: Any
    tokenizer: PreTrainedTokenizerBase
    base: ModelRef
    folder: Path
    window: int
    sharing: PrefixSharing
    rows: Sequence[EncodedRow]
    validation: Sequence[EncodedRow]
    steps: Sequence[Sequence[int]]
    rejected: tuple[RejectedRow, ...]
    places: dict[str, Place]

    @property
    def share(self) -> bool:
        """Whether rows of a micro-batch share prefixes."""
        return self.sharing.on

    def rows_of_step(self, step: int) -> list[EncodedRow]:
        """The encoded rows of a step, counted from 0."""
        return [self.rows[index] for index in self.steps[step]]


def set_up_training(
    inputs: TrainInputs, settings: TrainSettings, context: Context, *, ranks: Ranks = SINGLE_RANK, strict: bool = False
) -> TrainingSetup:
    """Load the base, encode the rows, split off the validation rows, make the model trainable, check it, and plan the steps.

    Rejected rows are collected; with `strict` they raise DataError. All `ranks` call it. Under fsdp only rank 0 reads the
    weights and checks the model; the other ranks build it on the meta device. Torch's random state is restored at the end.
    """
    check_machine(settings)
    set_threads(settings.threads)
    rows = load_rows(inputs.dataset, context.store)
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        # The base: in the store, checked out as files, then loaded.
        base = broadcast(ranks, lambda: base_reference(inputs, rows, context, settings=settings))
        folder = broadcast(ranks, lambda: context.store.checkout(base.tree))
        task = build_task(inputs.task, architecture_of(folder), rows)
        task.check(settings)
        meta, seed = ranks.sharded and not ranks.is_main, context.seed_for(f"train/head/{settings.seed}") % 2**63
        model, tokenizer = load_base(folder, settings, meta=meta, head=task.head, seed=seed)
        if rates := configured_dropout(folder, classifies=task.head is not None):
            context.progress.say(dropout_note(rates, settings.base_dropout))

        # The rows: encoded, then split into training and validation rows.
        positions = context_length(model) if task.head is None else max_positions(model, tokenizer)
        window = min(settings.max_tokens or positions, positions)
        tracked_rows = context.progress.track(rows, label="encode rows", total=len(rows))
        encoder = TaskEncoder(task, tokenizer, window, settings.objective)
        encoded, rejected = encode_rows(tracked_rows, encoder, strict=strict)
        check_token_ids(encoded, model, rows)
        training, validation = split_validation(encoded, settings, context)

        # The model: trainable by the method of the recipe, and checked with a few rows.
        vocabulary = tokenizer.get_vocab() if settings.add_tokens else {}
        added = [vocabulary[name] for name in settings.add_tokens]
        model = to_device(prepare_model(model, settings, context, head=task.head, added=added))
        if task.head is None:
            sharing = _check_model(model, tokenizer, settings=settings, context=context, ranks=ranks)
        else:
            encoded_rows: Sequence[Any] = training
            task.check_model(model, encoded_rows, tokenizer)
            sharing = PrefixSharing(False, "an encoder reads every row whole")
    return TrainingSetup(
        task=task,
        model=model,
        tokenizer=tokenizer,
        base=base,
        folder=folder,
        window=window,
        sharing=sharing,
        rows=training,
        validation=validation,
        steps=plan_steps([len(row.ids) for row in training], settings, context),
        rejected=rejected,
        places={row.row_id: _row_place(row) for row in rows},
    )


def _check_model(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, settings: TrainSettings, context: Context, ranks: Ranks
) -> PrefixSharing:
    """Check that the model can train on packed rows, and decide on prefix sharing. Sharded ranks follow the result of rank 0."""

    def check() -> tuple[bool, PrefixSharing]:
        check_packable(model, tokenizer)
        if note := build_probe_tokens(unwrap_peft(model), tokenizer).note():
            context.progress.say(note)
        return is_last_layer_pruned(unwrap_peft(model)), decide_sharing(
            model, tokenizer, settings=settings, context=context
        )

    pruned, sharing = broadcast(ranks, check) if ranks.sharded else check()
    if pruned and not is_last_layer_pruned(unwrap_peft(model)):
        prune_last_layer(unwrap_peft(model))
    return sharing


@dataclass(frozen=True)
class TaskEncoder:
    """Encodes the rows of a task. `window` is the maximum length in tokens."""

    task: Task
    tokenizer: PreTrainedTokenizerBase
    window: int
    objective: str

    def encode(self, row: Row, *, window: int | None = None) -> Sequence[EncodedRow]:
        """The row as one or several token sequences. Raises DataError for a row that cannot be trained on."""
        return self.task.encode(row, self.tokenizer, window=window or self.window, objective=self.objective)


def encode_rows(
    rows: Iterable[Row], encoder: TaskEncoder, *, strict: bool = False
) -> tuple[list[EncodedRow], tuple[RejectedRow, ...]]:
    """Encode every row; returns the token sequences, and the rejected rows with their reasons.

    Raises DataError when no row is left, and with `strict` when any row is rejected.
    """
    encoded: list[EncodedRow] = []
    rejected: list[RejectedRow] = []
    hint = ""
    for row in rows:
        try:
            sequences = encoder.encode(row)
            if not sequences or not all(sequence.supervised for sequence in sequences):
                raise DataError(f"row {row.row_id} has no token to train on", where=f"{row.file}:{row.line}")
        except DataError as error:
            rejected.append(_rejected_row(row, error.what, encoder))
            hint = hint or error.hint
            continue
        encoded.extend(sequences)
    if encoded and not (strict and rejected):
        return encoded, tuple(rejected)
    if not rejected:
        raise DataError("no rows are left to train on", hint="look at the rows in the audit's quarantine")
    first = rejected[0]
    if encoded:
        raise DataError(_rejection_message(rejected), where=f"{first.place.file}:{first.place.line}", hint=hint)
    raise DataError(
        f"none of the {len(rejected)} rows can be trained on; the first: {first.reason}",
        where=f"{first.place.file}:{first.place.line}",
    )


def _rejection_message(rejected: Sequence[RejectedRow]) -> str:
    """The number of rejected rows, file and line of the first few, and the first reason."""
    if len(rejected) == 1:
        return rejected[0].reason
    places = ", ".join(f"{row.place.file}:{row.place.line}" for row in rejected[:MAX_LISTED_ROWS])
    more = f" and {len(rejected) - MAX_LISTED_ROWS} more" if len(rejected) > MAX_LISTED_ROWS else ""
    return f"{len(rejected)} rows cannot be trained on: {places}{more}; the first: {rejected[0].reason}"


def _encode_without_limit(row: Row, encoder: TaskEncoder) -> list[EncodedRow]:
    """The row encoded without a length limit; empty when it is rejected for another reason than its length."""
    try:
        return [sequence for sequence in encoder.encode(row, window=UNLIMITED_TOKENS) if sequence.supervised]
    except DataError:
        return []


def _rejected_row(row: Row, reason: str, encoder: TaskEncoder) -> RejectedRow:
    """A row can be several sequences, one per answer: `tokens` is the length of the longest, the lost tokens are of all."""
    sequences = _encode_without_limit(row, encoder)
    lost = [tokens_beyond_window(sequence, encoder.window) for sequence in sequences]
    return RejectedRow(
        place=_row_place(row),
        reason=reason,
        tokens=max((max(sequence.sides) for sequence in sequences), default=None),
        lost=sum(tokens for tokens, _ in lost),
        lost_trained=sum(trained for _, trained in lost),
    )


def check_token_ids(encoded: Sequence[EncodedRow], model: Any, rows: Sequence[Row]) -> None:
    """Raises DataError for a row with a token id outside the model's embeddings."""
    size = unwrap_peft(model).get_input_embeddings().weight.shape[0]
    bad = next((sequence for sequence in encoded if max(sequence.ids) >= size), None)
    if bad is None:
        return
    row = next(row for row in rows if row.row_id == bad.row_id)
    what = f"row {bad.row_id} has the token id {max(bad.ids):,}, but the embeddings have only {size:,} rows"
    raise DataError(what, where=f"{row.file}:{row.line}", hint="add the token under train.add_tokens")


def split_validation(
    rows: list[EncodedRow], settings: TrainSettings, context: Context
) -> tuple[list[EncodedRow], list[EncodedRow]]:
    """(training, validation) sequences. Split by row id, so that no row has sequences on both sides."""
    if settings.validation == 0:
        return rows, []
    names = list(dict.fromkeys(row.row_id for row in rows))
    count = max(1, round(settings.validation * len(names)))
    chosen = context.rng(f"train/validation/{settings.seed}").choice(len(names), size=count, replace=False)
    validation = {names[index] for index in chosen}
    if len(validation) == len(names):
        hint = "add rows, or set `train: {validation: 0}`"
        raise DataError(f"train.validation takes all {len(names)} rows, and none is left to train on", hint=hint)
    return [row for row in rows if row.row_id not in validation], [row for row in rows if row.row_id in validation]


def decide_sharing(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, settings: TrainSettings, context: Context
) -> PrefixSharing:
    """Whether rows share prefixes: as the recipe says, and only if a test on this model shows that it changes nothing.

    Raises Misuse when the recipe sets `share_prefixes: on` and the model or the settings do not allow it.
    """
    if settings.share_prefixes == "off":
        return PrefixSharing(False, "train.share_prefixes is off")
    if settings.dropout or settings.neftune:
        reason, agreement = "each row draws its own noise (dropout or neftune)", None
    else:
        agreement = compare_shared_prefixes(model, tokenizer)
        if agreement.agrees:
            return PrefixSharing(True, "tried on this model", agreement)
        reason = "this model does not give a row behind a shared prefix what it gives the row alone"
    off = PrefixSharing(False, reason, agreement)
    if settings.share_prefixes == "on":
        raise Misuse(
            f"prefix sharing is not possible: {off.describe()}",
            where="train.share_prefixes",
            hint="set `train: {share_prefixes: auto}`",
        )
    context.progress.say(f"prefix sharing is off: {off.describe()}")
    return off


def base_reference(inputs: TrainInputs, rows: Sequence[Row], context: Context, *, settings: TrainSettings) -> ModelRef:
    """The base in the store, as the recipe uses it. A new base trains its tokenizer on the texts of the rows."""
    texts = [row_text(row) for row in rows] if isinstance(inputs.base, NewBase) else None
    return prepare_base(inputs.base, inputs.task, context, train=settings, texts=texts)


def row_text(row: Row) -> str:
    """All text of a row, for tokenizer training."""
    if row.example.messages:
        return "\n".join(message.text for message in row.example.messages)
    return "\n".join([row.example.text or "", *(row.example.labels or ())])


def with_random_adapter(model: Any, settings: TrainSettings, context: Context) -> Any:
    """A loaded base as training leaves it: with a random adapter that changes its outputs, or unchanged for full and qlora."""
    if settings.method in ("full", "qlora"):
        return model
    prepared = prepare_model(model, settings, context).eval()
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.no_grad():
        for name, value in prepared.named_parameters():
            if "lora_B" in name or "lora_embedding_B" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * RANDOM_ADAPTER_STD)
    return prepared


def provenance_of(
    stage: str, inputs: TrainInputs, base: ModelRef, *, settings: TrainSettings, context: Context
) -> Provenance:
    """The provenance of a training run, a dry run or a rate search."""
    return context.provenance(
        stage,
        inputs={"dataset": inputs.dataset.rows_digest, "base": base.tree},
        settings={"train": settings.model_dump(mode="json"), "task": inputs.task.model_dump(mode="json")},
    )


def _row_place(row: Row) -> Place:
    return Place(row_id=row.row_id, file=row.file, line=row.line)
