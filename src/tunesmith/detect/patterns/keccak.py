"""Keccak-256 with the padding of 2011, as Ethereum and Monero use it; SHA3-256 (FIPS 202) differs in one padding byte.

Reference: Bertoni, Daemen, Peeters, Van Assche, The Keccak reference, version 3.0, sections 1.2 and 1.3.
"""

from functools import cache
from typing import Final

RATE_BYTES: Final = 136
MASK_64_BITS: Final = (1 << 64) - 1


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of the digest."""
    padded = bytearray(data) + b"\x01" + b"\x00" * (-(len(data) + 1) % RATE_BYTES)
    padded[-1] |= 0x80
    state = [0] * 25
    for start in range(0, len(padded), RATE_BYTES):
        for lane in range(RATE_BYTES // 8):
            place = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        state = _permute(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def _rotate_left(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & MASK_64_BITS if by else lane


def _permute(state: list[int]) -> list[int]:
    """24 rounds of theta, rho and pi, chi, iota. Lane (x, y) has the index x + 5y."""
    for constant in _round_constants():
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        change = [columns[x - 1] ^ _rotate_left(columns[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * 25
        for place, (target, by) in enumerate(_lane_moves()):
            moved[target] = _rotate_left(state[place] ^ change[place % 5], by)
        state = [
            moved[place] ^ (~moved[row + (place + 1) % 5] & moved[row + (place + 2) % 5] & MASK_64_BITS)
            for row in range(0, 25, 5)
            for place in range(row, row + 5)
        ]
        state[0] ^= constant
    return state


@cache
def _lane_moves() -> tuple[tuple[int, int], ...]:
    """For each lane its new index and by how many bits it is rotated (rho and pi)."""
    moves = {0: (0, 0)}
    x, y = 1, 0
    for step in range(24):
        turned_x, turned_y = y, (2 * x + 3 * y) % 5
        moves[x + 5 * y] = (turned_x + 5 * turned_y, (step + 1) * (step + 2) // 2 % 64)
        x, y = turned_x, turned_y
    return tuple(moves[place] for place in range(25))


@cache
def _round_constants() -> tuple[int, ...]:
    """Round constants, from a linear feedback shift register with the polynomial x^8 + x^6 + x^5 + x^4 + 1."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register = register << 1 ^ (0x171 if register >> 7 else 0)
        constants.append(constant)
    return tuple(constants)
