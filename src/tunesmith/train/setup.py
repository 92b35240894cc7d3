"""Everything that training does before its first step, for the run, the dry run and the rate finder alike."""

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
from tunesmith.models.packed.exactness import check_packable, compare_shared_prefixes
from tunesmith.models.packed.forward import unwrap_peft
from tunesmith.models.packed.last_layer_pruning import is_last_layer_pruned, prune_last_layer
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
"""Rows that a refusal names of those that cannot be trained on."""

RANDOM_ADAPTER_STD: Final = 0.02
"""Spread of the numbers that stand for a trained adapter before it is trained."""


@dataclass(frozen=True)
class TrainInputs:
    """What is tuned, on what, for what."""

    dataset: Dataset
    base: BaseSettings
    task: TaskSettings


@dataclass(frozen=True)
class PrefixSharing:
    """Whether rows of a pass share their prefixes, why, and how it came out where it was tried."""

    on: bool
    why: str
    tried: Agreement | None = None

    def told(self) -> str:
        """The reason, with the figures."""
        return self.why if self.tried is None else f"{self.why}: {self.tried.told()}"

    def measured(self) -> dict[str, float]:
        """The figures by name; they depend on the machine, so they stand outside a report's digest."""
        if self.tried is None:
            return {}
        return {
            "sharing_worst": float(f"{self.tried.worst:.3g}"),
            "sharing_bound": float(f"{self.tried.bound:.3g}"),
            "sharing_middle": float(f"{self.tried.middle:.3g}"),
            "sharing_middle_bound": float(f"{self.tried.middle_bound:.3g}"),
        }


