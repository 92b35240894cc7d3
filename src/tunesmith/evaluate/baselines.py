"""Baselines on the held-out rows: they learn from the training rows that have a label, and say so where none has."""

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

NO_WORDS_REASON: Final = "the training prompts hold no words to learn from"
Name = TypeVar("Name", bound=str)

MAX_DISTINCT_SHARE = 0.5
"""Where more than this share of the whole completions differ, they are texts and not labels."""


def baseline_systems(
    task: TaskSettings, asked: Evaluation, training: Sequence[Row], *, metrics: Sequence[Metric]
) -> list[System]:
    """The baselines of the recipe that the task can have."""
    match task.type, task.labels:
        case "tag", _:
            return _tag_baselines(asked, training)
        case "seq2seq", _:
            return _text_baselines(asked, training)
        case "classify", "multi":
            return _label_set_baselines(asked, training)
        case "classify", "score":
            return _score_baselines(asked, training)
    return _label_baselines(asked, training, metrics)


def _tag_baselines(asked: Evaluation, training: Sequence[Row]) -> list[System]:
    """Tags without a model: one for all words, and each word's own most common one."""
    tagged = [(row.example.tokens or (), row.example.tags or ()) for row in training]
    words = [row.example.tokens or () for row in asked.rows]
    how = f"learned from the same {len(training)} training rows"
    return [
        System(
            name,
            how,
            pair_answers(asked, [" ".join(tags) for tags in predict_frequent_tags(tagged, words, by_word=by_word)]),
        )
        for name, by_word in (("majority", False), ("frequent-tag", True))
        if name in asked.settings.baselines
    ]


def _text_baselines(asked: Evaluation, training: Sequence[Row]) -> list[System]:
    """The source as the answer, whole or as many of its first words as a target of the training rows has at the middle."""
    words = median_word_count([row.example.completion for row in training])
    prompts = [row.example.prompt_text for row in asked.rows]
    ways = {
        "lead": (f"the first {words} words of the source, the middle length of the training targets", words),
        "copy": ("the source as it is", None),
    }
    return [
        System(name, how, pair_answers(asked, [first_words(prompt, count) for prompt in prompts]))
        for name, (how, count) in ways.items()
        if name in asked.settings.baselines
    ]


def _label_set_baselines(asked: Evaluation, training: Sequence[Row]) -> list[System]:
    """Each label on its own, by its share of the training rows or by TF-IDF."""
    pairs = [(row.example.prompt_text, tuple(json.loads(asked.task.expected(row)))) for row in training]
    prompts = [row.example.prompt_text for row in asked.rows]
    how = f"each label on its own, learned from the same {len(training)} training rows"
    found = []
    for name in asked.context.progress.track(_usable_baselines(asked, training, LABEL_BASELINES), label="baselines"):
        texts = [json.dumps(one, ensure_ascii=False) for one in predict_label_sets(name, pairs, prompts)]
        found.append(System(name, how, pair_answers(asked, texts)))
    return found


def _score_baselines(asked: Evaluation, training: Sequence[Row]) -> list[System]:
    """The mean of the training rows, and ridge regression on TF-IDF."""
    pairs = [(row.example.prompt_text, float(asked.task.expected(row))) for row in training]
    prompts = [row.example.prompt_text for row in asked.rows]
    how = f"learned from the same {len(training)} training rows"
    return [
        System(name, how, pair_answers(asked, [f"{value:.6g}" for value in predict_scores(name, pairs, prompts)]))
        for name in _usable_baselines(asked, training, ("mean", "tfidf-ridge"))
    ]


def _label_baselines(asked: Evaluation, training: Sequence[Row], metrics: Sequence[Metric]) -> list[System]:
    """Majority class and TF-IDF, where a metric reads a label; they learn from the training rows that have one."""
    key = asked.settings.label
    if not any(metric.id in LABEL_METRICS for metric in metrics):
        return []
    pairs, reason = labelled_pairs(training, key)
    if reason:
        asked.context.progress.say(f"baselines: left out, {reason}")
        return []
    how = f"learned from {len(pairs)} of {len(training)} training rows, those with a label"
    if len(pairs) == len(training):
        how = f"learned from the same {len(pairs)} training rows"
    prompts = [row.example.prompt_text for row in asked.rows]
    found = []
    for name in asked.context.progress.track(_usable_baselines(asked, training, LABEL_BASELINES), label="baselines"):
        labels = predict_labels(name, pairs, prompts)
        texts = [write_label(label, key) for label in labels]
        found.append(System(name, how, pair_answers(asked, texts), labels_only=True))
    return found


def _usable_baselines(asked: Evaluation, training: Sequence[Row], possible: Sequence[Name]) -> list[Name]:
    """Those of the recipe that the task can have and that find something to learn from; what is left out is said."""
    wanted = [name for name in possible if name in asked.settings.baselines]
    wordless = wordless_baselines(wanted, training)
    if wordless:
        asked.context.progress.say(f"baselines: {', '.join(wordless)} left out, {NO_WORDS_REASON}")
    return [name for name in wanted if name not in wordless]


def wordless_baselines(names: Iterable[str], training: Sequence[Row]) -> list[str]:
    """Of these baselines those that read words, where the training prompts have none."""
    prompts = [row.example.prompt_text for row in training]
    return [name for name in names if name.startswith("tfidf-") and not has_words(name, prompts)]


def labelled_pairs(training: Sequence[Row], key: str | None) -> tuple[list[tuple[str, str]], str]:
    """Prompt and label of the rows that have one, and why nothing can be learned from them, empty when it can."""
    read = [(row.example.prompt_text, read_label(row.example.completion, key)) for row in training]
    pairs = [(prompt, label) for prompt, label in read if label is not None]
    if not pairs:
        return pairs, f"no training row has a label under {key!r}"
    distinct = len({label for _, label in pairs})
    if key is None and distinct > MAX_DISTINCT_SHARE * len(pairs):
        return pairs, f"{distinct} of {len(pairs)} completions differ and are no labels; set evaluate.label"
    return pairs, ""
