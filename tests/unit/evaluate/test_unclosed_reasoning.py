"""Answers whose reasoning never closes: scored as empty, counted beside the scores, and marked in the samples."""

from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.context import SilentProgress
from tunesmith.evaluate.answers import DecoderEvaluation, generate_answers
from tunesmith.evaluate.run import _sample_text
from tunesmith.evaluate.system import text_system
from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings, TaskSettings
from tunesmith.scoring import metrics_for

OUTPUTS = ("<think>\nlate?\n</think>\n\nTuesday", "<think>\nlate, and on", "Tuesday", "<think>late</think>")


def answers(*, opened: bool) -> list[Any]:
    """Answers for `OUTPUTS`; with `opened` the prompt has already opened the reasoning."""
    tokenizer = train_tokenizer(["where is my order, the kettle leaks, think"], 320, positions=64)
    if opened:
        tokenizer.chat_template = VETTED_TEMPLATES["plain"].text.replace(
            "<|assistant|>\\n' -}}", "<|assistant|>\\n<think>\\n' -}}"
        )
        assert "<think>" in tokenizer.chat_template
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in OUTPUTS]
    model: Any = SimpleNamespace(tokenizer=tokenizer, context=64, generate=lambda *_, **__: ids)
    turns = (message("user", "where"), message("assistant", "Tuesday"))
    rows = [Row(row_id=f"r{at}", file="f", line=at, example=Example(messages=turns)) for at in range(len(OUTPUTS))]
    context: Any = SimpleNamespace(progress=SilentProgress())
    return generate_answers(
        model, DecoderEvaluation(rows, DecoderTask(TaskSettings(type="chat")), EvaluateSettings(), context), label="x"
    )


@pytest.mark.parametrize(
    ("opened", "unclosed"), [(False, [False, True, False, False]), (True, [False, True, True, False])]
)
def test_unclosed_answers_are_counted_and_score_nothing(opened: bool, unclosed: list[bool]) -> None:
    scored = answers(opened=opened)
    assert [one.unclosed for one in scored] == unclosed
    (exact,) = metrics_for(EvaluateSettings(), ("exact-match",))
    values = [exact.score(one).value for one in scored]
    assert values == [1.0, 0.0, 0.0 if opened else 1.0, 0.0]
    how = text_system("tuned", "greedy text", scored).how
    assert (
        how
        == f"greedy text; {sum(unclosed)} of 4 answers never close their thoughts and count as empty; 1 of 4 answers are empty"
    )
    assert _sample_text(scored[1]) == "(no answer: its thoughts are never closed)" and _sample_text(scored[3]) == ""
    assert text_system("tuned", "greedy text", [one for one in scored if one.output]).how == "greedy text"
