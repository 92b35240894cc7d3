"""National numbers of people in Europe, confirmed by their check digits where they have any.

A number whose form is not distinctive needs a cue word before it, in English or in the language of the country. Formats and
worked examples are those of the issuing authorities, which the tests name.
"""

from typing import Final

from tunesmith.detect.patterns.checksums import check_whole, is_date, luhn, mod11_10, mod11_check_digit, weighted_sum
from tunesmith.detect.patterns.cues import number_after_cue, spaced_digits, standalone
from tunesmith.detect.patterns.pattern import Pattern

DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
HETU_CHARACTERS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
PPS_LETTERS: Final = "WABCDEFGHIJKLMNOPQRSTUV"
FISCAL_MONTHS: Final = "ABCDEHLMPRST"
FISCAL_DIGITS: Final = str.maketrans("LMNPQRSTUV", "0123456789")
FISCAL_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""Values of the letters, and of the digits of the same rank, at odd places (Decreto ministeriale 23 December 1976)."""


def nhs(number: str) -> bool:
    return mod11_check_digit(number, range(10, 1, -1)) == int(number[9]) and len(set(number)) > 1


def nino(code: str) -> bool:
    return code[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def steuer_id(number: str) -> bool:
    """Ten digits, of which one occurs two or three times and the others at most once, and a check digit."""
    repeats = sorted(number[:10].count(digit) for digit in set(number[:10]))
    return number[0] != "0" and repeats[-1] in (2, 3) and repeats[-2] == 1 and mod11_10(number)


def rentenversicherung(code: str) -> bool:
    """The letter counts as two digits; the check digit is the sum of the digit sums of the products, modulo ten."""
    spread = f"{code[:8]}{ord(code[8]) - 64:02d}{code[9:]}"
    products = (
        int(digit) * weight for digit, weight in zip(spread, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False)
    )
    return is_date(str((int(code[2:4]) - 1) % 50 + 1), code[4:6]) and sum(
        sum(divmod(p, 10)) for p in products
    ) % 10 == int(code[11])


def svnr(number: str) -> bool:
    return weighted_sum(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(number[3]) and is_date(
        number[4:6], number[6:8]
    )


def ahv(number: str) -> bool:
    """The check digit of EAN-13."""
    return weighted_sum(number, (1, 3) * 6 + (1,)) % 10 == 0


def nir(code: str) -> bool:
    """The key is 97 minus the number modulo 97; the Corsican 2A counts as 19 and 2B as 18."""
    number = code.replace("2A", "19").replace("2B", "18")
    month = int(number[3:5])
    return (
        number.isdigit()
        and (1 <= month <= 12 or 20 <= month <= 42 or month >= 50)
        and 97 - int(number[:13]) % 97 == int(number[13:])
    )


def dni(code: str) -> bool:
    return DNI_LETTERS[int(code[:8]) % 23] == code[8]


def nie(code: str) -> bool:
    return dni(str("XYZ".index(code[0])) + code[1:])


def codice_fiscale(code: str) -> bool:
    """A date of birth (day + 40 for women) and a check letter; letters replace digits where two people would share a code."""
    values = [int(character, 36) - 10 if character.isalpha() else int(character) for character in code[:15]]
    total = sum(FISCAL_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values))
    day = int(code[9:11].translate(FISCAL_DIGITS)) % 40
    return chr(65 + total % 26) == code[15] and is_date(str(day), str(FISCAL_MONTHS.index(code[8]) + 1))


def bsn(number: str) -> bool:
    return weighted_sum(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(number) > 9_999_999


def rijksregister(number: str) -> bool:
    """The check is 97 minus the first nine digits modulo 97, with a 2 before them for births from 2000 on."""
    check = int(number[9:])
    plausible = int(number[2:4]) == 0 or int(number[4:6]) == 0 or is_date(number[4:6], str(int(number[2:4]) % 20))
    return plausible and check in (97 - int(number[:9]) % 97, 97 - int("2" + number[:9]) % 97)


def pesel(number: str) -> bool:
    return is_date(number[4:6], str(int(number[2:4]) % 20)) and -weighted_sum(
        number, (1, 3, 7, 9) * 2 + (1, 3)
    ) % 10 == int(number[10])


def personnummer(number: str) -> bool:
    """Luhn over the last ten digits; the day of a co-ordination number is + 60."""
    short = number[-10:]
    day = int(short[4:6])
    return is_date(str(day - 60 if day > 60 else day), short[2:4]) and luhn(short)


def fodselsnummer(number: str) -> bool:
    """Two check digits modulo 11; the day of a D number is + 40."""
    day = int(number[:2])
    first = mod11_check_digit(number, (3, 7, 6, 1, 8, 9, 4, 5, 2))
    second = mod11_check_digit(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return (
        is_date(str(day - 40 if day > 40 else day), number[2:4]) and f"{first},{second}" == f"{number[9]},{number[10]}"
    )


def cpr(number: str) -> bool:
    """Only the date is checked: since 2007 not every number is valid modulo 11."""
    return is_date(number[:2], number[2:4])


def hetu(code: str) -> bool:
    """The date and the number modulo 31 select the last character."""
    number, last = code[:6] + code[-4:-1], code[-1]
    return is_date(code[:2], code[2:4]) and number.isdigit() and HETU_CHARACTERS[int(number) % 31] == last


def isikukood(number: str) -> bool:
    """Estonia and Lithuania: modulo 11, with a second set of weights when the first gives ten."""
    remainder = weighted_sum(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if remainder == 10:
        remainder = weighted_sum(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return remainder == int(number[10]) and is_date(number[5:7], number[3:5])


def nif_pt(number: str) -> bool:
    remainder = mod11_check_digit(number, range(9, 1, -1))
    return (0 if remainder == 10 else remainder) == int(number[8])


def pps(code: str) -> bool:
    extra = 9 * (PPS_LETTERS.find(code[8]) if len(code) > 8 else 0)
    return PPS_LETTERS[(weighted_sum(code[:7], range(8, 1, -1)) + extra) % 23] == code[7]


def cnp(number: str) -> bool:
    remainder = weighted_sum(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if remainder == 10 else remainder) == int(number[12]) and is_date(number[5:7], number[3:5])


def egn(number: str) -> bool:
    month = int(number[2:4]) % 20
    return is_date(number[4:6], str(month)) and weighted_sum(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(
        number[9]
    )


def rodne_cislo(number: str) -> bool:
    """The tenth digit is the first nine modulo 11, where ten counts as 0.

    The month is + 50 for women, and + 20 or + 70 where the numbers of a day ran out.
    """
    return is_date(number[4:6], str(int(number[2:4]) % 50 % 20)) and int(number[:9]) % 11 % 10 == int(number[9])


def snils(number: str) -> bool:
    return weighted_sum(number, range(9, 0, -1)) % 101 % 100 == int(number[9:]) and len(set(number[:9])) > 1


_GROUP = "[ .-]?"

EUROPE: Final = (
    Pattern(
        "uk-nhs",
        number_after_cue(r"(?i:nhs|national health(?: service)?)", spaced_digits(10)),
        check_whole(nhs),
        "error",
    ),
    Pattern(
        "uk-nino",
        standalone(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"),
        check_whole(nino),
        "error",
    ),
    Pattern(
        "de-tax-id",
        number_after_cue(
            r"(?i:steuer-?id|steuer-?(?:identifikations|ident|id)-?(?:nummer|nr\.?)|id-?nr\.?|idnr|tin|german tax (?:id|number)|"
            r"tax (?:id|identification)(?: number)?)",
            spaced_digits(11, first="[1-9]"),
        ),
        check_whole(steuer_id),
        "error",
    ),
    Pattern("de-tax-id", standalone(r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}"), check_whole(steuer_id), "error"),
    Pattern(
        "de-social-insurance",
        standalone(r"[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}"),
        check_whole(rentenversicherung),
        "error",
    ),
    Pattern(
        "at-social-insurance",
        number_after_cue(
            r"(?i:svnr|sv-nummer|sozialversicherungsnummer|sozialversicherung|austrian social (?:security|insurance))",
            spaced_digits(10),
        ),
        check_whole(svnr),
        "error",
    ),
    Pattern("ch-ahv", standalone(r"756(?:\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|[0-9]{10})"), check_whole(ahv), "error"),
    Pattern(
        "fr-nir",
        standalone(r"[1-478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"),
        check_whole(nir),
        "error",
    ),
    Pattern("es-dni", standalone(r"[0-9]{8}-?[A-HJ-NP-TV-Z]"), check_whole(dni), "error"),
    Pattern("es-nie", standalone(r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]"), check_whole(nie), "error"),
    Pattern(
        "it-codice-fiscale",
        standalone(r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]"),
        check_whole(codice_fiscale),
        "error",
    ),
    Pattern(
        "nl-bsn",
        number_after_cue(
            r"(?i:bsn|bsn-nummer|burgerservicenummer|sofi-?nummer|citizen service number)", spaced_digits(9)
        ),
        check_whole(bsn),
        "error",
    ),
    Pattern(
        "be-national-number",
        standalone(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}[.-][0-9]{2}"),
        check_whole(rijksregister),
        "error",
    ),
    Pattern(
        "be-national-number",
        number_after_cue(
            r"(?i:rijksregister(?:nummer)?|registre national|num[eé]ro national|insz|niss|belgian (?:national|id)(?: number)?)",
            spaced_digits(11),
        ),
        check_whole(rijksregister),
        "error",
    ),
    Pattern("pl-pesel", number_after_cue(r"(?i:pesel)", spaced_digits(11)), check_whole(pesel), "error"),
    Pattern("se-personnummer", standalone(r"(?:19|20)?[0-9]{6}[+-][0-9]{4}"), check_whole(personnummer), "error"),
    Pattern(
        "se-personnummer",
        number_after_cue(
            r"(?i:personnummer|personal identity number|samordningsnummer)", r"(?:19|20)?[0-9]{6}[ +-]?[0-9]{4}"
        ),
        check_whole(personnummer),
        "error",
    ),
    Pattern("no-fodselsnummer", standalone(r"[0-7][0-9][01][0-9]{3} ?[0-9]{5}"), check_whole(fodselsnummer), "error"),
    Pattern(
        "dk-cpr",
        number_after_cue(
            r"(?i:cpr|cpr-nummer|cpr-nr\.?|personnummer|danish (?:id|personal))", r"[0-3][0-9][01][0-9]{3}[ -]?[0-9]{4}"
        ),
        check_whole(cpr),
        "error",
    ),
    Pattern(
        "fi-hetu", standalone(r"[0-3][0-9][01][0-9]{3}[A-FU-Y+-][0-9]{3}[0-9A-FHJ-NPR-Y]"), check_whole(hetu), "error"
    ),
    Pattern(
        "ee-lt-personal-code",
        number_after_cue(
            r"(?i:isikukood|asmens kodas|personal (?:identification )?code|estonian id|lithuanian id)",
            r"[1-6][0-9]{10}",
        ),
        check_whole(isikukood),
        "error",
    ),
    Pattern(
        "pt-nif",
        number_after_cue(r"(?i:nif|contribuinte|identifica(?:ç|c)[aã]o fiscal|portuguese tax)", spaced_digits(9)),
        check_whole(nif_pt),
        "error",
    ),
    Pattern(
        "ie-pps",
        number_after_cue(r"(?i:pps|ppsn|pps no|personal public service)", r"[0-9]{7} ?[A-Wa-w][A-IWa-iw]?"),
        check_whole(pps),
        "error",
    ),
    Pattern("ro-cnp", number_after_cue(r"(?i:cnp|cod numeric personal)", r"[1-9][0-9]{12}"), check_whole(cnp), "error"),
    Pattern(
        "bg-egn",
        number_after_cue(r"(?:(?i:egn|unified civil number)|ЕГН)", spaced_digits(10)),
        check_whole(egn),
        "error",
    ),
    Pattern(
        "cz-sk-birth-number", standalone(r"[0-9]{2}[0-35-8][0-9][0-3][0-9]/[0-9]{4}"), check_whole(rodne_cislo), "error"
    ),
    Pattern("hr-oib", number_after_cue(r"(?i:oib)", spaced_digits(11)), check_whole(mod11_10), "error"),
    Pattern("ru-snils", standalone(r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}"), check_whole(snils), "error"),
    Pattern("ru-snils", number_after_cue(r"(?:(?i:snils)|СНИЛС)", spaced_digits(11)), check_whole(snils), "error"),
)
