"""Decide whether a token run describes the topic of its rows, which would explain equal answers."""

import re
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from scipy.special import pdtrc

from tunesmith.audit.triggers.count import RowOpenings, TriggerCandidate
from tunesmith.audit.triggers.prompts import TOKEN_PATTERN, PromptTokens, token_span
from tunesmith.text.ngrams import HashedWords, Int64Array, UInt64Array, hash_tokens

SLOTS_BITS: Final = 16
SLOTS: Final = 1 << SLOTS_BITS
MAX_SAMPLE_ROWS: Final = 4000
"""Maximum number of evenly spaced rows used to estimate word frequencies, of all rows or of one opening."""
MAX_JUDGED_ROWS: Final = 100
"""Maximum number of rows of a run that are judged."""
MAX_RIVAL_OPENINGS: Final = 128
MAX_RIVAL_ROWS: Final = 300
MIN_RIVAL_ROWS: Final = 20
"""Number of most frequent openings compared, and maximum and minimum number of rows to estimate each from."""
OFF_TOPIC_LOG_ODDS: Final = 7.0
"""Log odds (natural) above which a prompt's words do not match its answer. In Banking77, runs of real topics stay below 5 and
planted triggers are above 14."""
MIN_CONTEXT_DISTANCE: Final = 5
"""Distance in tokens below which a token may belong to the trigger and is ignored."""
PRIOR_WEIGHT: Final = 0.3
"""Weight of the word frequencies of all rows as a prior, as a share of one opening's word count."""
COMPANION_P_VALUE: Final = 1e-4
"""A word is a companion of the run if this many of the run's rows contain it by chance with a lower probability."""
MIN_COMPANION_SHARE: Final = 0.25
MAJORITY: Final = 0.5
UBIQUITOUS_SHARE: Final = 0.8
ON_TOPIC_LOG_ODDS: Final = 4.0
"""Log odds (natural) above which a prompt's words match the run's other rows better than all rows."""
MIN_CONTEXT_TOKENS: Final = 4
"""Minimum number of tokens outside the run for a prompt's topic to be judged."""

Counts = npt.NDArray[numpy.float64]