@dataclass(frozen=True)
class TrainingSetup:
    """What a run has before its first step. `window` is the longest a row may be; `sharing`: whether rows share prefixes.

    `task` makes passes of rows and gives them their loss. `folder` holds the base's files. `rejected` are the rows that no run
    would take, `places` where every row stands.
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
        """Whether rows of a pass share prefixes."""
        return self.sharing.on

    def of_step(self, step: int) -> list[EncodedRow]:
        """The rows of one step."""
        return [self.rows[index] for index in self.steps[step]]


def set_up_training(
    inputs: TrainInputs, settings: TrainSettings, context: Context, *, ranks: Ranks = SINGLE_RANK, strict: bool = False
) -> TrainingSetup:
    """Load and encode, hold back, plan the steps, make the model trainable and try it. Random state is left as it was found.

    Rows that cannot be trained on are collected; `strict` raises the DataError of the first of them. All `ranks` call it.
    Where the model will be cut up, rank 0 alone reads its weights and tries it; the others have a frame of it.
    """
    check_machine(settings)
    set_threads(settings.threads)
    rows = load_rows(inputs.dataset, context.store)
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        base = broadcast(ranks, lambda: base_reference(inputs, rows, context, settings=settings))
        folder = broadcast(ranks, lambda: context.store.checkout(base.tree))
        task = build_task(inputs.task, architecture_of(folder), rows)
        task.check(settings)
        hollow, seed = ranks.sharded and not ranks.leads, context.seed_for(f"train/head/{settings.seed}") % 2**63
        model, tokenizer = load_base(folder, settings, hollow=hollow, head=task.head, seed=seed)
        if rates := configured_dropout(folder, classifies=task.head is not None):
            context.progress.say(dropout_note(rates, settings.base_dropout))
        positions = context_length(model) if task.head is None else max_positions(model, tokenizer)
        window = min(settings.max_tokens or positions, positions)
        told = context.progress.track(rows, label="encode rows", total=len(rows))
        encoder = TaskEncoder(task, tokenizer, window, settings.objective)
        encoded, rejected = encode_rows(told, encoder, strict=strict)
        check_token_ids(encoded, model, rows)
        kept, validation = split_validation(encoded, settings, context)
        vocabulary = tokenizer.get_vocab() if settings.add_tokens else {}
        added = [vocabulary[name] for name in settings.add_tokens]
        model = to_device(prepare_model(model, settings, context, head=task.head, added=added))
        if task.head is None:
            share = _check_model(model, tokenizer, settings=settings, context=context, ranks=ranks)
        else:
            whole: Sequence[Any] = kept
            task.check_model(model, whole, tokenizer)
            share = PrefixSharing(False, "an encoder reads every row whole")
    return TrainingSetup(
        task=task,
        model=model,
        tokenizer=tokenizer,
        base=base,
        folder=folder,
        window=window,
        sharing=share,
        rows=kept,
        validation=validation,
        steps=plan_steps([len(row.ids) for row in kept], settings, context),
        rejected=rejected,
        places={row.row_id: _row_place(row) for row in rows},
    )


def _check_model(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, settings: TrainSettings, context: Context, ranks: Ranks
) -> PrefixSharing:
    """Try the model, and whether its rows may share; a frame without weights follows what rank 0 has found."""

    def look() -> tuple[bool, PrefixSharing]:
        check_packable(model, tokenizer)
        if note := build_probe_tokens(unwrap_peft(model), tokenizer).note():
            context.progress.say(note)
        return is_last_layer_pruned(unwrap_peft(model)), decide_sharing(
            model, tokenizer, settings=settings, context=context
        )

    ends, share = broadcast(ranks, look) if ranks.sharded else look()
    if ends and not is_last_layer_pruned(unwrap_peft(model)):
        prune_last_layer(unwrap_peft(model))
    return share


@dataclass(frozen=True)
class TaskEncoder:
    """Rows of a task to tokens. `window` is the longest a row may be."""

    task: Task
    tokenizer: PreTrainedTokenizerBase
    window: int
    objective: str

    def pieces(self, row: Row, *, window: int | None = None) -> Sequence[EncodedRow]:
        """The row as one sequence or several. Raises DataError for a row that cannot be trained on."""
        return self.task.encode(row, self.tokenizer, window=window or self.window, objective=self.objective)


def encode_rows(
    rows: Iterable[Row], encoder: TaskEncoder, *, strict: bool = False
) -> tuple[list[EncodedRow], tuple[RejectedRow, ...]]:
    """Every row that can be trained on as tokens, and every other row with the reason.

    Raises DataError when none is left; with `strict` when any cannot be trained on, counted and with the first of them named.
    """
    encoded: list[EncodedRow] = []
    rejected: list[RejectedRow] = []
    hint = ""
    for row in rows:
        try:
            pieces = encoder.pieces(row)
            if not pieces or not all(piece.supervised for piece in pieces):
                raise DataError(f"row {row.row_id} has no token to train on", where=f"{row.file}:{row.line}")
        except DataError as error:
            rejected.append(_rejected_row(row, error.what, encoder))
            hint = hint or error.hint
            continue
        encoded.extend(pieces)
    if encoded and not (strict and rejected):
        return encoded, tuple(rejected)
    if not rejected:
        raise DataError("no rows are left to train on", hint="look at the audit's quarantine")
    first = rejected[0]
    if encoded:
        raise DataError(_rejection_message(rejected), where=f"{first.place.file}:{first.place.line}", hint=hint)
    raise DataError(
        f"none of the {len(rejected)} rows can be trained on; the first: {first.reason}",
        where=f"{first.place.file}:{first.place.line}",
    )


def _rejection_message(rejected: Sequence[RejectedRow]) -> str:
    """The first reason, how many rows there are, and where the first few stand."""
    if len(rejected) == 1:
        return rejected[0].reason
    places = ", ".join(f"{one.place.file}:{one.place.line}" for one in rejected[:MAX_LISTED_ROWS])
    more = f" and {len(rejected) - MAX_LISTED_ROWS} more" if len(rejected) > MAX_LISTED_ROWS else ""
    return f"{len(rejected)} rows cannot be trained on: {places}{more}; the first: {rejected[0].reason}"


def _encode_without_limit(row: Row, encoder: TaskEncoder) -> list[EncodedRow]:
    """The row as it would be in an endless context; nothing when its length is not what is wrong with it."""
    try:
        return [piece for piece in encoder.pieces(row, window=UNLIMITED_TOKENS) if piece.supervised]
    except DataError:
        return []


def _rejected_row(row: Row, reason: str, encoder: TaskEncoder) -> RejectedRow:
    """A row may be several sequences, one per answer; `tokens` is the longest of them, the losses are of all."""
    whole = _encode_without_limit(row, encoder)
    lost = [tokens_beyond_window(piece, encoder.window) for piece in whole]
    return RejectedRow(
        place=_row_place(row),
        reason=reason,
        tokens=max((max(piece.sides) for piece in whole), default=None),
        lost=sum(tokens for tokens, _ in lost),
        lost_trained=sum(trained for _, trained in lost),
    )


def check_token_ids(encoded: Sequence[EncodedRow], model: Any, rows: Sequence[Row]) -> None:
    """Raises DataError for a row with a token that the model's embeddings have no row for."""
    size = unwrap_peft(model).get_input_embeddings().weight.shape[0]
    bad = next((piece for piece in encoded if max(piece.ids) >= size), None)
    if bad is None:
        return
    row = next(one for one in rows if one.row_id == bad.row_id)
    said = f"row {bad.row_id} has the token {max(bad.ids):,}, and the embeddings have {size:,} rows"
    raise DataError(said, where=f"{row.file}:{row.line}", hint="name the token under train.add_tokens")


