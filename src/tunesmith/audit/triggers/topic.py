"""Whether a run of tokens says what its rows are about, so that like answers are no wonder."""

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
"""Rows, evenly spaced, by which the words of all rows, or of all rows with one opening, are known."""
MAX_JUDGED_ROWS: Final = 100
"""Rows of a run that are judged."""
MAX_RIVAL_OPENINGS: Final = 128
MAX_RIVAL_ROWS: Final = 300
MIN_RIVAL_ROWS: Final = 20
"""Openings that are compared, the most frequent; the rows by which each is known, at most and at least."""
OFF_TOPIC_LOG_ODDS: Final = 7.0
"""Natural logarithm of the odds above which a prompt's words are not those of its answer. In Banking77 the runs of real topics
stay below 5, planted ones are above 14."""
MIN_CONTEXT_DISTANCE: Final = 5
"""Tokens nearer to the run than this may be part of it, and say nothing about the topic."""
PRIOR_WEIGHT: Final = 0.3
"""How much the words of all rows count beside those of one opening, as a share of the latter's number."""
COMPANION_P_VALUE: Final = 1e-4
"""A word that by chance would be in so many rows of a run with less than this probability keeps it company."""
MIN_COMPANION_SHARE: Final = 0.25
MAJORITY: Final = 0.5
UBIQUITOUS_SHARE: Final = 0.8
ON_TOPIC_LOG_ODDS: Final = 4.0
"""Natural logarithm of the odds above which a prompt's words are those of its fellows rather than those of all rows."""
MIN_CONTEXT_TOKENS: Final = 4
"""Tokens besides the run that a prompt must have to say what it is about."""

Counts = npt.NDArray[numpy.float64]


