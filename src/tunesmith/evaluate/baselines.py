"""Baselines on the held-out rows, learned from the labelled training rows; what cannot be learned is reported."""

import json
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from tunesmith.artifacts import Row
from tunesmith.evaluate.system import Evaluation, System, pair_answers
from tunesmith.recipe import TaskSettings
from tunesmith.scoring import Metric
from tunesmith.scoring.baselines import (
    LABEL_BASELINES,
    first_words,
    has_words,
    median_word_count,
    predict_frequent_tags,
    predict_label_sets,
    predict_labels,
    predict_scores,
)
from tunesmith.scoring.defaults import LABEL_METRICS
from tunesmith.scoring.parse_output import read_label, write_label

NO_WORDS_REASON: Final = "the training prompts contain no words to learn from"
BaselineName = TypeVar("BaselineName", bound=str)

MAX_DISTINCT_SHARE = 0.5
"""If more than this share of the completions are distinct, they are taken for free text, not labels."""


def baseline_systems(
    task: TaskSettings, evaluation: Evaluation, training: Sequence[Row], *, metrics: Sequence[Metric]
) -> list[System]:
    """Answers of those baselines of the recipe that apply to the task."""
    match task.type, task.labels:
        case "tag", _:
            return _tag_baselines(evaluation, training)
        case "seq2seq", _:
            return _text_baselines(evaluation, training)
        case "classify", "multi":
            return _label_set_baselines(evaluation, training)
        case "classify", "score":
            return _score_baselines(evaluation, training)
    return _label_baselines(evaluation, training, metrics)


def _tag_baselines(evaluation: Evaluation, training: Sequence[Row]) -> list[System]:
    """Two baselines for tags: the most common tag, and the most common tag of each word."""
    tagged = [(row.example.tokens or (), row.example.tags or ()) for row in training]
    words = [row.example.tokens or () for row in evaluation.rows]
    how = f"learned from the same {len(training)} training rows"
    return [
        System(
            name,
            how,
            pair_answers(
                evaluation, [" ".join(tags) for tags in predict_frequent_tags(tagged, words, by_word=by_word)]
            ),
        )
        for name, by_word in (("majority", False), ("frequent-tag", True))
        if name in evaluation.settings.baselines
    ]


def _text_baselines(evaluation: Evaluation, training: Sequence[Row]) -> list[System]:
    """The source as the answer: whole, or cut to the median length of the training targets in words."""
    words = median_word_count([row.example.completion for row in training])
    prompts = [row.example.prompt_text for row in evaluation.rows]
    cuts = {
        "lead": (f"the first {words} words of the source, the middle length of the training targets", words),
        "copy": ("the source as it is", None),
    }
    return [
        System(name, how, pair_answers(evaluation, [first_words(prompt, count) for prompt in prompts]))
        for name, (how, count) in cuts.items()
        if name in evaluation.settings.baselines
    ]


def _label_set_baselines(evaluation: Evaluation, training: Sequence[Row]) -> list[System]:
    """Baselines that predict each label independently: by its share of the training rows, or from TF-IDF features."""
    pairs = [(row.example.prompt_text, tuple(json.loads(evaluation.task.expected(row)))) for row in training]
    prompts = [row.example.prompt_text for row in evaluation.rows]
    how = f"each label on its own, learned from the same {len(training)} training rows"
    systems = []
    for name in evaluation.context.progress.track(
        _usable_baselines(evaluation, training, LABEL_BASELINES), label="baselines"
    ):
        texts = [json.dumps(labels, ensure_ascii=False) for labels in predict_label_sets(name, pairs, prompts)]
        systems.append(System(name, how, pair_answers(evaluation, texts)))
    return systems


def _score_baselines(evaluation: Evaluation, training: Sequence[Row]) -> list[System]:
    """The mean of the training scores, and ridge regression on TF-IDF features."""
    pairs = [(row.example.prompt_text, float(evaluation.task.expected(row))) for row in training]
    prompts = [row.example.prompt_text for row in evaluation.rows]
    how = f"learned from the same {len(training)} training rows"
    return [
        System(name, how, pair_answers(evaluation, [f"{value:.6g}" for value in predict_scores(name, pairs, prompts)]))
        for name in _usable_baselines(evaluation, training, ("mean", "tfidf-ridge"))
    ]


def _label_baselines(evaluation: Evaluation, training: Sequence[Row], metrics: Sequence[Metric]) -> list[System]:
    """Majority class and TF-IDF classifiers, if a metric reads labels. They learn from the training rows that have a label."""
    key = evaluation.settings.label
    if not any(metric.id in LABEL_METRICS for metric in metrics):
        return []
    pairs, reason = labelled_pairs(training, key)
    if reason:
        evaluation.context.progress.say(f"baselines skipped: {reason}")
        return []
    how = f"learned from {len(pairs)} of {len(training)} training rows, those with a label"
    if len(pairs) == len(training):
        how = f"learned from the same {len(pairs)} training rows"
    prompts = [row.example.prompt_text for row in evaluation.rows]
    systems = []
    for name in evaluation.context.progress.track(
        _usable_baselines(evaluation, training, LABEL_BASELINES), label="baselines"
    ):
        labels = predict_labels(name, pairs, prompts)
        texts = [write_label(label, key) for label in labels]
        systems.append(System(name, how, pair_answers(evaluation, texts), labels_only=True))
    return systems


def _usable_baselines(
    evaluation: Evaluation, training: Sequence[Row], possible: Sequence[BaselineName]
) -> list[BaselineName]:
    """The baselines of the recipe that apply to the task and have data to learn from. Reports the ones that are skipped."""
    wanted = [name for name in possible if name in evaluation.settings.baselines]
    wordless = wordless_baselines(wanted, training)
    if wordless:
        evaluation.context.progress.say(f"baselines skipped: {', '.join(wordless)}: {NO_WORDS_REASON}")
    return [name for name in wanted if name not in wordless]


def wordless_baselines(names: Iterable[str], training: Sequence[Row]) -> list[str]:
    """The baselines of these that learn from words, if the training prompts contain none."""
    prompts = [row.example.prompt_text for row in training]
    return [name for name in names if name.startswith("tfidf-") and not has_words(name, prompts)]


def labelled_pairs(training: Sequence[Row], key: str | None) -> tuple[list[tuple[str, str]], str]:
    """(prompt, label) of the rows with a label, and the reason why no label can be learned from them, empty if it can."""
    labels = [(row.example.prompt_text, read_label(row.example.completion, key)) for row in training]
    pairs = [(prompt, label) for prompt, label in labels if label is not None]
    if not pairs:
        return pairs, f"no training row has a label under {key!r}"
    distinct = len({label for _, label in pairs})
    if key is None and distinct > MAX_DISTINCT_SHARE * len(pairs):
        return pairs, f"{distinct} of {len(pairs)} completions are distinct, so they are not labels; set evaluate.label"
    return pairs, ""
