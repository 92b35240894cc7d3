"""Check digits and checksums: Luhn (ISO/IEC 7812-1), mod 97 (ISO 13616), Base58Check, Bech32 (BIP 173, BIP 350)."""

import hashlib
from typing import Final

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        digit = int(character) * (1 + position % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN without spaces, in upper case, leaves 1 modulo 97."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def base58check(address: str) -> bool:
    """Whether a Base58 address of 25 bytes ends in the first four bytes of its double SHA-256."""
    value = 0
    for character in address:
        value = value * 58 + BASE58.index(character)
    if value.bit_length() > 200:
        return False
    data = value.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(address: str) -> bool:
    """Whether a lower-case address has a valid checksum: Bech32 for witness version 0 (`q`), Bech32m for later ones."""
    prefix, _, data = address.rpartition("1")
    if not prefix or any(character not in BECH32 for character in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [BECH32.index(c) for c in data]
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            remainder ^= generator if top >> bit & 1 else 0
    return remainder == (1 if data.startswith("q") else 0x2BC830A3)
