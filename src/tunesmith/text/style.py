"""Writing style as frequencies of function words, and Burrows's Delta between texts.

Delta is the mean difference, in standard deviations over the texts compared, of how often each text uses each word (Burrows
2002, Literary and Linguistic Computing 17:3). It does not prove authorship: translation, genre and period weigh as much as
the author, and below about 5,000 words it is unreliable (Eder 2015, Digital Scholarship in the Humanities 30:2).
"""

from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.text.ngrams import HashedWords, hash_words

FUNCTION_WORDS: Final = tuple(
    """
    the and of to a in that it was i his he with as for had you not at but on her she be my him is all so have from by
    which they me said there were this would one we when if or up out what no into then an been who their your them
    are could do more will some now very did like about has than down only little after other upon can before over
    such over again any how our never should here where back these must much us though made through those its might
    away even still too without yet own between while because until most off against under whom nor whose since
    """.split()  # noqa: SIM905
)
"""Frequent English words that carry little content; each counts once."""

Frequencies = npt.NDArray[numpy.float64]


def function_word_counts(
    texts: pa.Array, groups: npt.NDArray[numpy.int64], number: int
) -> tuple[Frequencies, Frequencies]:
    """Function words (number, words) and all words (number,) of each group; `groups` (texts,) has each text's group, or -1."""
    words = hash_words(texts)
    vocabulary = numpy.unique(_word_hashes(FUNCTION_WORDS))
    lengths = numpy.diff(words.starts)
    of_word = numpy.repeat(groups, lengths)
    place = numpy.minimum(numpy.searchsorted(vocabulary, words.numbers), len(vocabulary) - 1)
    counted = (vocabulary[place] == words.numbers) & (of_word >= 0)
    cells = numpy.bincount(of_word[counted] * len(vocabulary) + place[counted], minlength=number * len(vocabulary))
    sizes = numpy.bincount(groups[groups >= 0], weights=lengths[groups >= 0], minlength=number)
    return cells.reshape(number, len(vocabulary)).astype(numpy.float64), sizes.astype(numpy.float64)


def burrows_delta(counts: Frequencies, sizes: Frequencies) -> Frequencies:
    """Burrows's Delta of every pair of texts: (texts, texts), symmetric with a zero diagonal.

    `counts` (texts, words) and `sizes` (texts,) are those of `function_word_counts`. Words with equal frequency in all texts
    are left out. Raises ValueError for fewer than three texts, and for a text without words.
    """
    if len(sizes) < 3:
        raise ValueError("Delta needs three texts or more")
    if not (sizes > 0).all():
        raise ValueError("a text has no words")
    shares = counts / sizes[:, None]
    spread = shares.std(axis=0, ddof=1)
    varying = spread > 0
    scores = (shares[:, varying] - shares[:, varying].mean(axis=0)) / spread[varying]
    if not varying.any():
        return numpy.zeros((len(sizes), len(sizes)))
    distances: Frequencies = numpy.abs(scores[:, None, :] - scores[None, :, :]).mean(axis=2)
    return distances


def _word_hashes(words: tuple[str, ...]) -> npt.NDArray[numpy.uint64]:
    hashed: HashedWords = hash_words(pa.array(words))
    return hashed.numbers
