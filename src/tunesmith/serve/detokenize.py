"""From token ids to text that may be shown: whole characters only, and nothing that could be the start of a stop string."""

from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

REPLACEMENT_CHARACTER = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet."""


@dataclass
class IncrementalDetokenizer:
    """Token by token; the pieces joined are the text of all tokens. A character split over tokens waits for its rest.

    A window of the last tokens is decoded with and without the new one, because some tokenizers write a token
    differently at the start of a text.
    """

    tokenizer: PreTrainedTokenizerBase
    ids: list[int] = field(default_factory=list)
    start: int = 0
    shown: int = 0

    def add(self, token: int) -> str:
        """The text that has become certain with this token."""
        self.ids.append(token)
        before, after = self._text(self.shown), self._text(len(self.ids))
        if after.endswith(REPLACEMENT_CHARACTER):
            return ""
        self.start, self.shown = self.shown, len(self.ids)
        return after[len(before) :]

    def rest(self) -> str:
        """What is left at the end, broken characters included."""
        return self._text(len(self.ids))[len(self._text(self.shown)) :]

    def _text(self, end: int) -> str:
        ids = self.ids[self.start : end]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclass
class StopStrings:
    """Holds back the shortest ending that could still become a stop string, so none of its characters is ever sent."""

    stops: tuple[str, ...]
    held: str = ""
    found: bool = False

    def add(self, piece: str) -> str:
        """The text that may be shown now. After `found`, nothing follows."""
        text = self.held + piece
        places = [place for place in (text.find(stop) for stop in self.stops) if place >= 0]
        if places:
            self.found, self.held = True, ""
            return text[: min(places)]
        keep = max((self._overlap(text, stop) for stop in self.stops), default=0)
        self.held = text[len(text) - keep :]
        return text[: len(text) - keep]

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """Length of the longest ending of `text` that begins `stop` without completing it."""
        longest = min(len(stop) - 1, len(text))
        return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
