"""Check digits: Luhn (ISO/IEC 7812-1), Verhoeff, ISO 7064 mod 11-2 and mod 11,10, mod 97 (ISO 13616), weighted sums, dates."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from typing import Final

LEAP_YEAR: Final = 2000
"""A leap year, for dates with an unknown century."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the digits before it."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        digit = int(character) * (1 + position % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN, in upper case and without spaces, is 1 modulo 97."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def mod11_10(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7064 mod 11,10, a hybrid system."""
    product = 10
    for character in digits[:-1]:
        product = ((product + int(character)) % 10 or 10) * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def mod11_2(code: str) -> bool:
    """Whether the last character, a digit or X for ten, is the check character of ISO/IEC 7064 mod 11-2."""
    total = 0
    for character in code:
        total = total * 2 + (10 if character in "xX" else int(character))
    return total % 11 == 1


def verhoeff(digits: str) -> bool:
    """Whether the last digit is the check digit of Verhoeff 1969.

    A product in the dihedral group of order ten, with each digit permuted by (1 5 8 9 4 2 7 0)(3 6) as often as its position.
    """
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
    """The sum of the digits times their weights; digits without a weight are left out."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def mod11_check_digit(digits: str, weights: Sequence[int]) -> int:
    """The check digit: 11 minus the weighted sum modulo 11, where 11 becomes 0. The result 10 equals no digit."""
    return -weighted_sum(digits, weights) % 11


def is_date(day: str, month: str, year: str = "") -> bool:
    """Whether the day exists in that month. Without a year of four digits, February has 29 days."""
    if not 1 <= int(month) <= 12:
        return False
    return 1 <= int(day) <= monthrange(int(year) if len(year) == 4 and int(year) else LEAP_YEAR, int(month))[1]


def alphanumeric(text: str) -> str:
    """Only the letters and digits of the text, in upper case."""
    return "".join(character for character in text if character.isalnum()).upper()


def check_whole(valid: Callable[[str], bool]) -> Callable[[str], int]:
    """A check for `Pattern`: the whole length when the letters and digits of the text, in upper case, are valid, else 0."""
    return lambda text: len(text) if valid(alphanumeric(text)) else 0
