"""The evaluate stage: scores of the tuned model, its base and baselines on the same held-out rows, compared in pairs."""

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
    """The trained model and its base, the training rows (for baselines and few-shot examples), and the held-out rows."""

    trained: TrainReport
    training: Dataset
    test: Dataset | None
    task: TaskSettings


def run(inputs: EvaluateInputs, settings: EvaluateSettings, context: Context) -> EvaluationReport:
    """Score every system on every held-out row, and compare the tuned model with each other system row by row.

    Uses the thread count of the training, from its report: another count changes the last bits. Raises DataError without
    held-out rows.
    """
    if inputs.test is None or inputs.test.rows == 0:
        raise DataError(
            "there are no held-out rows to evaluate on",
            hint="set data.test to a file, or data.split to hold out a share of the rows",
        )
    started = context.clock.seconds()
    torch.set_num_threads(inputs.trained.threads)
    training, rows = load_rows(inputs.training, context.store), load_rows(inputs.test, context.store)
    metrics = metrics_for(settings, settings.metrics or default_metrics(inputs.task))
    precision = inputs.trained.precision if settings.precision == "training" else settings.precision
    evaluation, models = _model_systems(inputs, rows, training, settings=settings, context=context, precision=precision)
    baselines = baseline_systems(inputs.task, evaluation, training, metrics=metrics)
    systems = [*models, *baselines]
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
        samples=_samples(evaluation, systems),
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
    """The evaluation of the task's model kind, and the answers of the tuned model and its base."""
    task = build_task(inputs.task, architecture_of(context.store.checkout(inputs.trained.base.tree)), training)
    if isinstance(task, DecoderTask):
        decoder = DecoderEvaluation(rows, task, settings, context)
        return decoder, _decoder_systems(inputs, decoder, training, precision=precision)
    if isinstance(task, Seq2seqTask):
        seq2seq = Seq2SeqEvaluation(rows, task, settings, context, precision)
        return seq2seq, seq2seq_systems(inputs.trained, seq2seq)
    encoder = EncoderEvaluation(rows, task, settings, context, precision)
    return encoder, encoder_systems(inputs.trained, training, encoder)


def _decoder_systems(
    inputs: EvaluateInputs, evaluation: DecoderEvaluation, training: Sequence[Row], *, precision: Precision
) -> list[System]:
    """The tuned model, the base with the plain prompt, and the base prompted as well as possible without tuning.

    Only one model is in memory at a time.
    """
    trained, store = inputs.trained, evaluation.context.store
    folder = store.checkout(trained.base.tree)
    base_folder = folder if trained.model.kind == "adapter" else None
    tuned = open_local(store.checkout(trained.model.tree), digest=trained.model.tree, base=base_folder, dtype=precision)
    tuned_system = _tuned_system(tuned, evaluation)
    base = strip_adapter(tuned, folder, digest=trained.base.tree)
    del tuned
    if base is None:
        base = open_local(folder, digest=trained.base.tree, dtype=precision)
    return [tuned_system, *_base_systems(base, evaluation, training)]


def _tuned_system(tuned: LocalModel, evaluation: DecoderEvaluation) -> System:
    match evaluation.task.settings.type:
        case "text":
            return System("tuned", "likelihood of each text", measure_bits(tuned, evaluation, label="tuned"))
        case "classify":
            labels = evaluation.task.labels
            how = f"the most likely of {len(labels)} labels"
            return System("tuned", how, choose_labels(tuned, evaluation, label="tuned", labels=labels))
        case _:
            return text_system("tuned", "greedy text", generate_answers(tuned, evaluation, label="tuned"))


def _base_systems(base: LocalModel, evaluation: DecoderEvaluation, training: Sequence[Row]) -> list[System]:
    if evaluation.task.settings.type == "text":
        return [System("base-plain", "likelihood of each text", measure_bits(base, evaluation, label="base"))]
    plain = text_system("base-plain", "greedy text", generate_answers(base, evaluation, label="base, plain"))
    if evaluation.task.settings.type == "classify":
        labels = evaluation.task.labels
        how = f"the most likely of {len(labels)} labels"
        answers = choose_labels(base, evaluation, label="base, labels by likelihood", labels=labels)
        return [plain, System("base-prompted", how, answers)]
    examples = few_shot_messages(training, evaluation, base)
    how = f"greedy text after {len(examples) // 2} training examples in the prompt"
    answers = generate_answers(base, evaluation, label="base, with examples", examples=examples)
    return [plain, text_system("base-prompted", how, answers)]


def _scores(system: System, metrics: Sequence[Metric]) -> dict[str, list[Score]]:
    """Per-example scores by metric."""
    applicable = [metric for metric in metrics if not system.labels_only or metric.id in LABEL_METRICS]
    return {metric.id: [metric.score(answer) for answer in system.answers] for metric in applicable}


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
    """Paired comparison of the tuned model with every other system, for every metric that both have."""
    tuned = scores["tuned"]
    return tuple(
        metric.compare(
            PairedScores(tuned[metric.id], others[metric.id], name), context.rng(f"evaluate/pair/{metric.id}/{name}")
        )
        for metric in metrics
        for name, others in scores.items()
        if name != "tuned" and metric.id in others
    )


def _samples(evaluation: Evaluation, systems: Sequence[System]) -> tuple[dict[str, str], ...]:
    """The first held-out rows with the answer of each model, for reading."""
    models = [system for system in systems if system.name in SAMPLED_SYSTEMS]
    return tuple(
        {
            "row_id": row.row_id,
            "place": f"{row.file}:{row.line}",
            "prompt": row.example.prompt_text[:2000],
            "expected": evaluation.task.expected(row),
            **{system.name: _sample_text(system.answers[index]) for system in models},
        }
        for index, row in enumerate(evaluation.rows[:MAX_SAMPLES])
    )


def _sample_text(answer: SystemAnswer) -> str:
    return "(no answer: its thoughts are never closed)" if answer.unclosed else answer.output