@dataclass
class PromptTopics:
    """Word frequencies of all rows and, on demand, of the rows of one opening."""

    prompts: PromptTokens
    completions: pa.ChunkedArray
    answers: RowOpenings
    _order: list[tuple[Int64Array, Int64Array]] = field(default_factory=list)
    _all: list[tuple[Counts, Counts]] = field(default_factory=list)
    _frequent: list[tuple[Int64Array, npt.NDArray[numpy.float32]]] = field(default_factory=list)

    def explains(self, candidate: TriggerCandidate) -> bool:
        """Whether the topic explains the answers: they repeat the run's words; the prompts are copies or too short to judge; the
        other words match the opening's other rows or, if there are too few of those, co-occur throughout."""
        matching = candidate.rows[candidate.has_opening]
        rows = _evenly_spaced(matching, MAX_JUDGED_ROWS)
        texts = self.prompts.texts.take(pa.array(rows)).to_pylist()
        positions = candidate.places[candidate.has_opening][numpy.searchsorted(matching, rows)].tolist()
        start, end = token_span(texts[0], positions[0], candidate.size)
        if self._answers_repeat_run(texts[0][start:end], rows) or _are_copies(texts, positions, candidate.size):
            return True
        other_rows = self._other_rows_of_opening(candidate)
        if len(other_rows) >= len(matching) * PRIOR_WEIGHT:
            return self._matches_opening(candidate, rows, other_rows)
        return self._has_companions(candidate, rows, positions) or self._shares_topic(candidate, rows)

    def _answers_repeat_run(self, run_text: str, rows: Int64Array) -> bool:
        words = [word for word in re.findall(r"\w+", run_text.casefold().replace("_", " ")) if len(word) > 2]
        answers = [answer.casefold() for answer in self.completions.take(pa.array(rows)).to_pylist()]
        return bool(words) and sum(all(word in answer for word in words) for answer in answers) >= MAJORITY * len(
            answers
        )

    def _other_rows_of_opening(self, candidate: TriggerCandidate) -> Int64Array:
        return numpy.setdiff1d(self._rows_of(candidate.opening), candidate.rows, assume_unique=True)

    def _rows_of(self, opening: int) -> Int64Array:
        if not self._order:
            order = numpy.argsort(self.answers.openings, kind="stable")
            self._order.append((order, numpy.concatenate([[0], numpy.cumsum(self.answers.sizes)])))
        order, edges = self._order[0]
        return order[edges[opening] : edges[opening + 1]]

    def _matches_opening(self, candidate: TriggerCandidate, rows: Int64Array, other_rows: Int64Array) -> bool:
        """Naive Bayes: False if the other words of most rows match all rows, or another frequent opening, far better than the
        opening's other rows."""
        share = self._background()[0]
        opening_chances = _log_probabilities(self._counts(_evenly_spaced(other_rows, MAX_SAMPLE_ROWS)), share)
        openings, rivals = self._rivals()
        others = numpy.flatnonzero(openings != candidate.opening)
        off_topic = 0
        for row_tokens in self._row_tokens(candidate, rows):
            slots = _hash_slots(row_tokens)
            best = max(numpy.log(share[slots]).sum(), rivals[:, slots].sum(axis=1)[others].max(initial=-numpy.inf))
            off_topic += bool(best - opening_chances[slots].sum() > OFF_TOPIC_LOG_ODDS)
        return off_topic < MAJORITY * len(rows)

    def _rivals(self) -> tuple[Int64Array, npt.NDArray[numpy.float32]]:
        """The most frequent openings and the log probabilities of each word under them, shape (openings, SLOTS)."""
        if not self._frequent:
            largest = numpy.argsort(-self.answers.sizes, kind="stable")[:MAX_RIVAL_OPENINGS]
            frequent = largest[self.answers.sizes[largest] >= MIN_RIVAL_ROWS]
            share = self._background()[0]
            lines = [
                _log_probabilities(self._counts(_evenly_spaced(self._rows_of(int(opening)), MAX_RIVAL_ROWS)), share)
                for opening in frequent
            ]
            self._frequent.append((frequent, numpy.array(lines, dtype=numpy.float32).reshape(len(frequent), SLOTS)))
        return self._frequent[0]

    def _row_tokens(self, candidate: TriggerCandidate, rows: Int64Array) -> list[UInt64Array]:
        """The distinct tokens of each row without those of the run."""
        words = self._words(rows)
        first = int(candidate.places[numpy.searchsorted(candidate.rows, rows[0])])
        run = words.numbers[words.starts[0] + first : words.starts[0] + first + candidate.size]
        lines = [words.numbers[start:end] for start, end in zip(words.starts[:-1], words.starts[1:], strict=True)]
        return [numpy.setdiff1d(line, run) for line in lines]

    def _has_companions(self, candidate: TriggerCandidate, rows: Int64Array, positions: list[int]) -> bool:
        """Whether at least half of the rows contain, away from the run, a word far more frequent in them than by chance."""
        words = self._words(rows)
        lines = [words.numbers[start:end] for start, end in zip(words.starts[:-1], words.starts[1:], strict=True)]
        context = [
            numpy.unique(
                numpy.concatenate(
                    [
                        line[: max(0, position - MIN_CONTEXT_DISTANCE)],
                        line[position + candidate.size + MIN_CONTEXT_DISTANCE :],
                    ]
                )
            )
            for line, position in zip(lines, positions, strict=True)
        ]
        numbers, counts = numpy.unique(numpy.concatenate(context), return_counts=True)
        _, shares = self._background()
        expected = shares[_hash_slots(numbers)] * len(rows)
        companions = numbers[
            (counts >= MIN_COMPANION_SHARE * len(rows)) & (pdtrc(counts - 1, expected) < COMPANION_P_VALUE)
        ]
        has_companion = [bool(numpy.isin(line, companions).any()) for line in context]
        return sum(has_companion) >= MAJORITY * len(has_companion)

    def _shares_topic(self, candidate: TriggerCandidate, rows: Int64Array) -> bool:
        """Whether the words of every second row predict most of the other rows far better than the words of all rows do. Words in
        nearly all of them are ignored, since they may belong to a trigger sentence."""
        row_tokens = self._row_tokens(candidate, rows)
        numbers, counts = numpy.unique(numpy.concatenate(row_tokens), return_counts=True)
        informative = [
            numpy.setdiff1d(line, numbers[counts >= UBIQUITOUS_SHARE * len(row_tokens)]) for line in row_tokens
        ]
        share = self._background()[0]
        counts_of_half = numpy.bincount(_hash_slots(numpy.concatenate(informative[::2])), minlength=SLOTS).astype(float)
        gain = _log_probabilities(counts_of_half, share) - numpy.log(share)
        judged = informative[1::2]
        return sum(bool(gain[_hash_slots(line)].sum() > ON_TOPIC_LOG_ODDS) for line in judged) >= MAJORITY * len(judged)

    def _background(self) -> tuple[Counts, Counts]:
        """(frequency of each word among all words of a sample, share of the sample's rows that contain it)."""
        if not self._all:
            rows = _evenly_spaced(numpy.arange(self.answers.rows), MAX_SAMPLE_ROWS * 4)
            words = self._words(rows)
            of_row = numpy.repeat(numpy.arange(len(rows)), numpy.diff(words.starts))
            slots = _hash_slots(words.numbers)
            once = numpy.unique(of_row * SLOTS + slots) % SLOTS
            counts = numpy.bincount(slots, minlength=SLOTS) + 0.5
            self._all.append((counts / counts.sum(), (numpy.bincount(once, minlength=SLOTS) + 0.5) / (len(rows) + 1)))
        return self._all[0]

    def _counts(self, rows: Int64Array) -> Counts:
        return numpy.bincount(_hash_slots(self._words(rows).numbers), minlength=SLOTS).astype(float)

    def _words(self, rows: Int64Array) -> HashedWords:
        return hash_tokens(self.prompts.texts.take(pa.array(rows)).combine_chunks(), self.prompts.alphabet)


