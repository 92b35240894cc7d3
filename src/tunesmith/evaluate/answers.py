"""Answers: what one system says to every held-out row. One function per way of asking."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from jinja2.exceptions import TemplateError

from tunesmith import process
from tunesmith.artifacts import Message, Row
from tunesmith.context import Context
from tunesmith.data.chat import prompt_ids, text_ids
from tunesmith.data.openings import answer_in, never_closed
from tunesmith.errors import DataError
from tunesmith.models.backends.labels import label_options
from tunesmith.models.backends.local import LocalModel
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import Answer

process.prepare()

from transformers import PreTrainedTokenizerBase  # noqa: E402

OVERLAP = 256
"""Tokens of context that a window of a long text keeps of the window before it."""


@dataclass(frozen=True)
class Asked:
    """The held-out rows as they are put to a model, and how."""

    rows: Sequence[Row]
    task: DecoderTask
    settings: EvaluateSettings
    context: Context


def generated(model: LocalModel, asked: Asked, *, label: str, before: tuple[Message, ...] = ()) -> list[Answer]:
    """Greedy completions; `before` are examples put in front of the question, as turns of the same conversation."""
    prompts = [_prompt_ids(model, row, _with_examples(asked.task.prompt(row), before)) for row in asked.rows]
    _refuse_long(model, prompts, asked)
    with _Counter(asked.context, label, len(prompts)) as counter:
        outputs = model.generate(
            prompts,
            max_new_tokens=asked.settings.max_new_tokens,
            batch=asked.settings.batch,
            report=counter.add,
        )
    texts = [str(model.tokenizer.decode(ids, skip_special_tokens=True)) for ids in outputs]
    return [
        replace(_answer(asked, row, answer_in(model.tokenizer, text)), unclosed=never_closed(model.tokenizer, text))
        for row, text in zip(asked.rows, texts, strict=True)
    ]


def chosen(model: LocalModel, asked: Asked, *, label: str, labels: Sequence[str]) -> list[Answer]:
    """The label of the training rows that the model finds most likely, for every row."""
    prompts = [_prompt_ids(model, row, asked.task.prompt(row)) for row in asked.rows]
    _refuse_long(model, prompts, asked)
    with _Counter(asked.context, label, len(prompts)) as counter:
        choices = model.choose(prompts, label_options(model.tokenizer, labels), report=counter.add)
    return [_answer(asked, row, labels[choice.index]) for row, choice in zip(asked.rows, choices, strict=True)]


def _prompt_ids(model: LocalModel, row: Row, messages: tuple[Message, ...]) -> list[int]:
    return prompt_of(model.tokenizer, row, messages)


def prompt_of(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> list[int]:
    """What the model is given. Raises DataError with the row's id when a message or the chat template stands against it."""
    try:
        return prompt_ids(tokenizer, messages, tools=row.example.tools)
    except DataError as error:
        raise DataError(f"row {row.row_id}: {error.what}", where=f"{row.file}:{row.line}", hint=error.hint) from error
    except TemplateError as error:
        what = f"row {row.row_id}: the chat template refuses the prompt: {error}"
        raise DataError(what, where=f"{row.file}:{row.line}", hint="look at its roles and their order") from error


def measured_bits(model: LocalModel, asked: Asked, *, label: str) -> list[Answer]:
    """Bits that the model needs for each row's text; every token but the start is counted exactly once."""
    answers = []
    for row in asked.context.progress.track(asked.rows, label=label, total=len(asked.rows)):
        text = row.example.text or row.example.completion
        answers.append(Answer(row_id=row.row_id, expected=text, output="", bits=_bits(model, text)))
    return answers


def _bits(model: LocalModel, text: str) -> float:
    start = model.tokenizer.bos_token_id
    ids = [start if start is not None else model.tokenizer.eos_token_id, *text_ids(model.tokenizer, text)]
    size = min(model.context, 2 * OVERLAP) - OVERLAP
    firsts = range(1, len(ids), size)
    prompts = [tuple(ids[max(0, first - OVERLAP) : first]) for first in firsts]
    completions = [tuple(ids[first : first + size]) for first in firsts]
    return -sum(sum(values) for values in model.logprobs(prompts, completions)) / log(2)


def few_shot(training: Sequence[Row], asked: Asked, model: LocalModel) -> tuple[Message, ...]:
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


def _answer(asked: Asked, row: Row, output: str) -> Answer:
    return Answer(row_id=row.row_id, expected=asked.task.expected(row), output=output)


def _refuse_long(model: LocalModel, prompts: Sequence[Sequence[int]], asked: Asked) -> None:
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
