"""Baselines learn from the rows that have a label, and report what they skip."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.context import Context
from tunesmith.evaluate.answers import DecoderEvaluation
from tunesmith.evaluate.baselines import baseline_systems
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings, TaskSettings
from tunesmith.scoring import metrics_for

SETTINGS = EvaluateSettings(label="queue", metrics=("exact-match",), baselines=("majority",))


@dataclass
class RecordedProgress:
    lines: list[str] = field(default_factory=list)

    def track(self, items: Iterable[Any], *, label: str, total: int | None = None) -> Iterator[Any]:
        yield from items

    def say(self, line: str) -> None:
        self.lines.append(line)


def row(number: int, completion: str) -> Row:
    turns = (message("user", f"message {number}"), message("assistant", completion))
    return Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turns))


def run_baselines(
    context: Context, completions: list[str], settings: EvaluateSettings = SETTINGS
) -> tuple[list[Any], list[str]]:
    progress = RecordedProgress()
    evaluation = DecoderEvaluation(
        [row(90, json.dumps({"queue": "a"}))],
        DecoderTask(TaskSettings(type="chat")),
        settings,
        replace(context, progress=progress),
    )
    training = [row(number, text) for number, text in enumerate(completions)]
    return baseline_systems(
        evaluation.task.settings, evaluation, training, metrics=metrics_for(settings, settings.metrics)
    ), progress.lines


def test_rows_without_a_label_are_counted(context: Context) -> None:
    (majority,), lines = run_baselines(context, ['{"queue": "a"}', '{"queue": "a"}', "no json"])
    assert majority.how == "learned from 2 of 3 training rows, those with a label"
    assert [answer.output for answer in majority.answers] == ['{"queue": "a"}']
    assert lines == []


def test_missing_labels_are_reported(context: Context) -> None:
    systems, lines = run_baselines(context, ["no json", "none here"])
    assert systems == []
    assert lines == ["baselines skipped: no training row has a label under 'queue'"]


@pytest.mark.parametrize(
    ("completions", "names"), [(["yes", "no", "yes", "no"], 1), (["one", "two", "three", "two"], 0)]
)
def test_mostly_distinct_completions_are_not_labels(context: Context, completions: list[str], names: int) -> None:
    without_key = SETTINGS.model_copy(update={"label": None})
    systems, lines = run_baselines(context, completions, without_key)
    assert len(systems) == names
    message_line = "baselines skipped: 3 of 4 completions are distinct, so they are not labels; set evaluate.label"
    assert lines == ([] if names else [message_line])


def test_a_word_baseline_is_skipped_without_words(context: Context) -> None:
    both = SETTINGS.model_copy(update={"baselines": ("majority", "tfidf-words")})
    progress = RecordedProgress()
    task = DecoderTask(TaskSettings(type="chat"))
    evaluation = DecoderEvaluation(
        [row(90, json.dumps({"queue": "a"}))], task, both, replace(context, progress=progress)
    )
    training = [
        Row(
            row_id=f"{number:016x}",
            file="made",
            line=number + 1,
            example=Example(messages=(message("user", "?"), message("assistant", json.dumps({"queue": queue})))),
        )
        for number, queue in enumerate("aab")
    ]
    systems = baseline_systems(task.settings, evaluation, training, metrics=metrics_for(both, both.metrics))
    assert [system.name for system in systems] == ["majority"]
    assert progress.lines == ["baselines skipped: tfidf-words: the training prompts contain no words to learn from"]