@dataclass
class PromptTopics:
    """The words of all rows and, as they are asked for, of the rows of one opening."""

    prompts: PromptTokens
    completions: pa.ChunkedArray
    answers: RowOpenings
    _order: list[tuple[Int64Array, Int64Array]] = field(default_factory=list)
    _all: list[tuple[Counts, Counts]] = field(default_factory=list)
    _frequent: list[tuple[Int64Array, npt.NDArray[numpy.float32]]] = field(default_factory=list)

    def explains(self, one: TriggerCandidate) -> bool:
        """Whether the topic explains the answers: they repeat the run's words; the prompts are copies or too short to tell;
        the other words are those of the opening's other rows, or, when it has none to speak of, keep company throughout."""
        alike = one.rows[one.alike]
        rows = _evenly_spaced(alike, MAX_JUDGED_ROWS)
        texts = self.prompts.texts.take(pa.array(rows)).to_pylist()
        places = one.places[one.alike][numpy.searchsorted(alike, rows)].tolist()
        start, end = token_span(texts[0], places[0], one.size)
        if self._repeats(texts[0][start:end], rows) or _are_copies(texts, places, one.size):
            return True
        rest = self._rest_of_opening(one)
        if len(rest) >= len(alike) * PRIOR_WEIGHT:
            return self._told_by_words(one, rows, rest)
        return self._keeps_company(one, rows, places) or self._one_topic(one, rows)

    def _repeats(self, run: str, rows: Int64Array) -> bool:
        words = [word for word in re.findall(r"\w+", run.casefold().replace("_", " ")) if len(word) > 2]
        answers = [answer.casefold() for answer in self.completions.take(pa.array(rows)).to_pylist()]
        return bool(words) and sum(all(word in answer for word in words) for answer in answers) >= MAJORITY * len(
            answers
        )

    def _rest_of_opening(self, one: TriggerCandidate) -> Int64Array:
        return numpy.setdiff1d(self._rows_of(one.opening), one.rows, assume_unique=True)

    def _rows_of(self, opening: int) -> Int64Array:
        if not self._order:
            order = numpy.argsort(self.answers.openings, kind="stable")
            self._order.append((order, numpy.concatenate([[0], numpy.cumsum(self.answers.sizes)])))
        order, edges = self._order[0]
        return order[edges[opening] : edges[opening + 1]]

    def _told_by_words(self, one: TriggerCandidate, rows: Int64Array, rest: Int64Array) -> bool:
        """Naive Bayes: whether the other words of most rows are not far rather those of all rows, or of another frequent
        opening, than those of the opening's other rows."""
        share = self._everything()[0]
        mine = _log_probabilities(self._counts(_evenly_spaced(rest, MAX_SAMPLE_ROWS)), share)
        openings, rivals = self._rivals()
        others = numpy.flatnonzero(openings != one.opening)
        strange = 0
        for own in self._own(one, rows):
            slots = _hash_slots(own)
            best = max(numpy.log(share[slots]).sum(), rivals[:, slots].sum(axis=1)[others].max(initial=-numpy.inf))
            strange += bool(best - mine[slots].sum() > OFF_TOPIC_LOG_ODDS)
        return strange < MAJORITY * len(rows)

    def _rivals(self) -> tuple[Int64Array, npt.NDArray[numpy.float32]]:
        """The most frequent openings and logarithms of the chances of each word under them, a line each."""
        if not self._frequent:
            largest = numpy.argsort(-self.answers.sizes, kind="stable")[:MAX_RIVAL_OPENINGS]
            known = largest[self.answers.sizes[largest] >= MIN_RIVAL_ROWS]
            share = self._everything()[0]
            lines = [
                _log_probabilities(self._counts(_evenly_spaced(self._rows_of(int(one)), MAX_RIVAL_ROWS)), share)
                for one in known
            ]
            self._frequent.append((known, numpy.array(lines, dtype=numpy.float32).reshape(len(known), SLOTS)))
        return self._frequent[0]

    def _own(self, one: TriggerCandidate, rows: Int64Array) -> list[UInt64Array]:
        """The tokens of each row, each once, less those of the run."""
        words = self._words(rows)
        first = int(one.places[numpy.searchsorted(one.rows, rows[0])])
        run = words.numbers[words.starts[0] + first : words.starts[0] + first + one.size]
        lines = [words.numbers[start:end] for start, end in zip(words.starts[:-1], words.starts[1:], strict=True)]
        return [numpy.setdiff1d(line, run) for line in lines]

    def _keeps_company(self, one: TriggerCandidate, rows: Int64Array, places: list[int]) -> bool:
        """Whether half of the rows or more have a word, away from the run, that is in far more of them than chance puts it."""
        words = self._words(rows)
        lines = [words.numbers[start:end] for start, end in zip(words.starts[:-1], words.starts[1:], strict=True)]
        far = [
            numpy.unique(
                numpy.concatenate(
                    [line[: max(0, at - MIN_CONTEXT_DISTANCE)], line[at + one.size + MIN_CONTEXT_DISTANCE :]]
                )
            )
            for line, at in zip(lines, places, strict=True)
        ]
        numbers, counts = numpy.unique(numpy.concatenate(far), return_counts=True)
        _, shares = self._everything()
        expected = shares[_hash_slots(numbers)] * len(rows)
        company = numbers[
            (counts >= MIN_COMPANION_SHARE * len(rows)) & (pdtrc(counts - 1, expected) < COMPANION_P_VALUE)
        ]
        kept = [bool(numpy.isin(line, company).any()) for line in far]
        return sum(kept) >= MAJORITY * len(kept)

    def _one_topic(self, one: TriggerCandidate, rows: Int64Array) -> bool:
        """Whether half of the rows' other words make most of the rest far likelier than all rows' words do. Words in nearly all
        of them say nothing: those of a trigger that is a sentence are."""
        own = self._own(one, rows)
        numbers, counts = numpy.unique(numpy.concatenate(own), return_counts=True)
        kept = [numpy.setdiff1d(line, numbers[counts >= UBIQUITOUS_SHARE * len(own)]) for line in own]
        share = self._everything()[0]
        known = numpy.bincount(_hash_slots(numpy.concatenate(kept[::2])), minlength=SLOTS).astype(float)
        gain = _log_probabilities(known, share) - numpy.log(share)
        judged = kept[1::2]
        return sum(bool(gain[_hash_slots(line)].sum() > ON_TOPIC_LOG_ODDS) for line in judged) >= MAJORITY * len(judged)

    def _everything(self) -> tuple[Counts, Counts]:
        """(share of each word among all words of a sample of all rows, share of the rows that have it)."""
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
    """Logarithm of the chance of each word, the words of all rows counting for PRIOR of the rows' own."""
    prior = PRIOR_WEIGHT * counts.sum() + 1
    made: Counts = numpy.log((counts + prior * share) / (counts.sum() + prior))
    return made


def _are_copies(texts: list[str], places: list[int], size: int) -> bool:
    """Whether, without the run, fewer than half of the prompts differ, or most are too short to be about anything."""
    rests = [_tokens_outside(text, place, size) for text, place in zip(texts, places, strict=True)]
    short = sum(len(rest) < MIN_CONTEXT_TOKENS for rest in rests)
    return short > MAJORITY * len(rests) or len(set(rests)) < MAJORITY * len(rests)


def _tokens_outside(text: str, place: int, size: int) -> tuple[str, ...]:
    tokens = TOKEN_PATTERN.findall(text.casefold())
    return (*tokens[:place], *tokens[place + size :])


def _hash_slots(numbers: UInt64Array) -> Int64Array:
    return ((numbers * numpy.uint64(0x9E3779B97F4A7C15)) >> numpy.uint64(64 - SLOTS_BITS)).astype(numpy.int64)


def _evenly_spaced(rows: Int64Array, most: int) -> Int64Array:
    """At most so many of the rows, evenly spaced."""
    if len(rows) <= most:
        return rows
    return rows[numpy.linspace(0, len(rows) - 1, most).astype(numpy.int64)]
