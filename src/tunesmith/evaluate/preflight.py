"""Checks before training for problems that evaluation would meet afterwards, in the rows and with the base."""

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
"""Rows listed in the message of one fault."""


@dataclass(frozen=True)
class EvaluationPlan:
    """The inputs of a future evaluation: the clean rows, the task, the release policy, and how the base reads rows.

    `reader` is None for a new base, whose tokenizer is trained on the rows. `precision` is the precision of the training.
    """

    training: Dataset
    test: Dataset | None
    task: TaskSettings
    policy: Sequence[Requirement]
    reader: Reader | None
    precision: Precision = "fp32"


def find_row_faults(plan: EvaluationPlan, settings: EvaluateSettings, context: Context) -> list[Fault]:
    """Reasons why evaluation on the rows left by the audit would fail or give no value."""
    if plan.test is None or plan.test.rows == 0:
        hint = "check the audit's quarantine, and the settings under `audit:` that removed the rows"
        return [Fault("the audit left no held-out rows to evaluate on", "data.test", hint)]
    training, rows = load_rows(plan.training, context.store), load_rows(plan.test, context.store)
    task = build_task(plan.task, _architecture(plan.reader), training)
    faults = [
        *_row_count_faults(plan, len(rows), settings),
        *_unscorable_faults(plan, rows, task, settings),
        *_baseline_faults(plan, training, settings),
    ]
    if plan.reader is not None and plan.task.type != "text":
        faults += _unreadable_faults(plan.reader, rows, task, settings=settings, context=context)
    return faults


def check_base(
    folder: Path, plan: EvaluationPlan, settings: EvaluateSettings, *, context: Context, tuned: Callable[[Any], Any]
) -> None:
    """Load the base as evaluation and serving do, in the same precision, turn it into a tuned model, and run the self-check.

    `tuned` applies what training would leave, such as an adapter. Raises Misuse, naming the family, if the self-check fails, and
    RecipeError if `evaluate.max_new_tokens` is more than an encoder-decoder can generate.
    """
    task = build_task(plan.task, _architecture(plan.reader), load_rows(plan.training, context.store))
    precision = plan.precision if settings.precision == "training" else settings.precision
    context.progress.say("running the self-check of the base for evaluation and serving")
    if isinstance(task, DecoderTask):
        model, tokenizer = load_folder(folder, dtype=precision)
        check_exact(tuned(model), tokenizer, where="base")
    elif isinstance(task, Seq2seqTask):
        _check_answer_length(open_seq2seq(folder, digest="", dtype=precision).context, settings)
    else:
        open_encoder(folder, task.head, digest="", dtype=precision, seed=0)


def _check_answer_length(context: int, settings: EvaluateSettings) -> None:
    """Raises RecipeError if `evaluate.max_new_tokens` exceeds the positions of an encoder-decoder."""
    if settings.max_new_tokens > context:
        what = f"answers of {settings.max_new_tokens:,} tokens are requested; this model generates at most {context:,}"
        raise RecipeError(what, where="evaluate.max_new_tokens", hint=f"set it to {context} or less")


def _architecture(reader: Reader | None) -> Architecture:
    return reader.architecture if isinstance(reader, PlainReader) else "decoder"


def _unscorable_faults(
    plan: EvaluationPlan, rows: Sequence[Row], task: AnyTask, settings: EvaluateSettings
) -> list[Fault]:
    """Metrics of the policy that cannot score some held-out row, and metrics of the recipe that can score none.

    A metric without a score for one row has no value at all, and the policy stays inconclusive.
    """
    policy_metrics = {line.metric for line in plan.policy}
    faults = []
    for metric in metrics_for(settings, settings.metrics or default_metrics(plan.task)):
        expected = [_expected_text(row, plan.task, task) for row in rows]
        pairs = zip(rows, expected, strict=True)
        scores = [(row, metric.score(SystemAnswer(row.row_id, text, text, bits=1.0))) for row, text in pairs]
        bad = [(row, score.note) for row, score in scores if score.value is None]
        if bad and (metric.id in policy_metrics or (metric.id in settings.metrics and len(bad) == len(rows))):
            which = _list_rows([row for row, _ in bad])
            what = f"{len(bad)} of {len(rows)} held-out rows cannot be scored by {metric.id}: {bad[0][1]}; {which}"
            hint = "fix the rows, or evaluate.label, evaluate.fields or evaluate.reply, which select what is scored"
            faults.append(Fault(what, "evaluate.metrics", hint))
    return faults


