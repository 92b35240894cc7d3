"""Removes from a completion the prefix that a chat template puts before every answer, such as Qwen3's empty reasoning block.

A model trained on such answers generates the prefix too. It belongs to the template, so it is neither scored nor shown.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from tunesmith.chat.templates import template_traits
from tunesmith.text.reasoning import CLOSE_TAG, ReasoningStream


@dataclass
class AnswerPrefixFilter:
    """Removes `prefix` from the start of a streamed text; white space inside and after it is ignored.

    Text that may still become the prefix is buffered. A text that begins otherwise, also with reasoning, passes unchanged.
    """

    prefix: str
    buffer: str = ""
    active: bool = True

    def add(self, piece: str) -> str:
        """The text that can be passed on after this piece."""
        if not self.active:
            return piece
        self.buffer += piece
        place = self._answer_start(self.buffer)
        if place is None:
            self.active = False
            return self.flush()
        if place < len(self.buffer):
            self.active, text, self.buffer = False, self.buffer[place:], ""
            return text
        return ""

    def flush(self) -> str:
        """The buffered text at the end of the stream; empty when it is the prefix."""
        text, self.buffer = self.buffer, ""
        return "" if self._without_whitespace(text) == self._without_whitespace(self.prefix) else text

    def _answer_start(self, text: str) -> int | None:
        """Where the answer begins; the end of the text when that is not known yet, None when the text has another start."""
        expected, matched = self._without_whitespace(self.prefix), 0
        for place, character in enumerate(text):
            if character.isspace():
                continue
            if matched == len(expected):
                return place
            if character != expected[matched]:
                return None
            matched += 1
        return len(text)

    @staticmethod
    def _without_whitespace(text: str) -> str:
        return "".join(text.split())


def answer_prefix_filter(tokenizer: PreTrainedTokenizerBase) -> AnswerPrefixFilter:
    """The filter for the tokenizer's template; without a prefix it passes everything on."""
    prefix = template_traits(tokenizer).answer_prefix
    return AnswerPrefixFilter(prefix, active=bool(prefix))


def extract_answer(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The answer in a decoded completion, as the server extracts it: without the template's answer prefix and reasoning."""
    stream = reasoning_stream(tokenizer)
    return stream.add(strip_answer_prefix(tokenizer, text)).answer + stream.flush().answer


def has_unclosed_reasoning(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether a decoded completion is reasoning to its end: it has no answer, not even an empty one."""
    stream = reasoning_stream(tokenizer)
    stream.add(strip_answer_prefix(tokenizer, text))
    return stream.in_reasoning and not stream.buffer.startswith(CLOSE_TAG)


def reasoning_stream(tokenizer: PreTrainedTokenizerBase) -> ReasoningStream:
    """Splits a streamed completion, without its answer prefix, into reasoning and answer."""
    return ReasoningStream(template_traits(tokenizer).prompt_opens_reasoning)


def strip_answer_prefix(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A decoded completion without the answer prefix of the template."""
    prefix_filter = answer_prefix_filter(tokenizer)
    return prefix_filter.add(text) + prefix_filter.flush()
