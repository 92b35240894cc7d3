"""The evaluate stage: the same held-out rows to the tuned model, its base (twice) and the baselines; then pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith import process
from tunesmith.artifacts import (
    Comparison,
    Dataset,
    EvaluationReport,
    ModelRef,
    Row,
    Score,
    SystemScores,
    TrainReport,
)
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError
from tunesmith.evaluate.answers import Asked, chosen, few_shot, generated, measured_bits
from tunesmith.models.backends.local import LocalModel, open_local
from tunesmith.models.tasks import build_task, label_set
from tunesmith.recipe import EvaluateSettings, TaskSettings
from tunesmith.scoring import Answer, Metric, Pair, metrics_for
from tunesmith.scoring.baselines import predict
from tunesmith.scoring.reading import read_label, write_label

process.prepare()

import torch  # noqa: E402

DEFAULT_METRICS = {
    "chat": ("exact-match", "macro-f1", "chrf"),
    "classify": ("exact-match", "macro-f1"),
    "text": ("bits-per-byte",),
}
LABEL_METRICS = ("exact-match", "macro-f1")
LABEL_SHARE = 0.5
"""Where more than this share of the whole completions differ, they are texts and not labels."""

SAMPLES = 8


@dataclass(frozen=True)
class EvaluateInputs:
    """The trained model with its base, the rows it was trained on (for baselines and examples) and the held-out rows."""

    trained: TrainReport
    training: Dataset
    test: Dataset | None
    task: TaskSettings


@dataclass(frozen=True)
class System:
    """One system's answers: `how` says in words how it was asked. One that only names labels is scored on labels alone."""

    name: str
    how: str
    answers: Sequence[Answer]
    labels_only: bool = False


def run(inputs: EvaluateInputs, settings: EvaluateSettings, context: Context) -> EvaluationReport:
    """Score every system on every held-out row and compare the tuned model with each of the others, row by row.

    It computes with the threads of the training, whose count the training report has: another count changes the last bits.
    """
    if inputs.test is None or inputs.test.rows == 0:
        raise DataError("there are no held-out rows to evaluate on", hint="name a file under data.test")
    started = context.clock.seconds()
    torch.set_num_threads(inputs.trained.threads)
    training, rows = load_rows(inputs.training, context.store), load_rows(inputs.test, context.store)
    asked = Asked(rows, build_task(inputs.task), settings, context)
    metrics = metrics_for(settings, settings.metrics or DEFAULT_METRICS[inputs.task.type])
    systems = [*_models(inputs, asked, training), *_baselines(asked, training, metrics)]
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
        systems=tuple(_summary(system, scores[system.name], metrics, context) for system in systems),
        comparisons=_comparisons(scores, metrics, context),
        samples=_samples(asked, systems),
        measured={"seconds": round(context.clock.seconds() - started, 2)},
    )


def _models(inputs: EvaluateInputs, asked: Asked, training: Sequence[Row]) -> list[System]:
    """The tuned model, then its base plain and its base at its best without tuning."""
    base = _open(inputs.trained.base, None, asked.context)
    tuned = _open(inputs.trained.model, inputs.trained.base, asked.context)
    if asked.task.settings.type == "text":
        return [
            System("tuned", "likelihood of each text", measured_bits(tuned, asked, label="tuned")),
            System("base-plain", "likelihood of each text", measured_bits(base, asked, label="base")),
        ]
    if asked.task.settings.type == "classify":
        labels = label_set(training)
        how = f"the most likely of {len(labels)} labels"
        return [
            System("tuned", how, chosen(tuned, asked, label="tuned", labels=labels)),
            System("base-plain", "greedy text", generated(base, asked, label="base, plain")),
            System("base-prompted", how, chosen(base, asked, label="base, labels by likelihood", labels=labels)),
        ]
    before = few_shot(training, asked, base)
    how = f"greedy text after {len(before) // 2} training examples in the prompt"
    return [
        System("tuned", "greedy text", generated(tuned, asked, label="tuned")),
        System("base-plain", "greedy text", generated(base, asked, label="base, plain")),
        System("base-prompted", how, generated(base, asked, label="base, with examples", before=before)),
    ]


def _open(model: ModelRef, base: ModelRef | None, context: Context) -> LocalModel:
    below = context.store.checkout(base.tree) if base is not None and model.kind == "adapter" else None
    return open_local(context.store.checkout(model.tree), digest=model.tree, base=below)


def _baselines(asked: Asked, training: Sequence[Row], metrics: Sequence[Metric]) -> list[System]:
    """Majority class and TF-IDF, where a metric reads a label; they learn from the training rows that have one."""
    key = asked.settings.label
    if not any(metric.id in LABEL_METRICS for metric in metrics):
        return []
    labelled = [(row.example.prompt_text, read_label(row.example.completion, key)) for row in training]
    pairs = [(prompt, label) for prompt, label in labelled if label is not None]
    if not pairs:
        asked.context.progress.say(f"baselines: left out, no training row has a label under {key!r}")
        return []
    distinct = len({label for _, label in pairs})
    if key is None and distinct > LABEL_SHARE * len(pairs):
        asked.context.progress.say(
            f"baselines: left out, {distinct} of {len(pairs)} completions differ and are no labels; set evaluate.label"
        )
        return []
    how = f"learned from {len(pairs)} of {len(labelled)} training rows, those with a label"
    if len(pairs) == len(labelled):
        how = f"learned from the same {len(pairs)} training rows"
    prompts = [row.example.prompt_text for row in asked.rows]
    found = []
    for name in asked.context.progress.track(asked.settings.baselines, label="baselines"):
        labels = predict(name, pairs, prompts)
        texts = [write_label(label, key) for label in labels]
        answers = [
            Answer(row.row_id, asked.task.expected(row), text) for row, text in zip(asked.rows, texts, strict=True)
        ]
        found.append(System(name, how, answers, labels_only=True))
    return found


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
            Pair(tuned[metric.id], others[metric.id], name), context.rng(f"evaluate/pair/{metric.id}/{name}")
        )
        for metric in metrics
        for name, others in scores.items()
        if name != "tuned" and metric.id in others
    )


def _samples(asked: Asked, systems: Sequence[System]) -> tuple[dict[str, str], ...]:
    """The first held-out rows with what each model said, for people to look at."""
    models = [system for system in systems if system.name in ("tuned", "base-plain", "base-prompted")]
    return tuple(
        {
            "row_id": row.row_id,
            "place": f"{row.file}:{row.line}",
            "prompt": row.example.prompt_text[:2000],
            "expected": asked.task.expected(row),
            **{system.name: system.answers[index].output for system in models},
        }
        for index, row in enumerate(asked.rows[:SAMPLES])
    )
