"""Answers of a tuned encoder-decoder to the held-out rows, and of its base before tuning."""

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
    """The held-out rows, task and settings for evaluating an encoder-decoder; an `Evaluation`."""

    rows: Sequence[Row]
    task: Seq2seqTask
    settings: EvaluateSettings
    context: Context
    precision: Precision


def seq2seq_systems(trained: TrainReport, evaluation: Seq2SeqEvaluation) -> list[System]:
    """The tuned model, and its base with the same instruction. Only one model is in memory at a time."""
    store, model = evaluation.context.store, trained.model
    folder = store.checkout(trained.base.tree)
    base_folder = folder if model.kind == "adapter" else None
    tuned = open_seq2seq(store.checkout(model.tree), digest=model.tree, base=base_folder, dtype=evaluation.precision)
    tuned_system = text_system(
        "tuned", evaluation.task.how, pair_answers(evaluation, generate_texts(tuned, evaluation, label="tuned"))
    )
    del tuned
    base = open_seq2seq(folder, digest=trained.base.tree, dtype=evaluation.precision)
    return [
        tuned_system,
        text_system(
            "base-plain", evaluation.task.how, pair_answers(evaluation, generate_texts(base, evaluation, label="base"))
        ),
    ]


def generate_texts(model: Seq2SeqModel, evaluation: Seq2SeqEvaluation, *, label: str) -> list[str]:
    """The generated target of every row. Raises DataError for a row whose source does not fit the context."""
    window, settings = model.context, evaluation.settings
    rows = [evaluation.task.question(row, model.tokenizer, window=window) for row in evaluation.rows]
    with ProgressCounter(evaluation.context, label, len(rows)) as report:
        targets = model.generate(
            [row.source for row in rows], max_new_tokens=settings.max_new_tokens, batch=settings.batch, report=report
        )
    return [model.text(ids) for ids in targets]
