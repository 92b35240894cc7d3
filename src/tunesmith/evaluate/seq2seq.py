"""What an encoder-decoder writes to the held-out rows, and what its base writes before any tuning."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.artifacts import Row, TrainReport
from tunesmith.context import Context
from tunesmith.evaluate.system import ProgressCounter, System, pair_answers, text_system
from tunesmith.models.backends.seq2seq import Seq2SeqModel, open_seq2seq
from tunesmith.models.loading import Precision
from tunesmith.models.tasks import Seq2seqTask
from tunesmith.recipe import EvaluateSettings


@dataclass(frozen=True)
class Seq2SeqEvaluation:
    """A `HeldOut` for an encoder-decoder."""

    rows: Sequence[Row]
    task: Seq2seqTask
    settings: EvaluateSettings
    context: Context
    precision: Precision


def seq2seq_systems(trained: TrainReport, asked: Seq2SeqEvaluation) -> list[System]:
    """The tuned model, and its base under the same instruction; one model is in memory at a time."""
    store, model = asked.context.store, trained.model
    folder = store.checkout(trained.base.tree)
    below = folder if model.kind == "adapter" else None
    tuned = open_seq2seq(store.checkout(model.tree), digest=model.tree, base=below, dtype=asked.precision)
    first = text_system("tuned", asked.task.how, pair_answers(asked, generate_texts(tuned, asked, label="tuned")))
    del tuned
    base = open_seq2seq(folder, digest=trained.base.tree, dtype=asked.precision)
    return [
        first,
        text_system("base-plain", asked.task.how, pair_answers(asked, generate_texts(base, asked, label="base"))),
    ]


def generate_texts(model: Seq2SeqModel, asked: Seq2SeqEvaluation, *, label: str) -> list[str]:
    """The model's text for every row. Raises DataError for a row whose source does not fit its positions."""
    window, settings = model.context, asked.settings
    rows = [asked.task.question(row, model.tokenizer, window=window) for row in asked.rows]
    with ProgressCounter(asked.context, label, len(rows)) as add:
        found = model.generate(
            [row.source for row in rows], max_new_tokens=settings.max_new_tokens, batch=settings.batch, report=add
        )
    return [model.text(ids) for ids in found]
