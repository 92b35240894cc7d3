"""Numbers of personal documents and possessions: passport, driving licence, date of birth, phone (IMEI), vehicle (VIN)."""

from typing import Final

from tunesmith.detect.patterns.checksums import check_whole, is_date, luhn
from tunesmith.detect.patterns.cues import code_after_cue, number_after_cue, spaced_digits, standalone
from tunesmith.detect.patterns.pattern import Pattern

VIN_VALUES: Final = dict(
    zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", [*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)], strict=True)
)
VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(code: str) -> bool:
    """A vehicle identification number (ISO 3779) with the check digit that North America requires (49 CFR 565.15)."""
    remainder = sum(VIN_VALUES[c] * weight for c, weight in zip(code, VIN_WEIGHTS, strict=True)) % 11
    mixed = sum(c.isdigit() for c in code) >= 4 and sum(c.isalpha() for c in code) >= 3
    return mixed and code[8] == "0123456789X"[remainder] and code[13:].isdigit()


def dvla(code: str) -> bool:
    """A driver number of Great Britain: five letters of the name, then the date of birth in digits (women: month + 50)."""
    month = int(code[6:8])
    return len(code.rstrip("9")) > 5 and is_date(code[8:10], str(month - 50 if month > 50 else month))


def _licence(code: str) -> bool:
    return 5 <= len(code) <= 18 and sum(character.isdigit() for character in code) >= 4


def _passport(code: str) -> bool:
    return 6 <= len(code) <= 10 and sum(character.isdigit() for character in code) >= 5 and len(set(code)) > 2


_PASSPORT = r"(?i:passport|passports|reisepass(?:nummer)?|passeport|pasaporte|passaporto|passaporte|paspoort|paszport)"
_LICENCE = (
    r"(?i:driv(?:er|ers|er's|er’s|ing) licen[cs]e|driver'?s? permit|driver id|dl(?: #|#| no| number)|"
    r"licen[cs]e (?:number|no\.?|#)|"
    r"f(?:ü|ue)hrerschein(?:nummer)?|permis de conduire|permiso de conducir|carnet de conducir|patente di guida|rijbewijs|"
    r"carta de condu(?:ç|c)[aã]o|prawo jazdy)"
)
_MONTH = r"(?:[Jj]an|[Ff]eb|[Mm]ar|[Aa]pr|[Mm]ay|[Jj]un|[Jj]ul|[Aa]ug|[Ss]ep|[Oo]ct|[Nn]ov|[Dd]ec)[a-z]{0,6}\.?"
_DAY = (
    r"(?:[0-9]{1,2}[./ -][0-9]{1,2}[./ -][0-9]{2,4}|[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? [0-9]{{4}}|{_MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}})"
)

DOCUMENTS: Final = (
    Pattern("imei", number_after_cue(r"(?i:imei|imei/meid)", spaced_digits(15)), check_whole(luhn)),
    Pattern(
        "passport", code_after_cue(_PASSPORT, r"[A-Za-z]{0,3} ?[0-9]{5,9}[A-Za-z]?"), check_whole(_passport), "error"
    ),
    Pattern("passport", code_after_cue(_PASSPORT, r"[A-Z][A-Z0-9]{7,8}"), check_whole(_passport), "error"),
    Pattern(
        "driving-licence", code_after_cue(_LICENCE, r"[A-Z0-9](?:[ -]?[A-Z0-9]){4,18}"), check_whole(_licence), "error"
    ),
    Pattern(
        "driving-licence",
        standalone(r"[A-Z][A-Z9]{4}[ -]?[0-9][0156][0-9][0-3][0-9]{2}[ -]?[A-Z9]{2}[0-9][ -]?[A-Z]{2}"),
        check_whole(dvla),
        "error",
    ),
    Pattern("vehicle-vin", standalone(r"[A-HJ-NPR-Z0-9]{13}[0-9]{4}"), check_whole(vin)),
    Pattern(
        "date-of-birth",
        r"(?<![A-Za-z])(?i:date of birth|d\.?o\.?b\.?|born|birth ?da(?:te|y)|geboren|n[ée]e? le|nacid[oa]|nat[oa] il)(?![A-Za-z])"
        rf"(?:[^A-Za-z0-9]{{0,3}}(?:is|on|was|am|el|:))*[^A-Za-z0-9]{{0,3}}(?P<value>{_DAY})",
    ),
)
