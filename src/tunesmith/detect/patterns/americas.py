"""National numbers of people in the Americas. `europe` says when a cue word is needed before a number."""

from typing import Final

from tunesmith.detect.patterns.checksums import check_whole, is_date, luhn, mod11_check_digit, weighted_sum
from tunesmith.detect.patterns.cues import code_after_cue, number_after_cue, spaced_digits, standalone
from tunesmith.detect.patterns.pattern import Pattern

CURP_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
EIN_NEVER: Final = frozenset(
    {"00", "07", "08", "09", "17", "18", "19", "28", "29", "49", "69", "70", "78", "79", "89", "96", "97"}
)
"""First two digits that the Internal Revenue Service does not assign."""


def ssn(number: str) -> bool:
    """Areas 000, 666 and 900-999, group 00 and serial 0000 are never assigned."""
    return number[:3] not in ("000", "666") and number[0] != "9" and number[3:5] != "00" and number[5:] != "0000"


def itin(number: str) -> bool:
    """The first digit is 9; the fourth and fifth are 50-65, 70-88, 90-92 or 94-99 (Internal Revenue Service)."""
    group = int(number[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94


def ein(number: str) -> bool:
    return number[:2] not in EIN_NEVER


def npi(number: str) -> bool:
    """Luhn with the prefix 80840 (45 CFR 162.406, Centers for Medicare and Medicaid Services)."""
    return luhn("80840" + number)


def dea(code: str) -> bool:
    """The sum of digits 1, 3 and 5 and twice digits 2, 4 and 6 ends in the seventh digit."""
    return weighted_sum(code[2:8], (1, 2) * 3) % 10 == int(code[8])


def cpf(number: str) -> bool:
    first = mod11_check_digit(number, range(10, 1, -1)) % 10
    second = mod11_check_digit(number, range(11, 1, -1)) % 10
    return len(set(number)) > 1 and number[9:] == f"{first}{second}"


def cnpj(number: str) -> bool:
    first = mod11_check_digit(number, (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 10
    second = mod11_check_digit(number, (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 10
    return len(set(number)) > 1 and number[12:] == f"{first}{second}"


def curp(code: str) -> bool:
    """The sum of the characters' ranks times the weights 18 down to 2, plus the last digit, is a multiple of ten."""
    total = sum(CURP_CHARACTERS.index(character) * (18 - place) for place, character in enumerate(code[:17]))
    return is_date(code[8:10], code[6:8]) and -total % 10 == int(code[17])


def rut(code: str) -> bool:
    """Modulo 11 with weights 2 to 7 from the right; K stands for ten."""
    remainder = -sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(code[:-1]))) % 11
    return "0123456789K"[remainder] == code[-1]


def cuit(number: str) -> bool:
    return mod11_check_digit(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == int(number[10])


def sin(number: str) -> bool:
    return luhn(number) and len(set(number)) > 1


_MBI_LETTER = "[AC-HJKMNP-RT-Y]"
_MBI_EITHER = "[AC-HJKMNP-RT-Y0-9]"

AMERICAS: Final = (
    Pattern("us-itin", standalone(r"9[0-9]{2}-[5-9][0-9]-[0-9]{4}"), check_whole(itin), "error"),
    Pattern(
        "us-itin",
        number_after_cue(r"(?i:itin|taxpayer id(?:entification)?)", r"9[0-9]{2}[ .-]?[5-9][0-9][ .-]?[0-9]{4}"),
        check_whole(itin),
        "error",
    ),
    Pattern("us-ssn", r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])", check_whole(ssn), "error"),
    Pattern(
        "us-ssn",
        number_after_cue(r"(?i:ssn|ssns|social security)", r"[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}"),
        check_whole(ssn),
        "error",
    ),
    Pattern(
        "us-ein",
        code_after_cue(
            r"(?i:ein|fein|employer id(?:entification)?|federal tax id(?:entification)?)", r"[0-9]{2}-[0-9]{7}"
        ),
        check_whole(ein),
    ),
    Pattern("us-npi", number_after_cue(r"(?i:npi|national provider)", r"[12][0-9]{9}"), check_whole(npi)),
    Pattern(
        "us-dea-number",
        code_after_cue(r"(?i:dea|medical licen[cs]e|prescriber)", r"[A-HJ-MPRSTUXa-hj-mprstux][A-Za-z9][0-9]{7}"),
        check_whole(dea),
    ),
    Pattern(
        "us-mbi",
        standalone(
            rf"[1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{{2}}[0-9]{{2}}"
        ),
        severity="error",
    ),
    Pattern(
        "us-mbi",
        code_after_cue(
            r"(?i:mbi|medicare(?: beneficiary)?)",
            rf"[1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]{_MBI_LETTER}{{2}}[0-9]{{2}}",
        ),
        severity="error",
    ),
    Pattern(
        "ca-sin",
        number_after_cue(r"(?:SIN|NAS|(?i:social insurance|assurance sociale))", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}"),
        check_whole(sin),
        "error",
    ),
    Pattern(
        "mx-curp",
        standalone(
            r"[A-ZÑ][AEIOUX][A-ZÑ]{2}[0-9]{2}[01][0-9][0-3][0-9][HMX][A-Z]{2}[B-DF-HJ-NP-TV-ZÑ]{3}[0-9A-Z][0-9]"
        ),
        check_whole(curp),
        "error",
    ),
    Pattern("br-cpf", standalone(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"), check_whole(cpf), "error"),
    Pattern("br-cpf", number_after_cue(r"(?i:cpf)", spaced_digits(11)), check_whole(cpf), "error"),
    Pattern("br-cnpj", standalone(r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}"), check_whole(cnpj)),
    Pattern("cl-rut", standalone(r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]"), check_whole(rut), "error"),
    Pattern("ar-cuit", standalone(r"2[0347]-[0-9]{8}-[0-9]"), check_whole(cuit), "error"),
)
