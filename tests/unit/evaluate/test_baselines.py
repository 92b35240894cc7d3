"""Baselines learn from the rows that have a label, say so, and say it when there are none."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.context import Context
from tunesmith.evaluate.answers import DecoderEvaluation
from tunesmith.evaluate.baselines import baseline_systems as learned
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings, TaskSettings
from tunesmith.scoring import metrics_for

SETTINGS = EvaluateSettings(label="queue", metrics=("exact-match",), baselines=("majority",))


@dataclass
class Heard:
    lines: list[str] = field(default_factory=list)

    def track(self, items: Iterable[Any], *, label: str, total: int | None = None) -> Iterator[Any]:
        yield from items

    def say(self, line: str) -> None:
        self.lines.append(line)


def row(number: int, completion: str) -> Row:
    turns = (message("user", f"message {number}"), message("assistant", completion))
    return Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turns))


def baselines(
    context: Context, completions: list[str], settings: EvaluateSettings = SETTINGS
) -> tuple[list[Any], list[str]]:
    heard = Heard()
    asked = DecoderEvaluation(
        [row(90, json.dumps({"queue": "a"}))],
        DecoderTask(TaskSettings(type="chat")),
        settings,
        replace(context, progress=heard),
    )
    training = [row(number, text) for number, text in enumerate(completions)]
    return learned(asked.task.settings, asked, training, metrics=metrics_for(settings, settings.metrics)), heard.lines


def test_rows_without_a_label_are_counted_out_in_words(context: Context) -> None:
    (majority,), lines = baselines(context, ['{"queue": "a"}', '{"queue": "a"}', "no json"])
    assert majority.how == "learned from 2 of 3 training rows, those with a label"
    assert [answer.output for answer in majority.answers] == ['{"queue": "a"}']
    assert lines == []


def test_no_labels_at_all_is_said(context: Context) -> None:
    found, lines = baselines(context, ["no json", "none here"])
    assert found == []
    assert lines == ["baselines skipped: no training row has a label under 'queue'"]


@pytest.mark.parametrize(
    ("completions", "names"), [(["yes", "no", "yes", "no"], 1), (["one", "two", "three", "two"], 0)]
)
def test_whole_completions_that_differ_are_no_labels(context: Context, completions: list[str], names: int) -> None:
    asked_plainly = SETTINGS.model_copy(update={"label": None})
    found, lines = baselines(context, completions, asked_plainly)
    assert len(found) == names
    said = "baselines skipped: 3 of 4 completions are distinct, so they are not labels; set evaluate.label"
    assert lines == ([] if names else [said])


def test_a_baseline_on_words_is_left_out_where_there_are_none(context: Context) -> None:
    both = SETTINGS.model_copy(update={"baselines": ("majority", "tfidf-words")})
    heard = Heard()
    task = DecoderTask(TaskSettings(type="chat"))
    asked = DecoderEvaluation([row(90, json.dumps({"queue": "a"}))], task, both, replace(context, progress=heard))
    training = [
        Row(
            row_id=f"{number:016x}",
            file="made",
            line=number + 1,
            example=Example(messages=(message("user", "?"), message("assistant", json.dumps({"queue": queue})))),
        )
        for number, queue in enumerate("aab")
    ]
    found = learned(task.settings, asked, training, metrics=metrics_for(both, both.metrics))
    assert [system.name for system in found] == ["majority"]
    assert heard.lines == ["baselines skipped: tfidf-words: the training prompts contain no words to learn from"]
