"""Makers of personal data and secrets, each value valid by its own rule.

The check digits are worked out here and not by the package, so that neither proves itself. Nothing here is of a real person
or opens anything: numbers are random, keys are random characters behind the provider's mark.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from random import Random
from typing import Final

Make = Callable[[Random], str]

DIGITS: Final = "0123456789"
HEX: Final = "0123456789abcdef"
UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MIXED: Final = UPPER + UPPER.lower() + DIGITS
BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
FIRST: Final = (
    "ada",
    "bruno",
    "carla",
    "deniz",
    "emeka",
    "farah",
    "goran",
    "hanna",
    "ivo",
    "jun",
    "kofi",
    "lena",
    "maya",
)
LAST: Final = (
    "abara",
    "berg",
    "costa",
    "dvorak",
    "eriksen",
    "fischer",
    "gupta",
    "hill",
    "ito",
    "jansen",
    "o'neill",
    "rossi",
)
HOSTS: Final = ("example.org", "mail.example.com", "post.example.net", "example.co.uk", "firma.example.de")


def some(rng: Random, alphabet: str, count: int) -> str:
    return "".join(rng.choices(alphabet, k=count))


def key(rng: Random, count: int, alphabet: str = MIXED) -> str:
    """Random characters, among them a digit and a letter."""
    while True:
        made = some(rng, alphabet, count)
        if any(c.isdigit() for c in made) and any(c.isalpha() for c in made):
            return made


def luhn_digit(body: str) -> str:
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def with_luhn(body: str) -> str:
    return body + luhn_digit(body)


def grouped(text: str, *sizes: int, by: str = " ") -> str:
    parts, start = [], 0
    for size in sizes:
        parts.append(text[start : start + size])
        start += size
    return by.join(parts)


def wrong(digit: str) -> str:
    return str((int(digit) + 1) % 10)


def email(rng: Random) -> str:
    name = (
        f"{rng.choice(FIRST)}{rng.choice(('.', '_', '', '-'))}{rng.choice(LAST)}{rng.choice(('', '7', '88', '+news'))}"
    )
    return f"{name}@{rng.choice(HOSTS)}"


def phone(rng: Random) -> str:
    """Numbers of plans as people write them; area and exchange begin with 2 to 9."""
    area, exchange, line = (
        f"{rng.randint(201, 989)}",
        f"{rng.randint(2, 9)}{some(rng, DIGITS, 2)}",
        some(rng, DIGITS, 4),
    )
    forms = (
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}",
        f"+44 7{some(rng, DIGITS, 3)} {some(rng, DIGITS, 6)}",
        f"+49 30 {some(rng, DIGITS[1:], 1)}{some(rng, DIGITS, 6)}",
        f"+33 6 {grouped(some(rng, DIGITS, 8), 2, 2, 2, 2)}",
        f"07{some(rng, DIGITS, 3)} {some(rng, DIGITS, 6)}",
    )
    return rng.choice(forms)


def card(rng: Random) -> str:
    if rng.random() < 0.2:
        number = with_luhn(f"3{rng.choice('47')}{some(rng, DIGITS, 12)}")
        return rng.choice((number, grouped(number, 4, 6, 5)))
    number = with_luhn(f"{rng.choice(('4', '51', '55', '6011'))}{some(rng, DIGITS, 15)}"[:15])
    return rng.choice((number, grouped(number, 4, 4, 4, 4), grouped(number, 4, 4, 4, 4, by="-")))


def iban(rng: Random) -> str:
    country, bank = rng.choice((("DE", ""), ("GB", "WEST"), ("NL", "ABNA"), ("ES", ""), ("CH", "")))
    size = {"DE": 18, "GB": 14, "NL": 10, "ES": 20, "CH": 17}[country]
    body = bank + some(rng, DIGITS, size)
    moved = "".join(str(ord(c) - 55) if c.isalpha() else c for c in f"{body}{country}00")
    made = f"{country}{98 - int(moved) % 97:02d}{body}"
    return rng.choice((made, " ".join(made[start : start + 4] for start in range(0, len(made), 4))))


def ssn(rng: Random) -> str:
    area = rng.choice([number for number in range(1, 900) if number != 666])
    return f"{area:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"


def itin(rng: Random) -> str:
    return f"9{rng.randint(0, 99):02d}-{rng.randint(70, 88)}-{rng.randint(1, 9999):04d}"


def weighted_eleven(rng: Random, count: int, weights: tuple[int, ...]) -> str:
    """Digits with a last one that makes the weighted sum a multiple of eleven."""
    while True:
        body = some(rng, DIGITS[1:], 1) + some(rng, DIGITS, count - 2)
        total = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=False))
        check = next((c for c in range(10) if (total + c * weights[-1]) % 11 == 0), None)
        if check is not None:
            return f"{body}{check}"


def nhs(rng: Random) -> str:
    number = weighted_eleven(rng, 10, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1))
    return rng.choice((number, grouped(number, 3, 3, 4)))


def base58(data: bytes) -> str:
    value, made = int.from_bytes(data, "big"), ""
    while value:
        value, rest = divmod(value, 58)
        made = BASE58[rest] + made
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + made


def bitcoin(rng: Random) -> str:
    if rng.random() < 0.4:
        return segwit(rng)
    data = bytes([rng.choice((0, 5))]) + rng.randbytes(20)
    return base58(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4])


def segwit(rng: Random) -> str:
    """BIP 173: version 0 and 20 bytes as 32 groups of five bits, then a BCH code of six."""
    program = int.from_bytes(rng.randbytes(20), "big")
    values = [0] + [program >> shift & 31 for shift in range(155, -1, -5)]
    code = _bch([3, 3, 0, 2, 3, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    checks = [code >> shift & 31 for shift in range(25, -1, -5)]
    return "bc1" + "".join(BECH32[value] for value in values + checks)


def _bch(values: list[int]) -> int:
    code = 1
    for value in values:
        top, code = code >> 25, (code & 0x1FFFFFF) << 5 ^ value
        for bit, constant in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            code ^= constant if top >> bit & 1 else 0
    return code


def ip(rng: Random) -> str:
    if rng.random() < 0.3:
        return "2001:db8:" + ":".join(f"{rng.randint(1, 0xFFFF):x}" for _ in range(6))
    return ".".join(str(rng.randint(20, 220)) for _ in range(4))


def mac(rng: Random) -> str:
    return rng.choice(":-").join(some(rng, HEX, 2) for _ in range(6))


def dea(rng: Random) -> str:
    digits = some(rng, DIGITS, 6)
    total = sum(int(d) for d in digits[0::2]) + 2 * sum(int(d) for d in digits[1::2])
    return f"{rng.choice('ABFGM')}{rng.choice(UPPER)}{digits}{total % 10}"


def birth(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1940, 2008)
    return rng.choice((f"{day:02d}/{month:02d}/{year}", f"{year}-{month:02d}-{day:02d}"))


def driving(rng: Random) -> str:
    return rng.choice(UPPER) + some(rng, DIGITS, 7)


def passport(rng: Random) -> str:
    return rng.choice((some(rng, DIGITS[1:], 1) + some(rng, DIGITS, 8), rng.choice("ABCX") + some(rng, DIGITS, 8)))


def account(rng: Random) -> str:
    return some(rng, DIGITS[1:], 1) + some(rng, DIGITS, rng.randint(8, 11))


def routing(rng: Random) -> str:
    body = f"0{rng.randint(1, 9)}{some(rng, DIGITS, 6)}"
    return body + str(-sum(int(d) * (3, 7, 1)[place % 3] for place, d in enumerate(body)) % 10)


def npi(rng: Random) -> str:
    body = "1" + some(rng, DIGITS, 8)
    return body + luhn_digit("80840" + body)


def nino(rng: Random) -> str:
    return f"{rng.choice(('AB', 'CE', 'JM', 'PR', 'SX'))}{grouped(some(rng, DIGITS, 6), 2, 2, 2, by='')}{rng.choice('ABCD')}"


def dni(rng: Random) -> str:
    number = rng.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def pesel(rng: Random) -> str:
    body = f"{rng.randint(0, 99):02d}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{some(rng, DIGITS, 4)}"
    return body + str(-sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10)


def hetu(rng: Random) -> str:
    """One that ends in a letter; those that end in a digit can be a Swedish number too."""
    while True:
        date = f"{rng.randint(1, 28):02d}{rng.randint(1, 12):02d}{rng.randint(30, 99)}"
        number = f"{rng.randint(2, 899):03d}"
        last = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(date + number) % 31]
        if last.isalpha():
            return f"{date}-{number}{last}"


def personnummer(rng: Random) -> str:
    body = f"{rng.randint(30, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{some(rng, DIGITS, 3)}"
    return f"{body[:6]}-{with_luhn(body)[6:]}"


def bsn(rng: Random) -> str:
    return weighted_eleven(rng, 9, (9, 8, 7, 6, 5, 4, 3, 2, -1))


def tfn(rng: Random) -> str:
    return grouped(weighted_eleven(rng, 9, (1, 4, 3, 7, 5, 8, 6, 9, 10)), 3, 3, 3)


def steuer_id(rng: Random) -> str:
    """Ten digits of which exactly one stands twice, and the check digit of ISO/IEC 7064 mod 11,10."""
    first, *rest = rng.sample(DIGITS[1:], 9)
    body = [*rest, first]
    rng.shuffle(body)
    body.append(body[rng.randrange(7)])
    value = 10
    for digit in body:
        value = ((value + int(digit)) % 10 or 10) * 2 % 11
    return "".join(body) + str((11 - value) % 10)


def aadhaar(rng: Random) -> str:
    """The one last digit that Verhoeff's scheme takes, found by trial in the symmetries of a pentagon."""
    body = rng.choice("23456789") + some(rng, DIGITS, 10)
    check = next(digit for digit in DIGITS if _pentagon(body + digit) == (0, 0))
    return grouped(body + check, 4, 4, 4)


