"""Contact details: e-mail, phone number, IP and MAC address, profile page, user handle, coordinates that locate a home.

Digits without separators count as a phone number only after a cue such as "call me on", or with a leading zero and ten or
eleven digits. Four numbers with points count as an IP address after a cue such as "host", or when at least two of them are 20 or
more and no word such as "version" is before them: the numbers of sections and versions are small.
"""

import re
from ipaddress import ip_address
from itertools import takewhile
from typing import Final

from tunesmith.detect.patterns.checksums import alphanumeric, mod11_2
from tunesmith.detect.patterns.cues import VALUE_END
from tunesmith.detect.patterns.pattern import Pattern

DATE: Final = re.compile(
    r"(?<!\d)(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2})(?!\d)"
)
FILE_EXTENSIONS: Final = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "html", "py", "json"})
MIN_ADDRESS_OCTET: Final = 20
"""An octet this large is unlikely in the number of a section or a version."""


def _digits_of(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _email(text: str) -> int:
    return 0 if text.rpartition(".")[2].lower() in FILE_EXTENSIONS or ".." in text else len(text)


def _phone(text: str) -> int:
    if DATE.search(text) or not 7 <= len(_digits_of(text)) <= 15 or len(set(_digits_of(text))) == 1:
        return 0
    return len(text)


def _international(text: str) -> int:
    return _phone(text) if len(_digits_of(text)) >= (11 if text.startswith("00") else 8) else 0


def _national(text: str) -> int:
    """Nine to eleven digits in groups, or ten or eleven without separators."""
    return _phone(text) if (9 if len(_digits_of(text)) < len(text) else 10) <= len(_digits_of(text)) <= 11 else 0


def _phone_after_cue(text: str) -> int:
    """The length up to the last digit."""
    return len(text) - len(list(takewhile(lambda c: not c.isdigit(), reversed(text)))) if _phone(text) else 0


def _ip(text: str) -> int:
    try:
        address = ip_address(text)
    except ValueError:
        return 0
    if address.is_loopback or address.is_unspecified or text.startswith("255."):
        return 0
    if ":" in text and (len([part for part in text.split(":") if part]) < 3 or not _digits_of(text)):
        return 0
    return len(text)


def _bare_ip(text: str) -> int:
    return _ip(text) if sum(int(octet) >= MIN_ADDRESS_OCTET for octet in text.split(".")) >= 2 else 0


def _mac(text: str) -> int:
    return len(text) if len(set(alphanumeric(text))) > 2 else 0


def _latitude_longitude(text: str) -> int:
    """Latitude and longitude are in range and differ."""
    latitude, longitude = (float(number) for number in re.findall(r"-?[0-9]+\.[0-9]+", text)[:2])
    return len(text) if abs(latitude) <= 90 and abs(longitude) <= 180 and latitude != longitude else 0


def _orcid(text: str) -> int:
    return len(text) if mod11_2(alphanumeric(text)) else 0


_WORD = f"A-Za-z0-9_{chr(0xA1)}-{chr(0x10FFFF)}"
"""Letters of any script, as a range that both regex engines read alike."""
_OCTETS = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_NO_OCTETS = r"(?![0-9])(?!\.[0-9])"
_NO_VERSION = "".join(
    rf"(?<![{word[0].upper()}{word[0]}]{word[1:]}[ ])"
    for word in (
        "version",
        "release",
        "section",
        "chapter",
        "clause",
        "paragraph",
        "rule",
        "table",
        "figure",
        "ver",
        "sec",
    )
)
_HOST_CUE = (
    r"(?i:ip|ips|ipv4|ip[ -]addr(?:ess)?(?:es)?|host|hosts|server|servers|gateway|subnet|dns|router|client|login|logged in|"
    r"ping|ssh|telnet|ftp|connect(?:ed|ing|ion)?|from|remote[_ ]addr|x-forwarded-for)"
)
_DEGREES = (
    r"-?[0-9]{1,3}\.[0-9]{4,15}(?: ?°)?(?: ?[NS])?(?: ?, ?| )(?:(?i:lon|lng|long|longitude)[:= ]{1,3})?"
    r"-?[0-9]{1,3}\.[0-9]{4,15}"
)
_LOCATION_CUE = (
    r"(?i:gps|geo|lat|latitude|lat/lon|lat/long|coordinates|coords|location|located|lives? at|home|house|"
    r"google\.[a-z.]{2,6}/maps[^ \n]{0,80}[@=/]|maps\?q=)"
)
_PROFILE_SITES = (
    r"linkedin\.com/in/[A-Za-z0-9%_-]{3,100}|facebook\.com/profile\.php\?id=[0-9]{6,20}|reddit\.com/u(?:ser)?/[A-Za-z0-9_-]{3,20}"
    r"|tiktok\.com/@[A-Za-z0-9_.]{2,24}|steamcommunity\.com/(?:id|profiles)/[A-Za-z0-9_-]{2,32}|keybase\.io/[A-Za-z0-9_]{2,25}"
    r"|xing\.com/profile/[A-Za-z0-9_-]{3,60}|about\.me/[A-Za-z0-9_.-]{2,40}|t\.me/[A-Za-z0-9_]{5,32}"
)
_NETWORK = r"(?i:twitter|instagram|insta|telegram|snapchat|tiktok|mastodon|threads|bluesky|signal|discord|skype|handle|username)"
_ON_NETWORK = rf"(?<![A-Za-z]){_NETWORK}(?![A-Za-z])(?i:[ ,:=(]|is|at|handle|account|name|user|id|my|on|as|me)*"

EMAIL: Final = Pattern(
    "email",
    rf"(?<![{_WORD}])[{_WORD}][{_WORD}.+%'-]{{0,63}}@[{_WORD}-]+(?:\.[{_WORD}-]+)*\.[A-Za-z]{{2,}}(?![{_WORD}-])",
    _email,
)
ONLINE: Final = (
    Pattern(
        "ip-address",
        rf"(?<![A-Za-z]){_HOST_CUE}(?![A-Za-z])[^0-9\n]{{0,24}}(?<![\w.])(?P<value>{_OCTETS}){_NO_OCTETS}",
        _ip,
    ),
    Pattern("ip-address", rf"(?<![\w.§])(?<!§[ ]){_NO_VERSION}{_OCTETS}{_NO_OCTETS}", _bare_ip),
    Pattern("ip-address", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])", _ip),
    Pattern(
        "mac-address",
        r"(?<![\w:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![\w:-])",
        _mac,
    ),
    Pattern(
        "geo-coordinates",
        rf"(?<![A-Za-z]){_LOCATION_CUE}[^0-9\n-]{{0,24}}(?P<value>{_DEGREES})(?![0-9])",
        _latitude_longitude,
    ),
    Pattern(
        "profile-url",
        rf"(?<![A-Za-z0-9@])(?:https?://)?(?:[a-z]{{2,3}}\.)?(?P<value>{_PROFILE_SITES})(?![A-Za-z0-9_-])",
    ),
    Pattern(
        "profile-url",
        rf"(?<![A-Za-z0-9@])orcid\.org/(?P<value>[0-9]{{4}}-[0-9]{{4}}-[0-9]{{4}}-[0-9]{{3}}[0-9X]){VALUE_END}",
        _orcid,
    ),
    Pattern("user-handle", rf"{_ON_NETWORK}(?P<value>@[A-Za-z0-9_][A-Za-z0-9_.]{{1,28}}[A-Za-z0-9_])(?![A-Za-z0-9_@])"),
    Pattern(
        "user-handle",
        r"(?<![A-Za-z])(?i:discord)(?![A-Za-z])(?i:[ ,:=(]|is|tag|name|my|id)*"
        r"(?P<value>[A-Za-z0-9_.]{2,30}#[0-9]{4})(?![0-9A-Za-z])",
    ),
)
PHONES: Final = (
    Pattern(
        "phone",
        r"(?<![\w+])(?<![0-9]{4}[ ])(?:\+|00)[1-9][0-9]{0,2}(?:[ ./-]{0,2}\(?[0-9]{1,6}\)?){2,6}(?![0-9])(?![.,:][0-9])",
        _international,
    ),
    Pattern("phone", r"(?<![\w.+/-])\(?[2-9][0-9]{2}(?:\) ?|[ .-])[0-9]{3}[ .-][0-9]{4}(?![\w-])(?![.,][0-9])", _phone),
    Pattern(
        "phone",
        r"(?<![\w.,:/#-])(?<![0-9][ ])\(?0[1-9](?:\)?[ ./-]?\(?[0-9]){7,9}(?![\w-])(?![.,:/][0-9])",
        _national,
    ),
    Pattern(
        "phone",
        r"(?<![A-Za-z])(?i:phone|tel|telephone|mobile|cell|whatsapp|sms|fax|(?:call|ring|text)(?: me| us| back)+)(?![A-Za-z])\.?"
        r"(?i:[ \t\r\n]*(?:number|nr|no\.?|is|at|on|under|:|=))*[ \t\r\n]*(?P<value>\(?[0-9][0-9 ()./-]{5,17}[0-9])(?![0-9:])",
        _phone_after_cue,
    ),
)
