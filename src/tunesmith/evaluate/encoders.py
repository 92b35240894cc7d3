"""Answers of a tuned encoder to the held-out rows, and of a linear model on its frozen base."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.artifacts import Row, TrainReport
from tunesmith.context import Context
from tunesmith.evaluate.system import ProgressCounter, System, pair_answers
from tunesmith.models.backends.encoder import EncoderModel, open_encoder
from tunesmith.models.loading import Precision
from tunesmith.models.tasks import EncoderTask
from tunesmith.models.tasks.padded import EncoderRow
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring.baselines import predict_logistic


@dataclass(frozen=True)
class EncoderEvaluation:
    """The held-out rows, task and settings for evaluating an encoder; an `Evaluation`."""

    rows: Sequence[Row]
    task: EncoderTask
    settings: EvaluateSettings
    context: Context
    precision: Precision


def encoder_systems(trained: TrainReport, training: Sequence[Row], evaluation: EncoderEvaluation) -> list[System]:
    """The tuned model and, for single labels, logistic regression on the states of its frozen base."""
    store, model = evaluation.context.store, trained.model
    folder = store.checkout(trained.base.tree)
    base_folder = folder if model.kind == "adapter" else None
    head, dtype = evaluation.task.head, evaluation.precision
    tuned = open_encoder(store.checkout(model.tree), head, digest=model.tree, base=base_folder, dtype=dtype)
    systems = [
        System(
            "tuned", evaluation.task.how, pair_answers(evaluation, encoder_answers(tuned, evaluation, label="tuned"))
        )
    ]
    del tuned
    if evaluation.task.settings.type == "classify" and evaluation.task.settings.labels == "single":
        base = open_encoder(folder, head, digest=trained.base.tree, dtype=dtype, seed=0)
        how = f"logistic regression on the frozen base's mean states of {len(training)} training rows"
        systems.append(
            System("base-frozen", how, pair_answers(evaluation, _frozen_base_answers(base, training, evaluation)))
        )
    return systems


def encoder_answers(model: EncoderModel, evaluation: EncoderEvaluation, *, label: str) -> list[str]:
    """The model's answer to every row, as metrics read it. Raises DataError for a row that does not fit the context."""
    rows = _encode_rows(model, evaluation.rows, evaluation)
    with ProgressCounter(evaluation.context, label, len(rows)) as report:
        logits = model.logits(rows, report=report)
    return [evaluation.task.answer(row, values) for row, values in zip(rows, logits, strict=True)]


def _frozen_base_answers(base: EncoderModel, training: Sequence[Row], evaluation: EncoderEvaluation) -> list[str]:
    all_rows = [*training, *evaluation.rows]
    with ProgressCounter(evaluation.context, "base, frozen", len(all_rows)) as report:
        states = base.states(_encode_rows(base, all_rows, evaluation), report=report).numpy()
    labels = [evaluation.task.expected(row) for row in training]
    return predict_logistic(states[: len(training)], labels, states[len(training) :])


def _encode_rows(model: EncoderModel, rows: Sequence[Row], evaluation: EncoderEvaluation) -> list[EncoderRow]:
    return [evaluation.task.question(row, model.tokenizer, window=model.context) for row in rows]
