"""Incremental detokenization: text is released once its characters are complete and cannot be part of a stop string."""

from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

REPLACEMENT_CHARACTER = "\ufffd"
"""What a tokenizer decodes to for bytes that are not, or not yet, a character."""


@dataclass
class IncrementalDetokenizer:
    """Decodes token by token; the returned texts joined are the text of all tokens. Text that ends in an incomplete character
    waits for the next token.

    The last tokens are decoded with and without the new one, because some tokenizers decode a token differently at the
    start of a text.
    """

    tokenizer: PreTrainedTokenizerBase
    ids: list[int] = field(default_factory=list)
    start: int = 0
    released: int = 0

    def add(self, token: int) -> str:
        """The text that became complete with this token."""
        self.ids.append(token)
        before, after = self._decode(self.released), self._decode(len(self.ids))
        if after.endswith(REPLACEMENT_CHARACTER):
            return ""
        self.start, self.released = self.released, len(self.ids)
        return after[len(before) :]

    def flush(self) -> str:
        """The remaining text at the end of the stream, incomplete characters included."""
        return self._decode(len(self.ids))[len(self._decode(self.released)) :]

    def _decode(self, end: int) -> str:
        ids = self.ids[self.start : end]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclass
class StopStrings:
    """Cuts a stream of text before the first stop string. The shortest ending that could still become a stop string is held
    back in `pending`, so none of its characters is sent."""

    stops: tuple[str, ...]
    pending: str = ""
    matched: bool = False

    def add(self, text: str) -> str:
        """The text that can be sent now. After `matched`, nothing follows."""
        text = self.pending + text
        starts = [start for start in (text.find(stop) for stop in self.stops) if start >= 0]
        if starts:
            self.matched, self.pending = True, ""
            return text[: min(starts)]
        held = max((self._overlap(text, stop) for stop in self.stops), default=0)
        self.pending = text[len(text) - held :]
        return text[: len(text) - held]

    def add_last(self, text: str) -> str:
        """The text to send at the end of the stream: what was pending is sent too, unless a stop string matched."""
        text = self.add(text)
        return text if self.matched else text + self.pending

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """Length of the longest ending of `text` that is a proper prefix of `stop`."""
        longest = min(len(stop) - 1, len(text))
        return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
