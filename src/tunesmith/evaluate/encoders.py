"""What an encoder answers on the held-out rows, and what its base can do with a linear model on top of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.artifacts import Row, TrainReport
from tunesmith.context import Context
from tunesmith.evaluate.system import Counted, System, answers_of
from tunesmith.models.backends.encoder import EncoderModel, open_encoder
from tunesmith.models.loading import Precision
from tunesmith.models.tasks import EncoderTask
from tunesmith.models.tasks.padded import Labelled
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring.baselines import regress


@dataclass(frozen=True)
class AskedEncoder:
    """A `HeldOut` for an encoder."""

    rows: Sequence[Row]
    task: EncoderTask
    settings: EvaluateSettings
    context: Context
    precision: Precision


def encoder_systems(trained: TrainReport, training: Sequence[Row], asked: AskedEncoder) -> list[System]:
    """The tuned model, and its base as far as it goes without tuning: frozen, with a linear model on its states."""
    store, model = asked.context.store, trained.model
    folder = store.checkout(trained.base.tree)
    below = folder if model.kind == "adapter" else None
    head, dtype = asked.task.head, asked.precision
    tuned = open_encoder(store.checkout(model.tree), head, digest=model.tree, base=below, dtype=dtype)
    systems = [System("tuned", asked.task.how, answers_of(asked, answered(tuned, asked, label="tuned")))]
    del tuned
    if asked.task.settings.type == "classify" and asked.task.settings.labels == "single":
        base = open_encoder(folder, head, digest=trained.base.tree, dtype=dtype, seed=0)
        how = f"logistic regression on the frozen base's mean states of {len(training)} training rows"
        systems.append(System("base-frozen", how, answers_of(asked, _on_frozen(base, training, asked))))
    return systems


def answered(model: EncoderModel, asked: AskedEncoder, *, label: str) -> list[str]:
    """The model's answer to every row, as metrics read it. Raises DataError for a row that does not fit its positions."""
    rows = _questions(model, asked.rows, asked)
    with Counted(asked.context, label, len(rows)) as add:
        logits = model.logits(rows, report=add)
    return [asked.task.answer(row, one) for row, one in zip(rows, logits, strict=True)]


def _on_frozen(base: EncoderModel, training: Sequence[Row], asked: AskedEncoder) -> list[str]:
    every = [*training, *asked.rows]
    with Counted(asked.context, "base, frozen", len(every)) as add:
        states = base.states(_questions(base, every, asked), report=add).numpy()
    labels = [asked.task.expected(row) for row in training]
    return regress(states[: len(training)], labels, states[len(training) :])


def _questions(model: EncoderModel, rows: Sequence[Row], asked: AskedEncoder) -> list[Labelled]:
    return [asked.task.question(row, model.tokenizer, window=model.context) for row in rows]
