"""Check digits of national numbers against python-stdnum 2.2: numbers are drawn, with every possible ending tried on each."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import pytest

from tunesmith.detect.patterns import americas, asia_pacific_africa, europe, money
from tunesmith.detect.patterns.checksums import luhn, mod11_2, mod11_10, mod97, verhoeff

pytestmark = pytest.mark.skipif(find_spec("stdnum") is None, reason="needs stdnum")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
TWO_DIGITS = [f"{number:02d}" for number in range(100)]
BODIES = 40
Draw = Callable[[random.Random], str]


def shape(form: str) -> Draw:
    """Draws by a form: 9 a digit, A a letter, Y, M and D a year, month and day of two digits, [..] one of these."""

    def draw(source: random.Random) -> str:
        text, position = "", 0
        while position < len(form):
            letter = form[position]
            if letter == "[":
                end = form.index("]", position)
                text += source.choice(form[position + 1 : end].split(","))
                position = end
            elif letter in "YMD":
                text += (
                    f"{source.randrange({'Y': 0, 'M': 1, 'D': 1}[letter], {'Y': 100, 'M': 13, 'D': 29}[letter]):02d}"
                )
            else:
                text += source.choice({"9": DIGITS, "A": LETTERS}.get(letter, letter))
            position += 1
        return text

    return draw


def tax_id_body(source: random.Random) -> str:
    """Ten digits of a German tax number: one digit twice."""
    digits = source.sample(DIGITS, 9)
    digits.insert(source.randrange(10), source.choice(digits))
    return "".join(digits)


@dataclass(frozen=True)
class Case:
    """`relation`: whether both accept the same numbers, or which side accepts some more, for the reason in `why`."""

    module: str
    valid: Callable[[str], bool]
    body: Draw
    endings: Iterable[str] = DIGITS
    relation: Literal["equal", "ours is wider", "theirs is wider"] = "equal"
    why: str = ""


CASES = [
    Case("gb.nhs", europe.nhs, shape("999999999")),
    Case("de.idnr", europe.steuer_id, tax_id_body),
    Case("ch.ssn", europe.ahv, shape("756999999999")),
    Case("fr.nir", europe.nir, shape("[1,2]YM[01,33,75,95]999999"), TWO_DIGITS),
    Case("es.dni", europe.dni, shape("99999999"), LETTERS),
    Case("es.nie", europe.nie, shape("[X,Y,Z]9999999"), LETTERS),
    Case("it.codicefiscale", europe.codice_fiscale, shape("AAAAAAY[A,B,C,D,E,H,L,M,P,R,S,T]DA999"), LETTERS),
    Case("nl.bsn", europe.bsn, shape("[1,2,3,4,5,6,7,8,9]9999999")),
    Case("pl.pesel", europe.pesel, shape("YMD9999")),
    Case("se.personnummer", europe.personnummer, shape("YMD999")),
    Case("fi.hetu", europe.hetu, shape("DMY-[002,123,456,899]"), "0123456789ABCDEFHJKLMNPRSTUVWXY"),
    Case("ee.ik", europe.isikukood, shape("[1,2,3,4]YMD999")),
    Case("lt.asmens", europe.isikukood, shape("[3,4]YMD999")),
    Case("pt.nif", europe.nif_pt, shape("[1,2,3,5,6,8,9]9999999")),
    Case("ie.pps", europe.pps, shape("9999999"), LETTERS),
    Case("ro.cnp", europe.cnp, shape("[1,2]YMD[01,12,40,46]999")),
    Case("bg.egn", europe.egn, shape("YMD999")),
    Case("cz.rc", europe.rodne_cislo, shape("[54,62,78,85,99]MD999")),
    Case("hr.oib", mod11_10, shape("9999999999")),
    Case("us.ssn", americas.ssn, shape("99999999")),
    Case("us.ein", americas.ein, shape("99999999")),
    Case("mx.curp", americas.curp, shape("A[A,E,I,O,U,X]AAYMD[H,M][DF,JC,NL,VZ][B,C,D][F,G,H][J,K,L]9")),
    Case("br.cpf", americas.cpf, shape("999999999"), TWO_DIGITS),
    Case("br.cnpj", americas.cnpj, shape("999999999999"), TWO_DIGITS),
    Case("cl.rut", americas.rut, shape("99999999"), "0123456789K"),
    Case("in_.aadhaar", asia_pacific_africa.aadhaar, shape("[2,3,4,5,6,7,8,9]9999999999")),
    Case("au.tfn", asia_pacific_africa.tfn, shape("99999999")),
    Case("nz.ird", asia_pacific_africa.ird, shape("1[0,1,2,3,4]999999")),
    Case("cn.ric", asia_pacific_africa.resident_cn, shape("11010119YMD999"), "0123456789X"),
    Case("jp.in_", asia_pacific_africa.my_number, shape("99999999999")),
    Case("th.pin", asia_pacific_africa.thai_id, shape("[1,2,3,4,5,6,7,8]99999999999")),
    Case("my.nric", asia_pacific_africa.malaysian_id, shape("YMD99999")),
    Case("tr.tckimlik", asia_pacific_africa.turkish_id, shape("[1,3,5,8,9]99999999"), TWO_DIGITS),
    Case("il.idnr", luhn, shape("99999999")),
    Case("za.idnr", asia_pacific_africa.south_african_id, shape("YMD9999[0,1][8,9]")),
    Case("imei", luhn, shape("99999999999999")),
    Case("luhn", luhn, shape("9999999999")),
    Case("verhoeff", verhoeff, shape("9999999999")),
    Case("iso7064.mod_11_2", mod11_2, shape("999999999"), "0123456789X"),
    Case("iso7064.mod_11_10", mod11_10, shape("999999999")),
    Case(
        "be.nn",
        europe.rijksregister,
        shape("YMD999"),
        TWO_DIGITS,
        "ours is wider",
        "theirs refuses births in the future",
    ),
    Case(
        "no.fodselsnummer", europe.fodselsnummer, shape("DMY999"), TWO_DIGITS, "ours is wider", "no centuries by serial"
    ),
    Case("dk.cpr", europe.cpr, shape("DMY999"), DIGITS, "ours is wider", "no centuries by serial"),
    Case("us.itin", americas.itin, shape("99999999"), DIGITS, "ours is wider", "groups 50 to 65, given out since 2011"),
    Case("ca.sin", americas.sin, shape("99999999"), DIGITS, "ours is wider", "theirs refuses a first digit 0 or 8"),
    Case(
        "kr.rrn", asia_pacific_africa.rrn, shape("YMD[1,2]00999"), DIGITS, "ours is wider", "no check digit since 2020"
    ),
    Case("us.rtn", money.aba, shape("99999999"), DIGITS, "theirs is wider", "ours wants a district that exists"),
    Case(
        "ar.cuit", americas.cuit, shape("[20,23,24,27]99999999"), DIGITS, "theirs is wider", "ours has no digit for ten"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.module)
def test_both_accept_the_same_numbers(case: Case) -> None:
    theirs = import_module(f"stdnum.{case.module}").is_valid
    source = random.Random(case.module)
    numbers = [body + ending for body in (case.body(source) for _ in range(BODIES)) for ending in case.endings]
    ours = {number for number in numbers if case.valid(number)}
    accepted = {number for number in numbers if theirs(number)}
    assert ours & accepted
    assert case.relation == "theirs is wider" or accepted <= ours
    assert case.relation == "ours is wider" or ours <= accepted
    assert (case.relation == "equal") == (ours == accepted), case.why


def test_austrian_numbers_have_the_check_digit_inside() -> None:
    theirs = import_module("stdnum.at.vnr").is_valid
    source = random.Random("at.vnr")
    numbers = [
        f"{start}{digit}{day}"
        for start, day in ((shape("[1,2,5,9]99")(source), shape("DMY")(source)) for _ in range(BODIES))
        for digit in DIGITS
    ]
    assert [europe.svnr(number) for number in numbers] == [theirs(number) for number in numbers]
    assert any(map(europe.svnr, numbers))


def test_ibans_leave_one_modulo_97() -> None:
    theirs = import_module("stdnum.iso7064.mod_97_10").is_valid
    source = random.Random("iban")
    ibans = [
        f"{shape('AA')(source)}{check}{shape('AAAA99999999999')(source)}" for _ in range(4) for check in TWO_DIGITS
    ]
    assert [mod97(iban) for iban in ibans] == [theirs(iban[4:] + iban[:4]) for iban in ibans]
    assert any(map(mod97, ibans))
