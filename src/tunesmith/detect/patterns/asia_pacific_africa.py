"""National numbers of people in Asia, the Pacific and Africa. `europe` says when a cue word is needed before a number."""

from typing import Final

from tunesmith.detect.patterns.checksums import (
    check_whole,
    is_date,
    luhn,
    mod11_2,
    mod11_check_digit,
    verhoeff,
    weighted_sum,
)
from tunesmith.detect.patterns.cues import number_after_cue, spaced_digits, standalone
from tunesmith.detect.patterns.pattern import Pattern

NRIC_CITIZEN: Final = "JZIHGFEDCBA"
NRIC_FOREIGN: Final = "XWUTRQPNMLK"
NRIC_NEW: Final = "XWUTRQPNJLK"
TAIWAN_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""The letters in the order of their values, which start at 10: the order of the districts, not of the alphabet."""


def aadhaar(number: str) -> bool:
    years = all(number[start : start + 2] in ("19", "20") for start in (0, 4, 8))
    return verhoeff(number) and not years


def tfn(number: str) -> bool:
    weights = (1, 4, 3, 7, 5, 8, 6, 9, 10) if len(number) == 9 else (10, 7, 8, 4, 6, 3, 5, 1)
    return weighted_sum(number, weights) % 11 == 0 and len(set(number)) > 1


def medicare_au(number: str) -> bool:
    return weighted_sum(number, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(number[8])


def ird(number: str) -> bool:
    """Modulo 11, with a second set of weights when the first gives ten."""
    padded = number.zfill(9)
    check = mod11_check_digit(padded, (3, 2, 7, 6, 5, 4, 3, 2))
    if check == 10:
        check = mod11_check_digit(padded, (7, 4, 3, 2, 5, 2, 7, 6))
    return check == int(padded[8]) and 10_000_000 < int(number) < 150_000_000


def resident_cn(code: str) -> bool:
    return is_date(code[12:14], code[10:12], code[6:10]) and mod11_2(code)


def hkid(code: str) -> bool:
    """Letters have the values 10 to 35, a missing first letter has 36; the check digit A stands for ten."""
    values = [int(character, 36) for character in code]
    values = [36, *values] if len(values) == 8 else values
    return weighted_sum_of_values(values, range(9, 0, -1)) % 11 == 0


def weighted_sum_of_values(values: list[int], weights: range) -> int:
    return sum(value * weight for value, weight in zip(values, weights, strict=False))


def taiwan_id(code: str) -> bool:
    rank = TAIWAN_LETTERS.index(code[0]) + 10
    return (rank // 10 + rank % 10 * 9 + weighted_sum(code[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def nric(code: str) -> bool:
    """Weights 2, 7, 6, 5, 4, 3, 2, plus 4 for T and G and 3 for M; the sum modulo 11 selects the last letter."""
    total = weighted_sum(code[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(code[0], 0)
    letters = NRIC_CITIZEN if code[0] in "ST" else NRIC_FOREIGN if code[0] in "FG" else NRIC_NEW
    return letters[total % 11] == code[8]


def rrn(number: str) -> bool:
    """Only the date is checked: numbers assigned since October 2020 have no check digit."""
    return is_date(number[4:6], number[2:4])


def my_number(number: str) -> bool:
    remainder = weighted_sum(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if remainder <= 1 else 11 - remainder) == int(number[11])


def thai_id(number: str) -> bool:
    return (11 - weighted_sum(number, range(13, 1, -1)) % 11) % 10 == int(number[12])


def malaysian_id(number: str) -> bool:
    return is_date(number[4:6], number[2:4]) and number[6:8] not in (
        "00",
        "17",
        "18",
        "19",
        "20",
        "69",
        "70",
        "73",
        "80",
        "81",
        "94",
        "95",
        "96",
        "97",
    )


def turkish_id(number: str) -> bool:
    """Modulo ten, digit 10 is 7 times the sum of the odd places minus that of the even ones, and digit 11 the sum of all ten."""
    odd, even = sum(map(int, number[0:9:2])), sum(map(int, number[1:8:2]))
    return (7 * odd - even) % 10 == int(number[9]) and sum(map(int, number[:10])) % 10 == int(number[10])


def south_african_id(number: str) -> bool:
    return is_date(number[4:6], number[2:4]) and luhn(number)


ASIA_PACIFIC_AFRICA: Final = (
    Pattern(
        "in-aadhaar",
        r"(?<![0-9A-Za-z.-])(?<![0-9][ ])[2-9][0-9]{3}(?: [0-9]{4} |-[0-9]{4}-)[0-9]{4}(?![0-9A-Za-z])(?![ .-][0-9])",
        check_whole(aadhaar),
        "error",
    ),
    Pattern(
        "in-aadhaar",
        number_after_cue(r"(?i:aadhaar|aadhar|uidai|uid)", spaced_digits(12, first="[2-9]")),
        check_whole(aadhaar),
        "error",
    ),
    Pattern("in-pan", standalone(r"[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]"), severity="error"),
    Pattern(
        "au-tfn",
        number_after_cue(r"(?i:tfn|tax file(?: number)?)", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{2,3}"),
        check_whole(tfn),
        "error",
    ),
    Pattern(
        "au-medicare",
        number_after_cue(r"(?i:medicare)", r"[2-6][0-9]{3}[ -]?[0-9]{5}[ -]?[0-9](?:[ /-]?[1-9])?"),
        check_whole(medicare_au),
        "error",
    ),
    Pattern(
        "nz-ird",
        number_after_cue(r"(?:IRD|(?i:inland revenue))", r"[0-9]{2,3}[ -]?[0-9]{3}[ -]?[0-9]{3}"),
        check_whole(ird),
        "error",
    ),
    Pattern(
        "cn-resident-id",
        standalone(r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9Xx]"),
        check_whole(resident_cn),
        "error",
    ),
    Pattern("hk-id", r"(?<![A-Za-z0-9])[A-Z]{1,2}[0-9]{6} ?\([0-9A]\)", check_whole(hkid), "error"),
    Pattern(
        "tw-id",
        r"(?<![A-Za-z])(?:(?i:taiwan(?:ese)?|national id|id (?:number|no|card))|ARC|身[分份]證)[^0-9\n]{0,24}(?<![A-Za-z0-9])"
        r"(?P<value>[A-Z][1289][0-9]{8})(?![A-Za-z0-9])",
        check_whole(taiwan_id),
        "error",
    ),
    Pattern("sg-nric", standalone(r"[STFGM][0-9]{7}[A-Z]"), check_whole(nric), "error"),
    Pattern("kr-rrn", standalone(r"[0-9]{2}[01][0-9][0-3][0-9]-[1-8][0-9]{6}"), check_whole(rrn), "error"),
    Pattern(
        "jp-my-number",
        r"(?:(?i:my number|individual number)|マイナンバー|個人番号)[^0-9\n]{0,24}(?<![0-9])"
        r"(?P<value>[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4})(?![0-9])(?![ -][0-9])",
        check_whole(my_number),
        "error",
    ),
    Pattern("th-id", standalone(r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]"), check_whole(thai_id), "error"),
    Pattern(
        "my-nric", standalone(r"[0-9]{2}[01][0-9][0-3][0-9]-[0-9]{2}-[0-9]{4}"), check_whole(malaysian_id), "error"
    ),
    Pattern(
        "tr-id",
        number_after_cue(
            r"(?i:t\.?c\.? ?kimlik(?: no)?|t\.?c\.?|tckn|tckimlik|kimlik(?: no)?|turkish (?:id|identity)(?: number)?)",
            r"[1-9][0-9]{10}",
        ),
        check_whole(turkish_id),
        "error",
    ),
    Pattern(
        "il-id",
        number_after_cue(r"(?:(?i:teudat zehut|israeli? id(?:entity)?)|תעודת זהות|ת\.ז\.?)", r"[0-9]{9}"),
        check_whole(luhn),
        "error",
    ),
    Pattern(
        "za-id",
        standalone(r"[0-9]{2}[01][0-9][0-3][0-9] ?[0-9]{4} ?[012][89][0-9]"),
        check_whole(south_african_id),
        "error",
    ),
)
