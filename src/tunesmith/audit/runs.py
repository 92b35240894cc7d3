"""Runs of words that a text shares with held-out texts, by an index of their k-grams."""

from collections.abc import Mapping


class HeldOutRuns:
    """Index of the k-grams of held-out texts; those of a template, in more than a share of them, are left out."""

    def __init__(self, texts: Mapping[int, str], words: int, common_share: float) -> None:
        self._words = words
        self._texts = {row: text.split() for row, text in texts.items()}
        self._index: dict[str, tuple[int, int]] = {}
        counts: dict[str, int] = {}
        for row, held in self._texts.items():
            grams = {" ".join(held[at : at + words]): at for at in reversed(range(len(held) - words + 1))}
            for gram, at in grams.items():
                self._index.setdefault(gram, (row, at))
                counts[gram] = counts.get(gram, 0) + 1
        most = max(2, common_share * len(texts))
        self._index = {gram: place for gram, place in self._index.items() if counts[gram] <= most}

    def longest(self, text: str) -> list[int]:
        """[held-out row, words] of the longest run of at least k words; empty when there is none."""
        words, best, at = text.split(), [-1, 0], 0
        while at + self._words <= len(words):
            place = self._index.get(" ".join(words[at : at + self._words]))
            if place is None:
                at += 1
                continue
            length = self._extent(words, at, place)
            if length > best[1]:
                best = [place[0], length]
            at += length - self._words + 1
        return best if best[1] else []

    def _extent(self, words: list[str], at: int, place: tuple[int, int]) -> int:
        row, start = place
        held, length = self._texts[row], self._words
        while at + length < len(words) and start + length < len(held) and words[at + length] == held[start + length]:
            length += 1
        return length
