"""Function words by language, from `function_words/*.yaml`."""

from typing import Final

from tunesmith.detect.word_files import FIRST_LANGUAGE, FOLDER, Alternatives, WordFile, read_languages


class FunctionWords(WordFile):
    """Small words of one language."""

    common: Alternatives
    """By which a text shows that it is in this language."""
    never_last: Alternatives = ()
    """That no sentence ends in."""


_BY_LANGUAGE: Final = read_languages(FOLDER / "function_words", FunctionWords)
ENGLISH_FUNCTION_WORDS: Final = _BY_LANGUAGE[FIRST_LANGUAGE].common
OTHER_FUNCTION_WORDS: Final = tuple(
    dict.fromkeys(
        word for language, words in _BY_LANGUAGE.items() if language != FIRST_LANGUAGE for word in words.common
    )
)
DANGLING_WORDS: Final = frozenset(word for words in _BY_LANGUAGE.values() for word in words.never_last)
"""Words that no sentence ends in."""
