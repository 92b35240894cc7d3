"""Payment cards, IBANs, and bank account and routing numbers behind a cue word."""

import re
from typing import Final

from tunesmith.detect.patterns.checksums import check_whole, luhn, mod97, weighted_sum
from tunesmith.detect.patterns.cues import code_after_cue, number_after_cue
from tunesmith.detect.patterns.pattern import Pattern

CARD_LENGTHS: Final = (
    (r"4", (16, 13, 19)),
    (r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)", (16,)),
    (r"3[47]", (15,)),
    (r"3(?:0[0-5]|[689])", (14,)),
    (r"35(?:2[89]|[3-8])", (16,)),
    (r"6(?:011|5|4[4-9]|2)", (16, 19)),
)
"""Leading digits of the large card schemes, and the lengths of their card numbers."""
_IBAN_REGISTRY: Final = (
    "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 "
    "DO:28 EE:20 EG:29 ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 "
    "IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 "
    "MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 SA:24 SC:31 SE:24 SI:19 SK:24 "
    "SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20"
)
IBAN_LENGTHS: Final = {item[:2]: int(item[3:]) for item in _IBAN_REGISTRY.split()}
"""Length of an IBAN by country, from the public SWIFT registry."""


def _prefix_length(text: str, count: int) -> int:
    """Length of the prefix of `text` with its first `count` letters and digits; 0 when another one follows directly."""
    seen = 0
    for position, character in enumerate(text):
        seen += character.isalnum()
        if seen == count:
            follows = text[position + 1 : position + 2]
            return 0 if follows.isalnum() else position + 1
    return 0


def _card(text: str) -> int:
    digits = "".join(character for character in text if character.isdigit())
    lengths = [length for prefix, issued in CARD_LENGTHS if re.match(prefix, digits) for length in issued]
    ends = (_prefix_length(text, length) for length in lengths if len(digits) >= length and luhn(digits[:length]))
    return next((end for end in ends if end), 0)


def _iban(text: str) -> int:
    plain = "".join(text.split()).upper()
    length = IBAN_LENGTHS.get(plain[:2], 0)
    if not length or len(plain) < length or not mod97(plain[:length]):
        return 0
    return _prefix_length(text, length)


def aba(digits: str) -> bool:
    """A routing number of the American Bankers Association: weights 3, 7, 1; the first two digits are an existing district."""
    district = int(digits[:2])
    exists = 1 <= district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return exists and weighted_sum(digits, (3, 7, 1) * 3) % 10 == 0


def _account(digits: str) -> bool:
    """Neither one repeated digit nor two years."""
    return len(set(digits)) > 1 and not re.fullmatch("(?:(?:19|20)[0-9]{2}){2}", digits)


_ACCOUNT = (
    r"(?i:(?:bank |checking |savings |current )?(?:account|acct|a/c)(?: number| num| no| nr|#| #)?\.?|kontonummer|konto-?nr|"
    r"num[eé]ro de compte|n[uú]mero de cuenta|routing(?: number)? and account(?: number)?)"
)

CARDS: Final = (
    Pattern("iban", r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,40}", _iban, "error"),
    Pattern("card", r"(?<![0-9A-Za-z])(?:[0-9][ -]?){12,18}[0-9](?![0-9])", _card, "error"),
)
ACCOUNTS: Final = (
    Pattern(
        "us-bank-routing",
        number_after_cue(r"(?i:routing|rtn|transit|aba)", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]"),
        check_whole(aba),
        "error",
    ),
    Pattern(
        "uk-sort-code",
        number_after_cue(r"(?i:sort ?code)", r"[0-9]{2}(?:[0-9]{4}|-[0-9]{2}-[0-9]{2}| [0-9]{2} [0-9]{2})", far=24),
        severity="error",
    ),
    Pattern("bank-account", code_after_cue(_ACCOUNT, r"[0-9]{4}[ -]?[0-9]{4,13}"), check_whole(_account), "error"),
)
