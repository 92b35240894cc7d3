"""Personal data with a form of its own: e-mail, phone, payment card, IBAN, US SSN, IP address, wallet, date of birth.

Not claimed, because a form does not tell them: names, street addresses, user names, vehicle plates, passport numbers. A
wallet on Ethereum is found by form alone (its checksum is optional). Bare digits count as a phone number only with a word
such as "call me on" before them, or with a leading zero and ten or eleven digits.
"""

import re
from ipaddress import ip_address
from itertools import takewhile
from typing import Final

from tunesmith.data.patterns.checksums import base58check, bech32, luhn, mod97
from tunesmith.data.patterns.pattern import Pattern

DATE: Final = re.compile(
    r"(?<!\d)(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2})(?!\d)"
)
FILE_ENDINGS: Final = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "html", "py", "json"})
CARD_LENGTHS: Final = (
    (r"4", (16, 13, 19)),
    (r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)", (16,)),
    (r"3[47]", (15,)),
    (r"3(?:0[0-5]|[689])", (14,)),
    (r"35(?:2[89]|[3-8])", (16,)),
    (r"6(?:011|5|4[4-9]|2)", (16, 19)),
)
"""Leading digits of the large card schemes and the lengths they issue."""
_IBAN: Final = (
    "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 "
    "DO:28 EE:20 EG:29 ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 "
    "IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 "
    "MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 SA:24 SC:31 SE:24 SI:19 SK:24 "
    "SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20"
)
IBAN_LENGTHS: Final = {item[:2]: int(item[3:]) for item in _IBAN.split()}
"""Characters of an IBAN by country, from the public SWIFT registry."""


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _upto(text: str, count: int) -> int:
    """How many characters of `text` hold its first `count` letters and digits; 0 when another follows directly."""
    seen = 0
    for position, character in enumerate(text):
        seen += character.isalnum()
        if seen == count:
            follows = text[position + 1 : position + 2]
            return 0 if follows.isalnum() else position + 1
    return 0


def _email(text: str) -> int:
    return 0 if text.rpartition(".")[2].lower() in FILE_ENDINGS or ".." in text else len(text)


def _card(text: str) -> int:
    digits = _digits(text)
    lengths = [length for prefix, issued in CARD_LENGTHS if re.match(prefix, digits) for length in issued]
    ends = (_upto(text, length) for length in lengths if len(digits) >= length and luhn(digits[:length]))
    return next((end for end in ends if end), 0)


def _iban(text: str) -> int:
    plain = "".join(text.split()).upper()
    length = IBAN_LENGTHS.get(plain[:2], 0)
    if not length or len(plain) < length or not mod97(plain[:length]):
        return 0
    return _upto(text, length)


def _ssn(text: str) -> int:
    area, group, serial = text[:3], text[4:6], text[7:]
    never = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
    return 0 if never else len(text)


def _phone(text: str) -> int:
    if DATE.search(text) or not 7 <= len(_digits(text)) <= 15:
        return 0
    return len(text)


def _international(text: str) -> int:
    return _phone(text) if len(_digits(text)) >= (11 if text.startswith("00") else 8) else 0


def _national(text: str) -> int:
    return _phone(text) if 9 <= len(_digits(text)) <= 11 else 0


def _ip(text: str) -> int:
    try:
        address = ip_address(text)
    except ValueError:
        return 0
    if address.is_loopback or address.is_unspecified or text.startswith("255."):
        return 0
    if ":" in text and (len([part for part in text.split(":") if part]) < 3 or not _digits(text)):
        return 0
    return len(text)


def _bitcoin(text: str) -> int:
    return len(text) if (bech32(text) if text.startswith("bc1") else base58check(text)) else 0


def _trimmed(text: str) -> int:
    """Length up to the last digit."""
    return len(text) - len(list(takewhile(lambda c: not c.isdigit(), reversed(text))))


def _called(text: str) -> int:
    return _trimmed(text) if _phone(text) else 0


_WORD = f"A-Za-z0-9_{chr(0xA1)}-{chr(0x10FFFF)}"
"""Letters of any script, written as a plain range that both regex engines read alike."""
_MONTH = r"(?:[Jj]an|[Ff]eb|[Mm]ar|[Aa]pr|[Mm]ay|[Jj]un|[Jj]ul|[Aa]ug|[Ss]ep|[Oo]ct|[Nn]ov|[Dd]ec)[a-z]{0,6}\.?"
_DAY = (
    r"(?:[0-9]{1,2}[./ -][0-9]{1,2}[./ -][0-9]{2,4}|[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? [0-9]{{4}}|{_MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}})"
)

PERSONAL: Final = (
    Pattern(
        "email",
        rf"(?<![{_WORD}])[{_WORD}][{_WORD}.+%'-]{{0,63}}@[{_WORD}-]+(?:\.[{_WORD}-]+)*\.[A-Za-z]{{2,}}(?![{_WORD}-])",
        _email,
    ),
    Pattern("iban", r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,40}", _iban, "error"),
    Pattern("card", r"(?<![0-9])(?:[0-9][ -]?){12,18}[0-9](?![0-9])", _card, "error"),
    Pattern("us-ssn", r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])", _ssn, "error"),
    Pattern(
        "date-of-birth",
        r"\b(?i:date of birth|d\.?o\.?b\b\.?|born|birth ?da(?:te|y))"
        rf"(?:[^A-Za-z0-9]{{0,3}}(?:is|on|was|:))*[^A-Za-z0-9]{{0,3}}(?P<value>{_DAY})",
    ),
    Pattern("ip-address", r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])(?!\.[0-9])", _ip),
    Pattern("ip-address", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])", _ip),
    Pattern(
        "crypto-wallet",
        r"(?<![A-Za-z0-9])(?:bc1[a-z0-9]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?![A-Za-z0-9])",
        _bitcoin,
    ),
    Pattern("crypto-wallet", r"(?<![A-Za-z0-9])0x[0-9a-fA-F]{40}(?![A-Za-z0-9])"),
    Pattern(
        "phone",
        r"(?<![\w+])(?<![0-9]{4}[ ])(?:\+|00)[1-9][0-9]{0,2}(?:[ ./-]{0,2}\(?[0-9]{1,6}\)?){2,6}(?![0-9])(?![.,:][0-9])",
        _international,
    ),
    Pattern("phone", r"(?<![\w.+/-])\(?[2-9][0-9]{2}(?:\) ?|[ .-])[0-9]{3}[ .-][0-9]{4}(?![\w-])(?![.,][0-9])", _phone),
    Pattern(
        "phone",
        r"(?<![\w.,:/#-])(?<![0-9]{4}[ ])\(?0[1-9](?:\)?[ ./-]?\(?[0-9]){7,9}(?![\w-])(?![.,:/][0-9])",
        _national,
    ),
    Pattern(
        "phone",
        r"\b(?i:phone|tel|telephone|mobile|cell|whatsapp|sms|fax|(?:call|ring|text)(?: me| us| back)+)\b\.?"
        r"(?i:\s*(?:number|nr|no\.?|is|at|on|under|:|=))*\s*(?P<value>\(?[0-9][0-9 ()./-]{5,17}[0-9])(?![0-9:])",
        _called,
    ),
)
