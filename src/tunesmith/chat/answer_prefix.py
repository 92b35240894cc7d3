"""What a template puts in front of every answer, such as the empty thought of Qwen3, taken off what a model has written.

A model that was trained on such answers writes it too. It is the template's and not the answer's: it is neither scored nor shown.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from tunesmith.chat.templates import template_traits
from tunesmith.text.reasoning import CLOSE_TAG, ReasoningStream


@dataclass
class AnswerPrefixFilter:
    """Takes `words` off the start of a text that comes piece by piece; white space in and behind them does not count.

    What may still become the words is held back. A text that begins otherwise, thoughts among them, is passed on as it is.
    """

    words: str
    held: str = ""
    open: bool = True

    def add(self, piece: str) -> str:
        """The text that is certain with this piece."""
        if not self.open:
            return piece
        self.held += piece
        place = self._behind(self.held)
        if place is None:
            self.open = False
            return self.rest()
        if place < len(self.held):
            self.open, text, self.held = False, self.held[place:], ""
            return text
        return ""

    def rest(self) -> str:
        """What was held back, now that nothing follows; nothing when it is the words."""
        text, self.held = self.held, ""
        return "" if self._bare(text) == self._bare(self.words) else text

    def _behind(self, text: str) -> int | None:
        """Where the answer begins: the text's end when that is not known yet, None when the words are not there."""
        wanted, met = self._bare(self.words), 0
        for place, character in enumerate(text):
            if character.isspace():
                continue
            if met == len(wanted):
                return place
            if character != wanted[met]:
                return None
            met += 1
        return len(text)

    @staticmethod
    def _bare(text: str) -> str:
        return "".join(text.split())


def answer_prefix_filter(tokenizer: PreTrainedTokenizerBase) -> AnswerPrefixFilter:
    """The opening of the tokenizer's template; one without words passes everything on."""
    words = template_traits(tokenizer).opening
    return AnswerPrefixFilter(words, open=bool(words))


def extract_answer(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The answer in a decoded completion, as the server takes it apart: without what the template puts in front of it, and
    without thoughts."""
    stream = reasoning_stream(tokenizer)
    return stream.add(strip_answer_prefix(tokenizer, text)).answer + stream.rest().answer


def has_unclosed_reasoning(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether a decoded completion is thoughts to its end: there is no answer in it, not even an empty one."""
    stream = reasoning_stream(tokenizer)
    stream.add(strip_answer_prefix(tokenizer, text))
    return stream.thinking and not stream.held.startswith(CLOSE_TAG)


def reasoning_stream(tokenizer: PreTrainedTokenizerBase) -> ReasoningStream:
    """Thoughts and answer of a completion that comes piece by piece, behind its opening."""
    return ReasoningStream(template_traits(tokenizer).opens_thoughts)


def strip_answer_prefix(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A decoded completion without what the template puts in front of an answer."""
    start = answer_prefix_filter(tokenizer)
    return start.add(text) + start.rest()
