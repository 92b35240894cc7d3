"""What an encoder answers on the held-out rows, and what its base can do with a linear model on top of it."""

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
    """A `HeldOut` for an encoder."""

    rows: Sequence[Row]
    task: EncoderTask
    settings: EvaluateSettings
    context: Context
    precision: Precision


def encoder_systems(trained: TrainReport, training: Sequence[Row], asked: EncoderEvaluation) -> list[System]:
    """The tuned model, and its base as far as it goes without tuning: frozen, with a linear model on its states."""
    store, model = asked.context.store, trained.model
    folder = store.checkout(trained.base.tree)
    below = folder if model.kind == "adapter" else None
    head, dtype = asked.task.head, asked.precision
    tuned = open_encoder(store.checkout(model.tree), head, digest=model.tree, base=below, dtype=dtype)
    systems = [System("tuned", asked.task.how, pair_answers(asked, encoder_answers(tuned, asked, label="tuned")))]
    del tuned
    if asked.task.settings.type == "classify" and asked.task.settings.labels == "single":
        base = open_encoder(folder, head, digest=trained.base.tree, dtype=dtype, seed=0)
        how = f"logistic regression on the frozen base's mean states of {len(training)} training rows"
        systems.append(System("base-frozen", how, pair_answers(asked, _frozen_base_answers(base, training, asked))))
    return systems


def encoder_answers(model: EncoderModel, asked: EncoderEvaluation, *, label: str) -> list[str]:
    """The model's answer to every row, as metrics read it. Raises DataError for a row that does not fit its positions."""
    rows = _questions(model, asked.rows, asked)
    with ProgressCounter(asked.context, label, len(rows)) as add:
        logits = model.logits(rows, report=add)
    return [asked.task.answer(row, one) for row, one in zip(rows, logits, strict=True)]


def _frozen_base_answers(base: EncoderModel, training: Sequence[Row], asked: EncoderEvaluation) -> list[str]:
    every = [*training, *asked.rows]
    with ProgressCounter(asked.context, "base, frozen", len(every)) as add:
        states = base.states(_questions(base, every, asked), report=add).numpy()
    labels = [asked.task.expected(row) for row in training]
    return predict_logistic(states[: len(training)], labels, states[len(training) :])


def _questions(model: EncoderModel, rows: Sequence[Row], asked: EncoderEvaluation) -> list[EncoderRow]:
    return [asked.task.question(row, model.tokenizer, window=model.context) for row in rows]
