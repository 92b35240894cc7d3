"""The evaluate stage: the same held-out rows to the tuned model, its base (twice) and the baselines; then pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tunesmith.artifacts import (
    Comparison,
    Dataset,
    EvaluationReport,
    Row,
    Score,
    SystemScores,
    TrainReport,
)
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError
from tunesmith.evaluate.answers import (
    DecoderEvaluation,
    choose_labels,
    few_shot_messages,
    generate_answers,
    measure_bits,
)
from tunesmith.evaluate.baselines import baseline_systems
from tunesmith.evaluate.encoders import EncoderEvaluation, encoder_systems
from tunesmith.evaluate.entity_types import score_entity_types
from tunesmith.evaluate.seq2seq import Seq2SeqEvaluation, seq2seq_systems
from tunesmith.evaluate.system import Evaluation, System, text_system
from tunesmith.models.architecture import architecture_of
from tunesmith.models.backends.local import LocalModel, open_local, strip_adapter
from tunesmith.models.loading import Precision
from tunesmith.models.tasks import DecoderTask, Seq2seqTask, build_task
from tunesmith.recipe import EvaluateSettings, TaskSettings
from tunesmith.scoring import Metric, PairedScores, SystemAnswer, metrics_for
from tunesmith.scoring.defaults import LABEL_METRICS, default_metrics
from tunesmith.scoring.metrics.entity_f1 import EntityF1

MAX_SAMPLES = 8
SAMPLED_SYSTEMS = ("tuned", "base-plain", "base-prompted", "base-frozen")


@dataclass(frozen=True)
class EvaluateInputs:
    """The trained model with its base, the rows it was trained on (for baselines and examples) and the held-out rows."""

    trained: TrainReport
    training: Dataset
    test: Dataset | None
    task: TaskSettings


def run(inputs: EvaluateInputs, settings: EvaluateSettings, context: Context) -> EvaluationReport:
    """Score every system on every held-out row and compare the tuned model with each of the others, row by row.

    It computes with the threads of the training, whose count the training report has: another count changes the last bits.
    """
    if inputs.test is None or inputs.test.rows == 0:
        raise DataError("there are no held-out rows to evaluate on", hint="name a file under data.test")
    started = context.clock.seconds()
    torch.set_num_threads(inputs.trained.threads)
    training, rows = load_rows(inputs.training, context.store), load_rows(inputs.test, context.store)
    metrics = metrics_for(settings, settings.metrics or default_metrics(inputs.task))
    precision = inputs.trained.precision if settings.precision == "training" else settings.precision
    asked, models = _model_systems(inputs, rows, training, settings=settings, context=context, precision=precision)
    learned = baseline_systems(inputs.task, asked, training, metrics=metrics)
    systems = [*models, *learned]
    scores = {system.name: _scores(system, metrics) for system in systems}
    return EvaluationReport(
        provenance=context.provenance(
            "evaluate",
            inputs={
                "model": inputs.trained.model.tree,
                "base": inputs.trained.base.tree,
                "test": inputs.test.rows_digest,
                "training": inputs.training.rows_digest,
            },
            settings={"evaluate": settings.model_dump(mode="json"), "task": inputs.task.model_dump(mode="json")},
        ),
        test=inputs.test,
        precision=precision,
        systems=tuple(_summary(system, scores[system.name], metrics, context) for system in systems),
        comparisons=_comparisons(scores, metrics, context),
        entity_types=tuple(
            line
            for metric in metrics
            if isinstance(metric, EntityF1)
            for line in score_entity_types(scores["tuned"][metric.id], metric, context)
        ),
        samples=_samples(asked, systems),
        measured={"seconds": round(context.clock.seconds() - started, 2)},
    )


def _model_systems(
    inputs: EvaluateInputs,
    rows: Sequence[Row],
    training: Sequence[Row],
    *,
    settings: EvaluateSettings,
    context: Context,
    precision: Precision,
) -> tuple[Evaluation, list[System]]:
    """The rows as they are asked, and what the tuned model and its base say to them."""
    task = build_task(inputs.task, architecture_of(context.store.checkout(inputs.trained.base.tree)), training)
    if isinstance(task, DecoderTask):
        asked = DecoderEvaluation(rows, task, settings, context)
        return asked, _decoder_systems(inputs, asked, training, precision=precision)
    if isinstance(task, Seq2seqTask):
        writer = Seq2SeqEvaluation(rows, task, settings, context, precision)
        return writer, seq2seq_systems(inputs.trained, writer)
    encoder = EncoderEvaluation(rows, task, settings, context, precision)
    return encoder, encoder_systems(inputs.trained, training, encoder)


def _decoder_systems(
    inputs: EvaluateInputs, asked: DecoderEvaluation, training: Sequence[Row], *, precision: Precision
) -> list[System]:
    """The tuned model, then its base plain and its base at its best without tuning; one model is in memory at a time."""
    trained, store = inputs.trained, asked.context.store
    folder = store.checkout(trained.base.tree)
    below = folder if trained.model.kind == "adapter" else None
    tuned = open_local(store.checkout(trained.model.tree), digest=trained.model.tree, base=below, dtype=precision)
    first = _tuned_system(tuned, asked)
    base = strip_adapter(tuned, folder, digest=trained.base.tree)
    del tuned
    if base is None:
        base = open_local(folder, digest=trained.base.tree, dtype=precision)
    return [first, *_base_systems(base, asked, training)]


def _tuned_system(tuned: LocalModel, asked: DecoderEvaluation) -> System:
    match asked.task.settings.type:
        case "text":
            return System("tuned", "likelihood of each text", measure_bits(tuned, asked, label="tuned"))
        case "classify":
            labels = asked.task.labels
            how = f"the most likely of {len(labels)} labels"
            return System("tuned", how, choose_labels(tuned, asked, label="tuned", labels=labels))
        case _:
            return text_system("tuned", "greedy text", generate_answers(tuned, asked, label="tuned"))


def _base_systems(base: LocalModel, asked: DecoderEvaluation, training: Sequence[Row]) -> list[System]:
    if asked.task.settings.type == "text":
        return [System("base-plain", "likelihood of each text", measure_bits(base, asked, label="base"))]
    plain = text_system("base-plain", "greedy text", generate_answers(base, asked, label="base, plain"))
    if asked.task.settings.type == "classify":
        labels = asked.task.labels
        how = f"the most likely of {len(labels)} labels"
        answers = choose_labels(base, asked, label="base, labels by likelihood", labels=labels)
        return [plain, System("base-prompted", how, answers)]
    before = few_shot_messages(training, asked, base)
    how = f"greedy text after {len(before) // 2} training examples in the prompt"
    answers = generate_answers(base, asked, label="base, with examples", before=before)
    return [plain, text_system("base-prompted", how, answers)]


def _scores(system: System, metrics: Sequence[Metric]) -> dict[str, list[Score]]:
    """Per-example scores by metric."""
    kept = [metric for metric in metrics if not system.labels_only or metric.id in LABEL_METRICS]
    return {metric.id: [metric.score(answer) for answer in system.answers] for metric in kept}


def _summary(
    system: System, scores: Mapping[str, list[Score]], metrics: Sequence[Metric], context: Context
) -> SystemScores:
    lines = b"".join(score.canonical() + b"\n" for values in scores.values() for score in values)
    estimates = tuple(
        metric.estimate(scores[metric.id], context.rng(f"evaluate/{metric.id}/{system.name}"))
        for metric in metrics
        if metric.id in scores
    )
    return SystemScores(
        system=system.name, how=system.how, estimates=estimates, scores=context.store.objects.put(lines)
    )


def _comparisons(
    scores: Mapping[str, Mapping[str, list[Score]]], metrics: Sequence[Metric], context: Context
) -> tuple[Comparison, ...]:
    """Tuned against every other system, for every metric that both have."""
    tuned = scores["tuned"]
    return tuple(
        metric.compare(
            PairedScores(tuned[metric.id], others[metric.id], name), context.rng(f"evaluate/pair/{metric.id}/{name}")
        )
        for metric in metrics
        for name, others in scores.items()
        if name != "tuned" and metric.id in others
    )


def _samples(asked: Evaluation, systems: Sequence[System]) -> tuple[dict[str, str], ...]:
    """The first held-out rows with what each model said, for people to look at."""
    models = [system for system in systems if system.name in SAMPLED_SYSTEMS]
    return tuple(
        {
            "row_id": row.row_id,
            "place": f"{row.file}:{row.line}",
            "prompt": row.example.prompt_text[:2000],
            "expected": asked.task.expected(row),
            **{system.name: _sample_text(system.answers[index]) for system in models},
        }
        for index, row in enumerate(asked.rows[:MAX_SAMPLES])
    )


def _sample_text(answer: SystemAnswer) -> str:
    return "(no answer: its thoughts are never closed)" if answer.unclosed else answer.output