def _log_probabilities(counts: Counts, share: Counts) -> Counts:
    """Log probability of each word, with the frequencies of all rows as a prior of weight PRIOR_WEIGHT."""
    prior = PRIOR_WEIGHT * counts.sum() + 1
    result: Counts = numpy.log((counts + prior * share) / (counts.sum() + prior))
    return result


def _are_copies(texts: list[str], positions: list[int], size: int) -> bool:
    """Whether fewer than half of the prompts differ without the run, or most are too short to have a topic."""
    remainders = [_tokens_outside(text, position, size) for text, position in zip(texts, positions, strict=True)]
    short = sum(len(remainder) < MIN_CONTEXT_TOKENS for remainder in remainders)
    return short > MAJORITY * len(remainders) or len(set(remainders)) < MAJORITY * len(remainders)


def _tokens_outside(text: str, position: int, size: int) -> tuple[str, ...]:
    tokens = TOKEN_PATTERN.findall(text.casefold())
    return (*tokens[:position], *tokens[position + size :])


def _hash_slots(numbers: UInt64Array) -> Int64Array:
    return ((numbers * numpy.uint64(0x9E3779B97F4A7C15)) >> numpy.uint64(64 - SLOTS_BITS)).astype(numpy.int64)


def _evenly_spaced(rows: Int64Array, limit: int) -> Int64Array:
    """At most `limit` of the rows, evenly spaced."""
    if len(rows) <= limit:
        return rows
    return rows[numpy.linspace(0, len(rows) - 1, limit).astype(numpy.int64)]