def _pentagon(number: str) -> tuple[int, int]:
    """Product of the symmetries (turn, flip) of the digits, from the right, each permuted by its place."""
    turn, flip = 0, 0
    for place, digit in enumerate(reversed(number)):
        permuted = int(digit)
        for _ in range(place):
            permuted = int("1576283094"[permuted])
        step, other = permuted % 5, permuted // 5
        turn, flip = (turn - step if flip else turn + step) % 5, flip ^ other
    return turn, flip


def cpf(rng: Random) -> str:
    body = some(rng, DIGITS[1:], 1) + some(rng, DIGITS, 8)
    for size in (10, 11):
        rest = sum(int(d) * w for d, w in zip(body, range(size, 1, -1), strict=True)) * 10 % 11
        body += str(rest % 10)
    return f"{grouped(body[:9], 3, 3, 3, by='.')}-{body[9:]}"


def imei(rng: Random) -> str:
    return with_luhn("35" + some(rng, DIGITS, 12))


def place(rng: Random) -> str:
    return f"{rng.uniform(-60, 70):.5f}, {rng.uniform(-170, 170):.5f}"


def jwt(rng: Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": key(rng, 10), "iat": rng.randint(10**9, 2 * 10**9)})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.{key(rng, 43)}"


def private_key(rng: Random) -> str:
    kind = rng.choice(("RSA PRIVATE", "PRIVATE", "EC PRIVATE", "OPENSSH PRIVATE"))
    lines = "\n".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(3))
    return f"-----BEGIN {kind} KEY-----\n{lines}\n-----END {kind} KEY-----"


def discord(rng: Random) -> str:
    account_number = base64.urlsafe_b64encode(str(rng.randint(10**17, 10**18 - 1)).encode()).decode().rstrip("=")
    return f"{account_number}.{key(rng, 6)}.{key(rng, 27)}"


def marked(mark: str, count: int, alphabet: str = MIXED) -> Make:
    return lambda rng: mark + key(rng, count, alphabet)


def broken_card(rng: Random) -> str:
    number = with_luhn("4" + some(rng, DIGITS, 14))
    return f"Card {grouped(number[:-1] + wrong(number[-1]), 4, 4, 4, 4)} was refused."


def broken_iban(rng: Random) -> str:
    number = iban(rng).replace(" ", "")
    return f"The bank sent back {number[:-1]}{wrong(number[-1])} at once."
