"""Answers: what one system says to every held-out row. One function per way of asking."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Message, Row
from tunesmith.chat.answer_prefix import extract_answer, has_unclosed_reasoning
from tunesmith.chat.encode import prompt_ids, text_ids
from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.backends.label_scores import label_completions
from tunesmith.models.backends.local import LocalModel
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import SystemAnswer

WINDOW_OVERLAP_TOKENS = 256
"""Tokens of context that a window of a long text keeps of the window before it."""


@dataclass(frozen=True)
class DecoderEvaluation:
    """The held-out rows as they are put to a model, and how."""

    rows: Sequence[Row]
    task: DecoderTask
    settings: EvaluateSettings
    context: Context


def generate_answers(
    model: LocalModel, asked: DecoderEvaluation, *, label: str, before: tuple[Message, ...] = ()
) -> list[SystemAnswer]:
    """Greedy completions; `before` are examples put in front of the question, as turns of the same conversation."""
    prompts = [_prompt_ids(model, row, _with_examples(asked.task.prompt(row), before)) for row in asked.rows]
    _check_prompt_lengths(model, prompts, asked)
    with _Counter(asked.context, label, len(prompts)) as counter:
        outputs = model.generate(
            prompts,
            max_new_tokens=asked.settings.max_new_tokens,
            batch=asked.settings.batch,
            report=counter.add,
        )
    texts = [str(model.tokenizer.decode(ids, skip_special_tokens=True)) for ids in outputs]
    return [
        replace(
            _make_answer(asked, row, extract_answer(model.tokenizer, text)),
            unclosed=has_unclosed_reasoning(model.tokenizer, text),
        )
        for row, text in zip(asked.rows, texts, strict=True)
    ]


def choose_labels(
    model: LocalModel, asked: DecoderEvaluation, *, label: str, labels: Sequence[str]
) -> list[SystemAnswer]:
    """The label of the training rows that the model finds most likely, for every row."""
    prompts = [_prompt_ids(model, row, asked.task.prompt(row)) for row in asked.rows]
    _check_prompt_lengths(model, prompts, asked)
    with _Counter(asked.context, label, len(prompts)) as counter:
        choices = model.choose(prompts, label_completions(model.tokenizer, labels), report=counter.add)
    return [_make_answer(asked, row, labels[choice.index]) for row, choice in zip(asked.rows, choices, strict=True)]


def _prompt_ids(model: LocalModel, row: Row, messages: tuple[Message, ...]) -> list[int]:
    return row_prompt_ids(model.tokenizer, row, messages)


def row_prompt_ids(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> list[int]:
    """What the model is given. Raises DataError with the row's id when a message or the chat template stands against it."""
    try:
        return prompt_ids(tokenizer, messages, tools=row.example.tools)
    except DataError as error:
        raise DataError(f"row {row.row_id}: {error.what}", where=f"{row.file}:{row.line}", hint=error.hint) from error
    except TemplateError as error:
        what = f"row {row.row_id}: the chat template refuses the prompt: {error}"
        raise DataError(what, where=f"{row.file}:{row.line}", hint="look at its roles and their order") from error


def measure_bits(model: LocalModel, asked: DecoderEvaluation, *, label: str) -> list[SystemAnswer]:
    """Bits that the model needs for each row's text; every token but the start is counted exactly once."""
    answers = []
    for row in asked.context.progress.track(asked.rows, label=label, total=len(asked.rows)):
        text = row.example.text or row.example.completion
        answers.append(SystemAnswer(row_id=row.row_id, expected=text, output="", bits=_text_bits(model, text)))
    return answers


def _text_bits(model: LocalModel, text: str) -> float:
    start = model.tokenizer.bos_token_id
    ids = [start if start is not None else model.tokenizer.eos_token_id, *text_ids(model.tokenizer, text)]
    size = min(model.context, 2 * WINDOW_OVERLAP_TOKENS) - WINDOW_OVERLAP_TOKENS
    firsts = range(1, len(ids), size)
    prompts = [tuple(ids[max(0, first - WINDOW_OVERLAP_TOKENS) : first]) for first in firsts]
    completions = [tuple(ids[first : first + size]) for first in firsts]
    return -sum(sum(values) for values in model.logprobs(prompts, completions)) / log(2)


def few_shot_messages(training: Sequence[Row], asked: DecoderEvaluation, model: LocalModel) -> tuple[Message, ...]:
    """Training examples as turns, seeded, as many of `shots` as leave room for every question and its answer."""
    settings = asked.settings
    room = model.context - settings.max_new_tokens
    longest = max(len(_prompt_ids(model, row, asked.task.prompt(row))) for row in asked.rows)
    picked = asked.context.rng("evaluate/shots").permutation(len(training))[: settings.shots]
    turns: tuple[Message, ...] = ()
    for index in picked:
        more = (*turns, *_without_system(asked.task.messages(training[int(index)])))
        if len(prompt_ids(model.tokenizer, more)) + longest > room:
            break
        turns = more
    return turns


def _with_examples(prompt: tuple[Message, ...], before: tuple[Message, ...]) -> tuple[Message, ...]:
    system = tuple(turn for turn in prompt if turn.role == "system")
    return (*system, *before, *_without_system(prompt))


def _without_system(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(turn for turn in turns if turn.role != "system")


def _make_answer(asked: DecoderEvaluation, row: Row, output: str) -> SystemAnswer:
    return SystemAnswer(row_id=row.row_id, expected=asked.task.expected(row), output=output)


def _check_prompt_lengths(model: LocalModel, prompts: Sequence[Sequence[int]], asked: DecoderEvaluation) -> None:
    for row, prompt in zip(asked.rows, prompts, strict=True):
        if len(prompt) >= model.context:
            raise DataError(
                f"held-out row {row.row_id} has {len(prompt)} tokens; the context holds {model.context}",
                where=f"{row.file}:{row.line}",
                hint="shorten the row; rows are never cut silently",
            )


class _Counter:
    """Turns a model's batch reports into progress."""

    def __init__(self, context: Context, label: str, total: int) -> None:
        self._steps = iter(context.progress.track(range(total), label=label, total=total))

    def __enter__(self) -> "_Counter":
        return self

    def add(self, rows: int) -> None:
        """`rows` more are done."""
        for _ in range(rows):
            next(self._steps, None)

    def __exit__(self, *error: object) -> None:
        for _ in self._steps:
            pass