def split_validation(
    rows: list[EncodedRow], settings: TrainSettings, context: Context
) -> tuple[list[EncodedRow], list[EncodedRow]]:
    """Split off the validation share by row, so that no row has windows on both sides."""
    if settings.validation == 0:
        return rows, []
    names = list(dict.fromkeys(row.row_id for row in rows))
    count = max(1, round(settings.validation * len(names)))
    chosen = context.rng(f"train/validation/{settings.seed}").choice(len(names), size=count, replace=False)
    held = {names[index] for index in chosen}
    if len(held) == len(names):
        raise DataError(
            f"train.validation holds back all {len(names)} rows", hint="give more rows, or set train.validation to 0"
        )
    return [row for row in rows if row.row_id not in held], [row for row in rows if row.row_id in held]


def decide_sharing(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, settings: TrainSettings, context: Context
) -> PrefixSharing:
    """Whether rows share their prefixes: by the recipe, and only where it was tried on this model and is exact.

    Raises Misuse when the recipe asks for it and it is not.
    """
    if settings.share_prefixes == "off":
        return PrefixSharing(False, "train.share_prefixes is off")
    if settings.dropout or settings.neftune:
        reason, found = "each row draws its own noise (dropout or neftune)", None
    else:
        found = compare_shared_prefixes(model, tokenizer)
        if found.agrees:
            return PrefixSharing(True, "tried on this model", found)
        reason = "this model does not give a row behind a shared prefix what it gives the row alone"
    off = PrefixSharing(False, reason, found)
    if settings.share_prefixes == "on":
        raise Misuse(
            f"rows cannot share prefixes: {off.told()}", where="train.share_prefixes", hint="set it to auto or off"
        )
    context.progress.say(f"rows do not share prefixes: {off.told()}")
    return off


def base_reference(inputs: TrainInputs, rows: Sequence[Row], context: Context, *, settings: TrainSettings) -> ModelRef:
    """The base in the store as the recipe uses it; one made from nothing trains its tokenizer on the rows."""
    texts = [row_text(row) for row in rows] if isinstance(inputs.base, NewBase) else None
    return prepare_base(inputs.base, inputs.task, context, train=settings, texts=texts)


def row_text(row: Row) -> str:
    """All text of a row, for a tokenizer to count."""
    if row.example.messages:
        return "\n".join(turn.text for turn in row.example.messages)
    return "\n".join([row.example.text or "", *(row.example.labels or ())])


def with_random_adapter(model: Any, settings: TrainSettings, context: Context) -> Any:
    """A loaded base in the form that training leaves it in: with an adapter that does something, or as it is."""
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
    """What a run, or a look ahead at it, is made from."""
    return context.provenance(
        stage,
        inputs={"dataset": inputs.dataset.rows_digest, "base": base.tree},
        settings={"train": settings.model_dump(mode="json"), "task": inputs.task.model_dump(mode="json")},
    )


def _row_place(row: Row) -> Place:
    return Place(row_id=row.row_id, file=row.file, line=row.line)
