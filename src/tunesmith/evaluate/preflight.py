"""What evaluation would refuse or leave without a number, found before training: in the rows, and with the base."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.artifacts import Dataset, Row
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError, RecipeError
from tunesmith.evaluate.answers import row_prompt_ids
from tunesmith.evaluate.baselines import NO_WORDS_REASON, labelled_pairs, wordless_baselines
from tunesmith.models.backends.encoder import open_encoder
from tunesmith.models.backends.label_scores import label_completions
from tunesmith.models.backends.self_check import check_exact
from tunesmith.models.backends.seq2seq import open_seq2seq
from tunesmith.models.loading import Precision, load_folder
from tunesmith.models.plain_reader import PlainReader
from tunesmith.models.reader import BaseReader
from tunesmith.models.reader_protocol import Reader
from tunesmith.models.task_support import Architecture
from tunesmith.models.tasks import AnyTask, DecoderTask, Seq2seqTask, build_task
from tunesmith.preflight import Fault
from tunesmith.recipe import EvaluateSettings, Requirement, TaskSettings
from tunesmith.scoring import SystemAnswer, metrics_for
from tunesmith.scoring.aggregate import min_interval_rows
from tunesmith.scoring.defaults import default_metrics, has_label_baselines, metric_fits

MAX_LISTED_ROWS = 3
"""Rows that are named of those that have one fault."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What is known before training: the clean rows, the task, what the policy asks, and how the base reads rows.

    `reader` is None for a base made from nothing, whose tokenizer is trained on the rows. `precision` is that of the training.
    """

    training: Dataset
    test: Dataset | None
    task: TaskSettings
    policy: Sequence[Requirement]
    reader: Reader | None
    precision: Precision = "fp32"


def find_row_faults(ahead: EvaluationPlan, settings: EvaluateSettings, context: Context) -> list[Fault]:
    """What stands against evaluating on the rows that the audit has left."""
    if ahead.test is None or ahead.test.rows == 0:
        hint = "look at the audit's quarantine, and at the rules under `audit:` that took them out"
        return [Fault("the audit left no held-out rows to evaluate on", "data.test", hint)]
    training, rows = load_rows(ahead.training, context.store), load_rows(ahead.test, context.store)
    task = build_task(ahead.task, _architecture(ahead.reader), training)
    found = [
        *_row_count_faults(ahead, len(rows), settings),
        *_unscorable_faults(ahead, rows, task, settings),
        *_baseline_faults(ahead, training, settings),
    ]
    if ahead.reader is not None and ahead.task.type != "text":
        found += _unreadable_faults(ahead.reader, rows, task, settings=settings, context=context)
    return found


def check_base(
    folder: Path, ahead: EvaluationPlan, settings: EvaluateSettings, *, context: Context, tuned: Callable[[Any], Any]
) -> None:
    """Load the base as evaluation and serving do, in the same precision, make it what training will leave, and try it.

    Raises Misuse, naming the family, for a model whose answers would not be exactly its own, and RecipeError for answers longer
    than it can write.
    """
    task = build_task(ahead.task, _architecture(ahead.reader), load_rows(ahead.training, context.store))
    precision = ahead.precision if settings.precision == "training" else settings.precision
    context.progress.say("trying the base as evaluation and serving will run it")
    if isinstance(task, DecoderTask):
        model, tokenizer = load_folder(folder, dtype=precision)
        check_exact(tuned(model), tokenizer, where="base")
    elif isinstance(task, Seq2seqTask):
        _check_answer_length(open_seq2seq(folder, digest="", dtype=precision).context, settings)
    else:
        open_encoder(folder, task.head, digest="", dtype=precision, seed=0)


def _check_answer_length(context: int, settings: EvaluateSettings) -> None:
    """Raises RecipeError for answers longer than what an encoder-decoder can write: `generate` would be told to go on."""
    if settings.max_new_tokens > context:
        said = f"{settings.max_new_tokens:,} tokens are asked for, and this model writes {context:,} at most"
        raise RecipeError(said, where="evaluate.max_new_tokens", hint=f"set it to {context} or less")


def _architecture(reader: Reader | None) -> Architecture:
    return reader.architecture if isinstance(reader, PlainReader) else "decoder"


def _unscorable_faults(
    ahead: EvaluationPlan, rows: Sequence[Row], task: AnyTask, settings: EvaluateSettings
) -> list[Fault]:
    """Metrics of the policy that some held-out row cannot be scored by, and named ones that none can.

    A metric has no value at all when one row has none, and the policy then stays inconclusive.
    """
    asked = {line.metric for line in ahead.policy}
    found = []
    for metric in metrics_for(settings, settings.metrics or default_metrics(ahead.task)):
        expected = [_expected_text(row, ahead.task, task) for row in rows]
        pairs = zip(rows, expected, strict=True)
        scores = [(row, metric.score(SystemAnswer(row.row_id, text, text, bits=1.0))) for row, text in pairs]
        bad = [(row, score.note) for row, score in scores if score.value is None]
        if bad and (metric.id in asked or (metric.id in settings.metrics and len(bad) == len(rows))):
            which = _list_rows([row for row, _ in bad])
            what = f"{len(bad)} of {len(rows)} held-out rows cannot be scored by {metric.id}: {bad[0][1]}; {which}"
            hint = "mend the rows, or the keys evaluate.label, evaluate.fields and evaluate.reply that say what is read"
            found.append(Fault(what, "evaluate.metrics", hint))
    return found


def _row_count_faults(ahead: EvaluationPlan, count: int, settings: EvaluateSettings) -> list[Fault]:
    """Lines of the policy that no answers can meet: the metric has no interval for so few held-out rows."""
    metrics = {one.id: one for one in metrics_for(settings, settings.metrics or default_metrics(ahead.task))}
    other = ", or ask for exact-match, which needs fewer" if metric_fits("exact-match", ahead.task) else ""
    found = []
    for at, line in enumerate(ahead.policy):
        fewest = min_interval_rows(metrics[line.metric]) if line.metric in metrics else 1
        if count < fewest:
            what = f"the interval of {line.metric} needs at least {fewest} held-out rows, and there are {count}"
            hint = f"hold out {fewest - count} more (data.test, or data.split){other}"
            found.append(Fault(what, f"gate.{at}", hint))
    return found


def _expected_text(row: Row, settings: TaskSettings, task: AnyTask) -> str:
    return (row.example.text or row.example.completion) if settings.type == "text" else task.expected(row)


def _baseline_faults(ahead: EvaluationPlan, training: Sequence[Row], settings: EvaluateSettings) -> list[Fault]:
    """A baseline that the policy compares with, and that no training row can teach."""
    named = (line.better_than or line.no_worse_than for line in ahead.policy)
    references = sorted({name for name in named if name is not None and name != "base"})
    if references and has_label_baselines(ahead.task):
        _, reason = labelled_pairs(training, settings.label)
        hint = "set evaluate.label to the key of the completion's JSON that holds the label, or compare with base"
        if reason:
            return [Fault(f"{name} cannot be measured: {reason}", "gate", hint) for name in references]
    wordless = wordless_baselines(references, training)
    return [
        Fault(f"{name} cannot be measured: {NO_WORDS_REASON}", "gate", "compare with another system")
        for name in wordless
    ]


def _unreadable_faults(
    reader: Reader, rows: Sequence[Row], task: AnyTask, *, settings: EvaluateSettings, context: Context
) -> list[Fault]:
    """Held-out rows that the base cannot be asked; labels that it cannot write."""
    measure, limit = _length_function(reader, task), reader.window
    refused: list[tuple[Row, str]] = []
    tight = 0
    for row in context.progress.track(rows, label="read held-out rows", total=len(rows)):
        try:
            length = measure(row)
        except DataError as error:
            refused.append((row, error.what))
            continue
        if length >= limit:
            refused.append((row, f"{length} tokens, and the context holds {limit}, answer included"))
        tight += length < limit < length + settings.max_new_tokens
    if tight and isinstance(task, DecoderTask):
        context.progress.say(
            f"{tight} of {len(rows)} held-out rows leave fewer than evaluate.max_new_tokens ({settings.max_new_tokens}) of the "
            f"{limit} positions for the answer; it ends there"
        )
    found = []
    if refused:
        which = _list_rows([row for row, _ in refused])
        what = f"{len(refused)} of {len(rows)} held-out rows cannot be asked: {refused[0][1]}; {which}"
        hint = "shorten or mend these rows, or drop them with `audit: {drop: [over-long]}`; rows are never cut silently"
        found.append(Fault(what, "data.test", hint))
    if isinstance(reader, BaseReader) and task.settings.type == "classify":
        try:
            label_completions(reader.tokenizer, task.labels)
        except DataError as error:
            found.append(
                Fault(error.what, "task", "rename the label, or give another chat template: task.chat_template")
            )
    return found


def _length_function(reader: Reader, task: AnyTask) -> Callable[[Row], int]:
    """Tokens of what the base is given of a row. Raises DataError for a row that it cannot be given."""
    match reader, task:
        case BaseReader(tokenizer=tokenizer), DecoderTask():
            return lambda row: len(row_prompt_ids(tokenizer, row, task.prompt(row)))
        case PlainReader(tokenizer=tokenizer), _ if not isinstance(task, DecoderTask):
            return lambda row: len(task.question(row, tokenizer, window=reader.window).ids) - 1
    return lambda row: 0


def _list_rows(rows: Sequence[Row]) -> str:
    first = ", ".join(f"{row.file}:{row.line}" for row in rows[:MAX_LISTED_ROWS])
    return first if len(rows) <= MAX_LISTED_ROWS else f"{first} and {len(rows) - MAX_LISTED_ROWS} more"
