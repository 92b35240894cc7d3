"""Answers of a decoder to every held-out row: generated text, the best label, or the likelihood of the text."""

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
from tunesmith.evaluate.system import ProgressCounter
from tunesmith.models.backends.label_scores import label_completions
from tunesmith.models.backends.local import LocalModel
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import SystemAnswer

WINDOW_OVERLAP_TOKENS = 256
"""Tokens that a window of a long text repeats from the window before it, as context."""


@dataclass(frozen=True)
class DecoderEvaluation:
    """The held-out rows, task and settings for evaluating a decoder; an `Evaluation`."""

    rows: Sequence[Row]
    task: DecoderTask
    settings: EvaluateSettings
    context: Context


def generate_answers(
    model: LocalModel, evaluation: DecoderEvaluation, *, label: str, examples: tuple[Message, ...] = ()
) -> list[SystemAnswer]:
    """Greedy completions. `examples` are few-shot turns put before the question in the same conversation.

    Raises DataError for a row that fills the context or that the chat template rejects.
    """
    prompts = [
        row_prompt_ids(model.tokenizer, row, _with_examples(evaluation.task.prompt(row), examples))
        for row in evaluation.rows
    ]
    _check_prompt_lengths(model, prompts, evaluation)
    with ProgressCounter(evaluation.context, label, len(prompts)) as report:
        outputs = model.generate(
            prompts,
            max_new_tokens=evaluation.settings.max_new_tokens,
            batch=evaluation.settings.batch,
            report=report,
        )
    texts = [str(model.tokenizer.decode(ids, skip_special_tokens=True)) for ids in outputs]
    return [
        replace(
            _make_answer(evaluation, row, extract_answer(model.tokenizer, text)),
            unclosed=has_unclosed_reasoning(model.tokenizer, text),
        )
        for row, text in zip(evaluation.rows, texts, strict=True)
    ]


def choose_labels(
    model: LocalModel, evaluation: DecoderEvaluation, *, label: str, labels: Sequence[str]
) -> list[SystemAnswer]:
    """For every row the most likely of `labels`. Raises DataError for a row that does not fit the context."""
    prompts = [row_prompt_ids(model.tokenizer, row, evaluation.task.prompt(row)) for row in evaluation.rows]
    _check_prompt_lengths(model, prompts, evaluation)
    with ProgressCounter(evaluation.context, label, len(prompts)) as report:
        choices = model.choose(prompts, label_completions(model.tokenizer, labels), report=report)
    return [
        _make_answer(evaluation, row, labels[choice.index])
        for row, choice in zip(evaluation.rows, choices, strict=True)
    ]


def row_prompt_ids(tokenizer: PreTrainedTokenizerBase, row: Row, messages: tuple[Message, ...]) -> list[int]:
    """Token ids of a row's prompt. Raises DataError, naming the row, if a message or the chat template rejects it."""
    try:
        return prompt_ids(tokenizer, messages, tools=row.example.tools)
    except DataError as error:
        raise DataError(f"row {row.row_id}: {error.what}", where=f"{row.file}:{row.line}", hint=error.hint) from error
    except TemplateError as error:
        what = f"row {row.row_id}: the chat template rejects the prompt: {error}"
        raise DataError(
            what, where=f"{row.file}:{row.line}", hint="check the roles of its messages and their order"
        ) from error


def measure_bits(model: LocalModel, evaluation: DecoderEvaluation, *, label: str) -> list[SystemAnswer]:
    """Negative log2-likelihood of each row's text, in bits. Every token except the start token is counted exactly once."""
    answers = []
    for row in evaluation.context.progress.track(evaluation.rows, label=label, total=len(evaluation.rows)):
        text = row.example.text or row.example.completion
        answers.append(SystemAnswer(row_id=row.row_id, expected=text, output="", bits=_text_bits(model, text)))
    return answers


def _text_bits(model: LocalModel, text: str) -> float:
    bos = model.tokenizer.bos_token_id
    ids = [bos if bos is not None else model.tokenizer.eos_token_id, *text_ids(model.tokenizer, text)]
    # Windows of `size` tokens, each with up to WINDOW_OVERLAP_TOKENS tokens of context before it.
    size = min(model.context, 2 * WINDOW_OVERLAP_TOKENS) - WINDOW_OVERLAP_TOKENS
    starts = range(1, len(ids), size)
    prompts = [tuple(ids[max(0, start - WINDOW_OVERLAP_TOKENS) : start]) for start in starts]
    completions = [tuple(ids[start : start + size]) for start in starts]
    return -sum(sum(values) for values in model.logprobs(prompts, completions)) / log(2)


def few_shot_messages(training: Sequence[Row], evaluation: DecoderEvaluation, model: LocalModel) -> tuple[Message, ...]:
    """Random training examples as turns: at most `shots`, and as many as leave room for the longest question and its answer."""
    settings = evaluation.settings
    prompt_limit = model.context - settings.max_new_tokens
    longest = max(len(row_prompt_ids(model.tokenizer, row, evaluation.task.prompt(row))) for row in evaluation.rows)
    chosen = evaluation.context.rng("evaluate/shots").permutation(len(training))[: settings.shots]
    turns: tuple[Message, ...] = ()
    for index in chosen:
        extended = (*turns, *_without_system(evaluation.task.messages(training[int(index)])))
        if len(prompt_ids(model.tokenizer, extended)) + longest > prompt_limit:
            break
        turns = extended
    return turns


def _with_examples(prompt: tuple[Message, ...], examples: tuple[Message, ...]) -> tuple[Message, ...]:
    system = tuple(turn for turn in prompt if turn.role == "system")
    return (*system, *examples, *_without_system(prompt))


def _without_system(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(turn for turn in turns if turn.role != "system")


def _make_answer(evaluation: DecoderEvaluation, row: Row, output: str) -> SystemAnswer:
    return SystemAnswer(row_id=row.row_id, expected=evaluation.task.expected(row), output=output)


def _check_prompt_lengths(model: LocalModel, prompts: Sequence[Sequence[int]], evaluation: DecoderEvaluation) -> None:
    for row, prompt in zip(evaluation.rows, prompts, strict=True):
        if len(prompt) >= model.context:
            raise DataError(
                f"held-out row {row.row_id} has {len(prompt)} tokens; the context holds {model.context}",
                where=f"{row.file}:{row.line}",
                hint="shorten the row; rows are never truncated silently",
            )
