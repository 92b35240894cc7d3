"""The train stage: from audited rows and a base model to a trained model and its report."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import ModelRef, Provenance, TrainReport
from tunesmith.chat.templates import require_template
from tunesmith.context import Context, SilentProgress
from tunesmith.errors import Misuse
from tunesmith.models.loading import QUANTIZATION_FILE
from tunesmith.models.tasks import EncodedRow, Task
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.consumption import store_consumption
from tunesmith.train.distributed.failures import first_failure, has_failed
from tunesmith.train.distributed.ranks import Ranks, broadcast, join_ranks
from tunesmith.train.distributed.ray_runner import run_on_ray
from tunesmith.train.distributed.wrap import check_sharding, gather_model, wrap_model
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.methods import check_machine, load_base, prepare_model, save_model
from tunesmith.train.precision import precision_of, resolve_precision
from tunesmith.train.setup import TrainInputs, provenance_of, set_up_training
from tunesmith.train.state import TrainState
from tunesmith.train.trackers import check_trackers
from tunesmith.train.unfinished_runs import describe_unfinished_runs, record_provenance

SHARING_SAMPLE_STEPS = 20


@dataclass(frozen=True)
class TrainJob:
    """What to train; rank 0 sends it to the other ranks."""

    inputs: TrainInputs
    settings: TrainSettings
    seed: int


def run(inputs: TrainInputs, settings: TrainSettings, context: Context) -> TrainReport:
    """Train the model and store it. After a kill, the same call resumes from the last checkpoint and ends in the same weights.

    Under torchrun every rank calls this function or `follow_rank_zero`, and every caller gets the report; only rank 0 writes to
    the store and prints. Raises Misuse, RecipeError or DataError when the inputs cannot be trained, and Diverged when the loss
    is not finite or has diverged.
    """
    settings = resolve_precision(settings)
    job = TrainJob(inputs, settings, context.seed)
    if settings.runner == "local":
        return _run_on_rank(job, context)
    if join_ranks().size > 1:
        hint = "start the recipe without torchrun, because Ray starts the ranks; or set `train: {runner: local}`"
        raise Misuse("torchrun has started ranks, but the recipe sets the Ray runner", where="train.runner", hint=hint)
    return run_on_ray(_run_on_rank, job, workers=settings.workers, context=context)


def _run_on_rank(job: TrainJob, context: Context) -> TrainReport:
    """Train on this rank; every rank calls it with the same job."""
    ranks = join_ranks()
    with first_failure(ranks):
        if broadcast(ranks, lambda: job) != job:
            raise Misuse(
                "rank 0 has another recipe or other rows", hint="start all ranks with the same recipe and data"
            )
        return _train(job, context, ranks)


def is_follower() -> bool:
    """Whether torchrun started this process as a rank other than 0, which calls `follow_rank_zero`."""
    return not join_ranks().is_main


def follow_rank_zero(context: Context) -> None:
    """Take part in every training of rank 0 until it calls `dismiss_followers`; the other ranks of torchrun call this."""
    ranks = join_ranks()
    with first_failure(ranks):
        while (job := broadcast(ranks, _no_job)) is not None:
            _train(job, context, ranks)


def dismiss_followers() -> None:
    """End `follow_rank_zero` on the other ranks. Rank 0 calls it after its recipe; after a failure those ranks have exited."""
    ranks = join_ranks()
    if not has_failed(ranks):
        broadcast(ranks, _no_job)


def _no_job() -> TrainJob | None:
    return None


def _train(job: TrainJob, context: Context, ranks: Ranks) -> TrainReport:
    """Set up, train, gather the model on rank 0, and build the report."""
    inputs, settings = job.inputs, job.settings
    ranks = replace(ranks, strategy=settings.strategy)
    context = replace(context, seed=job.seed, progress=context.progress if ranks.is_main else SilentProgress())
    check_machine(settings)
    check_trackers(settings.track)
    check_sharding(settings, ranks)
    started = context.clock.seconds()
    setup = set_up_training(inputs, settings, context, ranks=ranks, strict=True)
    provenance = provenance_of("train", inputs, setup.base, settings=settings, context=context)
    key = provenance.digest()
    if broadcast(ranks, lambda: key) != key:
        raise Misuse(
            "a rank runs other code or libraries than rank 0", hint="install the same versions on every machine"
        )
    ranks = wrap_model(setup.model, ranks)
    plan = TrainingPlan(
        rows=setup.rows,
        steps=setup.steps,
        validation=setup.validation,
        key=key,
        folder=context.store.work(key),
        share=setup.share,
        ranks=ranks,
        batching=setup.task,
    )
    broadcast(ranks, lambda: _say_unfinished(plan, provenance, context))
    _say_sharing(plan, context)
    measured: dict[str, float] = {}
    state = run_loop(setup.model, plan, settings=settings, context=context, measured=measured)
    model = gather_model(
        setup.model, ranks, lambda: prepare_model(load_base(setup.folder, settings)[0], settings, context)
    )
    outcome = _TrainOutcome(model, setup.tokenizer, setup.base, plan, state, setup.task)
    report = broadcast(ranks, lambda: _build_report(outcome, provenance, settings=settings, context=context))
    seconds = round(context.clock.seconds() - started, 2)
    measured = {"seconds": seconds, "ranks": ranks.size, **setup.sharing.measured(), **measured}
    return report.model_copy(update={"sharing": setup.sharing.reason, "measured": measured})


def reuse_report(report: str, inputs: TrainInputs, *, settings: TrainSettings, context: Context) -> TrainReport:
    """The training report with this digest in the store. Raises Misuse when it is of other rows, settings or seed."""
    stored = context.store.get(TrainReport, report)
    expected = provenance_of("train", inputs, stored.base, settings=resolve_precision(settings), context=context)
    mine, theirs = expected.model_dump(), stored.provenance.model_dump()
    different = [name for name in ("stage", "inputs", "settings", "seed") if mine[name] != theirs[name]]
    if different:
        raise Misuse(
            f"the training report is of another run: {', '.join(different)} differ",
            where=report,
            hint="train again, or use the recipe and data that the report was made with",
        )
    return stored


def _say_unfinished(plan: TrainingPlan, provenance: Provenance, context: Context) -> None:
    """Print which unfinished runs this run does not resume, and why; record the provenance of this run."""
    for line in describe_unfinished_runs(plan.folder, provenance):
        context.progress.say(line)
    record_provenance(plan.folder, provenance)


def _say_sharing(plan: TrainingPlan, context: Context) -> None:
    """Print how many tokens prefix sharing saves in the first steps; the report has the count of the whole run."""
    if not plan.share:
        return
    steps = [[plan.rows[index] for index in step] for step in plan.steps[:SHARING_SAMPLE_STEPS]]
    whole = sum(len(row.ids) for rows in steps for row in rows)
    distinct = sum(plan.batching.computed(rows, share=True) for rows in steps)
    context.progress.say(
        f"shared prefixes: {distinct:,} of {whole:,} tokens of the first {len(steps)} steps are computed,"
        f" {whole / distinct:.2f} times fewer"
    )


@dataclass(frozen=True)
class _TrainOutcome:
    """The result of the loop, for the report."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    base: ModelRef
    plan: TrainingPlan
    state: TrainState
    task: Task


