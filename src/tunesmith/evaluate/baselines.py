"""Baselines on the held-out rows: they learn from the training rows that have a label, and say so where none has."""

from collections.abc import Sequence

from tunesmith.artifacts import Row
from tunesmith.evaluate.system import HeldOut, System, answers_of
from tunesmith.scoring import Metric
from tunesmith.scoring.baselines import predict
from tunesmith.scoring.defaults import LABEL_METRICS
from tunesmith.scoring.reading import read_label, write_label

LABEL_SHARE = 0.5
"""Where more than this share of the whole completions differ, they are texts and not labels."""


def baselines(asked: HeldOut, training: Sequence[Row], metrics: Sequence[Metric]) -> list[System]:
    """Majority class and TF-IDF, where a metric reads a label; they learn from the training rows that have one."""
    key = asked.settings.label
    if not any(metric.id in LABEL_METRICS for metric in metrics):
        return []
    pairs, reason = labelled(training, key)
    if reason:
        asked.context.progress.say(f"baselines: left out, {reason}")
        return []
    how = f"learned from {len(pairs)} of {len(training)} training rows, those with a label"
    if len(pairs) == len(training):
        how = f"learned from the same {len(pairs)} training rows"
    prompts = [row.example.prompt_text for row in asked.rows]
    found = []
    for name in asked.context.progress.track(asked.settings.baselines, label="baselines"):
        labels = predict(name, pairs, prompts)
        texts = [write_label(label, key) for label in labels]
        found.append(System(name, how, answers_of(asked, texts), labels_only=True))
    return found


def labelled(training: Sequence[Row], key: str | None) -> tuple[list[tuple[str, str]], str]:
    """Prompt and label of the rows that have one, and why nothing can be learned from them, empty when it can."""
    read = [(row.example.prompt_text, read_label(row.example.completion, key)) for row in training]
    pairs = [(prompt, label) for prompt, label in read if label is not None]
    if not pairs:
        return pairs, f"no training row has a label under {key!r}"
    distinct = len({label for _, label in pairs})
    if key is None and distinct > LABEL_SHARE * len(pairs):
        return pairs, f"{distinct} of {len(pairs)} completions differ and are no labels; set evaluate.label"
    return pairs, ""