def _row_count_faults(plan: EvaluationPlan, count: int, settings: EvaluateSettings) -> list[Fault]:
    """Policy lines that cannot be met, because their metric has no interval for so few held-out rows."""
    metrics = {metric.id: metric for metric in metrics_for(settings, settings.metrics or default_metrics(plan.task))}
    other = ", or use exact-match, which needs fewer" if metric_fits("exact-match", plan.task) else ""
    faults = []
    for at, line in enumerate(plan.policy):
        needed = min_interval_rows(metrics[line.metric]) if line.metric in metrics else 1
        if count < needed:
            what = f"the interval of {line.metric} needs at least {needed} held-out rows; there are {count}"
            hint = f"hold out {needed - count} more (data.test, or data.split){other}"
            faults.append(Fault(what, f"gate.{at}", hint))
    return faults


def _expected_text(row: Row, settings: TaskSettings, task: AnyTask) -> str:
    return (row.example.text or row.example.completion) if settings.type == "text" else task.expected(row)


def _baseline_faults(plan: EvaluationPlan, training: Sequence[Row], settings: EvaluateSettings) -> list[Fault]:
    """Baselines that the policy compares with but that cannot learn from the training rows."""
    named = (line.better_than or line.no_worse_than for line in plan.policy)
    references = sorted({name for name in named if name is not None and name != "base"})
    if references and has_label_baselines(plan.task):
        _, reason = labelled_pairs(training, settings.label)
        hint = "set evaluate.label to the JSON key of the label in the completions, or compare with base"
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
    """Held-out rows whose prompts the base cannot read, and labels that it cannot write."""
    measure, limit = _length_function(reader, task), reader.window
    rejected: list[tuple[Row, str]] = []
    truncated = 0
    for row in context.progress.track(rows, label="read held-out rows", total=len(rows)):
        try:
            length = measure(row)
        except DataError as error:
            rejected.append((row, error.what))
            continue
        if length >= limit:
            rejected.append((row, f"{length} tokens; the context holds {limit}, answer included"))
        truncated += length < limit < length + settings.max_new_tokens
    if truncated and isinstance(task, DecoderTask):
        context.progress.say(
            f"{truncated} of {len(rows)} held-out rows leave fewer than evaluate.max_new_tokens ({settings.max_new_tokens}) "
            f"positions for the answer (context: {limit}); their answers may be truncated"
        )
    faults = []
    if rejected:
        which = _list_rows([row for row, _ in rejected])
        what = f"{len(rejected)} of {len(rows)} held-out rows cannot be used as prompts: {rejected[0][1]}; {which}"
        hint = (
            "shorten or fix these rows, or drop them: `audit: {drop: [over-long]}`; rows are never truncated silently"
        )
        faults.append(Fault(what, "data.test", hint))
    if isinstance(reader, BaseReader) and task.settings.type == "classify":
        try:
            label_completions(reader.tokenizer, task.labels)
        except DataError as error:
            faults.append(
                Fault(
                    error.what, "task", "rename the label, or set another chat template: `task: {chat_template: ...}`"
                )
            )
    return faults


def _length_function(reader: Reader, task: AnyTask) -> Callable[[Row], int]:
    """A function that gives the prompt tokens of a row. The function raises DataError for a row that the base cannot read."""
    match reader, task:
        case BaseReader(tokenizer=tokenizer), DecoderTask():
            return lambda row: len(row_prompt_ids(tokenizer, row, task.prompt(row)))
        case PlainReader(tokenizer=tokenizer), _ if not isinstance(task, DecoderTask):
            return lambda row: len(task.question(row, tokenizer, window=reader.window).ids) - 1
    return lambda row: 0


def _list_rows(rows: Sequence[Row]) -> str:
    first = ", ".join(f"{row.file}:{row.line}" for row in rows[:MAX_LISTED_ROWS])
    return first if len(rows) <= MAX_LISTED_ROWS else f"{first} and {len(rows) - MAX_LISTED_ROWS} more"