def _build_report(
    outcome: _TrainOutcome, provenance: Provenance, *, settings: TrainSettings, context: Context
) -> TrainReport:
    plan, state = outcome.plan, outcome.state
    trained = trainable_tensors(outcome.model)
    taken = plan.steps[: state.step]
    return TrainReport(
        provenance=provenance,
        model=_store_model(outcome, settings=settings, context=context),
        base=outcome.base,
        method=settings.method,
        objective=settings.objective,
        steps=len(taken),
        epochs=round(sum(len(step) for step in taken) / len(plan.rows), 4),
        rows=len({row.row_id for row in plan.rows}),
        tokens=sum(len(plan.rows[index].ids) for step in taken for index in step),
        distinct_tokens=state.distinct_tokens,
        supervised_tokens=sum(plan.rows[index].supervised for step in taken for index in step),
        trainable_parameters=sum(value.numel() for value in trained.values()),
        curve=state.curve,
        held_out=state.held_out,
        consumption=store_consumption(taken, plan.rows, context.store),
        threads=state.threads,
        precision=precision_of(settings),
        watch=state.watch,
        mask_sample=tuple(_mark_trained_text(outcome, row) for row in plan.rows[:3]),
    )


def _store_model(outcome: _TrainOutcome, *, settings: TrainSettings, context: Context) -> ModelRef:
    """Store the model or adapter with its tokenizer, as a folder that transformers and PEFT load directly."""
    model, base = outcome.model, outcome.base
    with TemporaryDirectory(dir=context.store.folder) as folder:
        save_model(model, Path(folder))
        # A template that inserts the current date would encode the same row differently tomorrow, so the date is fixed.
        if outcome.tokenizer.chat_template:
            outcome.tokenizer.chat_template = require_template(outcome.tokenizer)
        outcome.tokenizer.save_pretrained(folder)
        Path(folder, "README.md").unlink(missing_ok=True)
        if settings.method == "qlora":
            Path(folder, QUANTIZATION_FILE).write_text('{"base": "nf4", "double": true}\n')
        if settings.method != "full":
            _normalize_adapter_config(Path(folder, "adapter_config.json"), base.name)
        tree = context.store.put_tree(Path(folder))
    kind = "model" if settings.method == "full" else "adapter"
    parameters = sum(value.numel() for value in model.parameters()) if settings.method != "qlora" else base.parameters
    return ModelRef(name=base.name, tree=tree, kind=kind, base=base.tree, parameters=parameters)


def _normalize_adapter_config(path: Path, base: str) -> None:
    """Make equal adapters have equal bytes: PEFT writes a local path of the base, and sets in arbitrary order."""
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = base
    for name, value in config.items():
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            config[name] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _mark_trained_text(outcome: _TrainOutcome, row: EncodedRow) -> str:
    """A row as text with its supervised parts in double brackets, for the report."""
    parts = outcome.task.read_back(row, outcome.tokenizer)
    return "".join(f"[[{text}]]" if weight else text for text, weight in parts)
