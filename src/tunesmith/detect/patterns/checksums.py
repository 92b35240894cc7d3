"""Check digits: Luhn (ISO/IEC 7812-1), Verhoeff, ISO 7064 mod 11-2 and 11-10, mod 97 (ISO 13616), weighted sums, dates."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from typing import Final

LEAP_YEAR: Final = 2000
"""A leap year, for dates whose century is not known."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        digit = int(character) * (1 + position % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN without spaces, in upper case, leaves 1 modulo 97."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def mod11_10(digits: str) -> bool:
    """ISO/IEC 7064, mod 11,10: a hybrid system with one check digit."""
    product = 10
    for character in digits[:-1]:
        product = ((product + int(character)) % 10 or 10) * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def mod11_2(code: str) -> bool:
    """ISO/IEC 7064, mod 11-2: the last character is a digit or X for ten."""
    total = 0
    for character in code:
        total = total * 2 + (10 if character in "xX" else int(character))
    return total % 11 == 1


def verhoeff(digits: str) -> bool:
    """Verhoeff 1969: the dihedral group of order ten, with the permutation (1 5 8 9 4 2 7 0)(3 6) by position."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        digit = int(character)
        for _ in range(position % 8):
            digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
        total = _dihedral_product(total, digit)
    return total == 0


def _dihedral_product(left: int, right: int) -> int:
    turned = left >= 5
    product = (left - right if turned else left + right) % 5
    return product + 5 * (turned != (right >= 5))


def weighted_sum(digits: str, weights: Sequence[int]) -> int:
    """The sum of the first digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def mod11_check_digit(digits: str, weights: Sequence[int]) -> int:
    """The check digit 11 - (weighted sum mod 11), where 11 is 0; 10 is no digit and never equals one."""
    return -weighted_sum(digits, weights) % 11


def is_date(day: str, month: str, year: str = "") -> bool:
    """Whether a day of that month exists; of a leap year when the year is not given or has two digits."""
    if not 1 <= int(month) <= 12:
        return False
    return 1 <= int(day) <= monthrange(int(year) if len(year) == 4 and int(year) else LEAP_YEAR, int(month))[1]


def alphanumeric(text: str) -> str:
    """Letters and digits alone, in upper case."""
    return "".join(character for character in text if character.isalnum()).upper()


def check_whole(valid: Callable[[str], bool]) -> Callable[[str], int]:
    """A pattern's check: all of the text when its letters and digits, in upper case, are valid, else nothing."""
    return lambda text: len(text) if valid(alphanumeric(text)) else 0
