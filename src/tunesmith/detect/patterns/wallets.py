"""Cryptocurrency addresses, confirmed by their checksums.

Bitcoin, Litecoin, Dogecoin and Tron (Base58Check), SegWit (BIP 173, BIP 350), Ripple (its own Base58 alphabet), Ethereum
(EIP-55 for mixed case), Monero (Keccak-256). A Solana address has no checksum: it counts behind the word Solana.
"""

import hashlib
from typing import Final

from tunesmith.detect.patterns.cues import code_after_cue
from tunesmith.detect.patterns.keccak import keccak256
from tunesmith.detect.patterns.pattern import Pattern

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
MONERO_BLOCK_BYTES: Final = {11: 8, 7: 5}
"""Bytes in a Monero block, by its number of characters."""


def base58check(address: str, alphabet: str = BASE58) -> bool:
    """Whether the last four of the 25 bytes of a Base58 address are the first four of its double SHA-256."""
    value = 0
    for character in address:
        value = value * 58 + alphabet.index(character)
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


def eip55(address: str) -> bool:
    """Whether the 40 hexadecimal digits have one case, or the case that Keccak-256 gives them (EIP-55)."""
    body = address[2:]
    if body in (body.lower(), body.upper()):
        return len(set(body)) > 4
    digest = keccak256(body.lower().encode()).hex()
    return all(c.isdigit() or c.isupper() == (int(nibble, 16) >= 8) for c, nibble in zip(body, digest, strict=False))


def monero(address: str) -> bool:
    """Whether the last four of 69 bytes, in Base58 blocks of eight bytes, are the first four of their Keccak-256."""
    data = b""
    for start in range(0, len(address), 11):
        block, value = address[start : start + 11], 0
        for character in block:
            value = value * 58 + BASE58.index(character)
        size = MONERO_BLOCK_BYTES.get(len(block), 0)
        if value.bit_length() > 8 * size:
            return False
        data += value.to_bytes(size, "big")
    return keccak256(data[:-4])[:4] == data[-4:]


def solana(address: str) -> bool:
    """Whether a Base58 text encodes 32 bytes."""
    value = 0
    for character in address:
        value = value * 58 + BASE58.index(character)
    zeros = len(address) - len(address.lstrip("1"))
    return zeros + (value.bit_length() + 7) // 8 == 32


def _segwit(text: str) -> int:
    return len(text) if bech32(text.lower()) and text in (text.lower(), text.upper()) else 0


def _base58(text: str) -> int:
    """Bitcoin, Litecoin, Dogecoin, Tron, Ripple or Monero, told apart by the first character and the length."""
    if len(text) == 95:
        return len(text) if text[0] in "48" and monero(text) else 0
    if not 25 <= len(text) <= 35 or text[0] in "48":
        return 0
    return len(text) if base58check(text, RIPPLE if text[0] == "r" else BASE58) else 0


def _ethereum(text: str) -> int:
    return len(text) if eip55(text) else 0


def _solana(text: str) -> int:
    return len(text) if solana(text) else 0


_START = r"(?<![A-Za-z0-9])"
_END = r"(?![A-Za-z0-9])"

WALLETS: Final = (
    Pattern("crypto-wallet", rf"{_START}(?:bc1|BC1|ltc1|LTC1)[A-Za-z0-9]{{11,71}}{_END}", _segwit),
    Pattern("crypto-wallet", rf"{_START}[1348LMDTr][1-9A-HJ-NP-Za-km-z]{{24,94}}{_END}", _base58),
    Pattern("crypto-wallet", rf"{_START}0x[0-9a-fA-F]{{40}}{_END}", _ethereum),
    Pattern(
        "crypto-wallet", code_after_cue(r"(?i:solana)(?: (?:address|wallet))?", r"[1-9A-HJ-NP-Za-km-z]{32,44}"), _solana
    ),
)
