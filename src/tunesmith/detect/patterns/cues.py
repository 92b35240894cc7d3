"""Expressions for values behind a cue word: the cue, what may stand between, and the value."""

from typing import Final

CUE_TO_VALUE: Final = (
    r"(?:[^A-Za-z0-9\n]{0,3}"
    r"(?i:number|num|no|nr|id|code|card|details|is|was|are|the|my|his|her|their|our|reads|says))"
    r"{0,4}[^A-Za-z0-9\n]{0,4}"
)
"""What may stand between a cue and a value with letters."""
VALUE_END: Final = r"(?![A-Za-z0-9_])(?![.,:/-][0-9])"
"""Behind a value: no letter or digit, no decimals, time, path or further group of digits."""
VALUE_START: Final = r"(?<![A-Za-z0-9_.])(?<![0-9][,:/-])"


def number_after_cue(cue: str, value: str, *, far: int = 40) -> str:
    """A value that begins with a digit, at most `far` characters behind a cue, with no digit or line end between."""
    return rf"(?<![A-Za-z])(?:{cue})(?![A-Za-z])[^0-9\n]{{0,{far}}}(?P<value>{value}){VALUE_END}"


def code_after_cue(cue: str, value: str) -> str:
    """A value of letters and digits behind a cue, directly or with words such as `number is` between."""
    return rf"(?<![A-Za-z])(?:{cue})(?![A-Za-z]){CUE_TO_VALUE}(?P<value>{value}){VALUE_END}"


def standalone(value: str) -> str:
    """A value that needs no cue."""
    return rf"{VALUE_START}{value}{VALUE_END}"


def spaced_digits(count: int, *, first: str = "[0-9]") -> str:
    """`count` digits, with at most one space, point or hyphen between two of them."""
    return rf"{first}(?:[ .-]?[0-9]){{{count - 1}}}"
