"""Rows of a support desk from a seed: ordinary sentences of our own, with personal data and secrets planted at a known rate.

    for row in rows(100_000, seed=1, planted=0.05): row.example, row.planted

A sentence is a walk over kinds of phrases (who, does what, to what, when), so the same seed gives the same rows everywhere,
and no two rows are near duplicates. The median row has about 440 characters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from planted import NEAR_MISSES, PERSONAL, SECRETS

OPENERS: Final = (
    "Thanks for the quick reply.", "I hope you had a good weekend.", "Sorry for the long message.", "One more thing.",
    "This is about last week.", "I have looked at it again.", "Nobody has answered so far.", "We talked about this before.",
    "Just to be sure.", "It is the same as in spring.", "Let me say it in short.", "There is good news too.",
)  # fmt: skip
SUBJECTS: Final = (
    "our warehouse", "the driver", "the person at the desk", "my colleague", "the shop in the harbour street", "the supplier",
    "a neighbour", "the second invoice", "your newsletter", "the blue lamp", "the kitchen table", "the return label",
    "our accountant", "the technician", "the spare part", "the whole set", "the courier", "this contract", "the old boiler",
    "the landlord", "the new catalogue", "a customer from the north", "the night shift", "the printer on the second floor",
    "the garden chair", "the bookkeeping team", "the lawyer", "every branch", "the pump", "the insurance", "the cook",
    "our youngest apprentice", "the school", "the hotel", "the delivery note", "the train company", "the dentist's office",
)  # fmt: skip
VERBS: Final = (
    "has asked for", "still waits for", "sent back", "cannot find", "paid for", "would like to change", "promised",
    "has forgotten", "never received", "was pleased with", "wants to cancel", "has checked", "compared", "will replace",
    "does not need", "ordered", "complained about", "agreed to", "measured", "turned down", "explained", "kept", "repaired",
    "wrote down", "is looking for", "gave away", "signed", "read through", "translated", "moved", "counted", "packed",
)  # fmt: skip
OBJECTS: Final = (
    "the price of the larger box", "a receipt for the year", "two tickets to the coast", "the colour of the front door",
    "an offer with fewer conditions", "the missing screws", "a longer guarantee", "the report on water damage",
    "a place near the window", "the address of the workshop", "the manual in plain words", "a key for the cellar",
    "the list of open questions", "another date for the visit", "a discount on the winter tyres", "the photographs of the roof",
    "the terms of the loan", "a smaller desk", "the recipe for the lentil soup", "some advice on tenants", "the heating plan",
    "the invitation to the fair", "half of the chairs", "a quieter room", "the timetable of the ferry", "the meter reading",
    "a copy of the agreement", "the wooden crate", "a refund in full", "the sample of green cloth", "the training for new staff",
    "the bill of the restaurant", "a stronger rope", "the minutes of the meeting", "fresh paint", "the broken handle",
)  # fmt: skip
TAILS: Final = (
    "before the end of the month", "because the first one was too heavy", "after a talk with the manager", "without a word",
    "although the shelf was full", "on a rainy morning", "in spite of the strike", "as the letter says", "for the third time",
    "when the office opened", "and nobody minded", "to be on the safe side", "with a note in pencil", "since it is cheaper",
    "by the side entrance", "until the weather turns", "so that the work can go on", "while the lift was out of order",
    "from the savings of the club", "in front of two witnesses", "with more patience than I have", "as soon as it is dry",
    "instead of the usual one", "at the counter downstairs", "for a friend abroad", "during the holidays", "by mistake",
)  # fmt: skip
NUMBERS: Final = (
    "It cost {price} euros for {few} pieces.", "That was {few} days ago, at {hour}:30.", "Room {many} is booked for {few}.",
    "The box holds {many} parts and weighs {few} kilos.", "Page {many} of the manual shows it.", "Order {order} is the one.",
    "About {few} in {many} customers ask for it.", "It opens at {hour}:15 and closes late.", "Bus {few} stops there.",
)  # fmt: skip
LINKS: Final = (", and ", ", but ", "; then ", ", so ")
KINDS: Final = {**PERSONAL, **SECRETS}
SENTENCES: Final = (1, 1, 2, 2, 2, 2, 2, 3, 3)


@dataclass(frozen=True)
class Planted:
    """Characters [start, end) of a message are a value of this kind."""

    message: int
    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Row:
    """`example` is a row in the format `messages`; `planted` is what was hidden in it. `decoy`: it holds a near miss."""

    example: dict[str, Any]
    planted: tuple[Planted, ...] = ()
    decoy: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(turn["content"] for turn in self.example["messages"])


def rows(
    count: int, seed: int, *, planted: float = 0.05, decoys: float = 0.05, kinds: Sequence[str] = tuple(KINDS)
) -> Iterator[Row]:
    """`count` rows; a share `planted` of them holds one value (the kinds in turn), another share `decoys` a near miss."""
    rng, turn = Random(seed), 0
    for _ in range(count):
        talk = [_said(rng), _said(rng)]
        dice = rng.random()
        if dice < planted and kinds:
            kind, message = kinds[turn % len(kinds)], rng.randrange(2)
            turn += 1
            yield _with_value(rng, talk, kind=kind, message=message)
        elif dice < planted + decoys:
            talk[rng.randrange(2)].append(rng.choice(NEAR_MISSES)(rng))
            yield Row(_example(talk), decoy=True)
        else:
            yield Row(_example(talk))


def _with_value(rng: Random, talk: list[list[str]], *, kind: str, message: int) -> Row:
    make, said = KINDS[kind]
    value, (before, _, after) = make(rng), rng.choice(said).partition("{}")
    place = rng.randint(0, len(talk[message]))
    talk[message].insert(place, f"{before}{value}{after}")
    start = len(" ".join([*talk[message][:place], before]))
    return Row(_example(talk), (Planted(message, start, start + len(value), kind),))


def _example(talk: list[list[str]]) -> dict[str, Any]:
    return {
        "messages": [
            {"role": role, "content": " ".join(said)} for role, said in zip(("user", "assistant"), talk, strict=True)
        ]
    }


def _said(rng: Random) -> list[str]:
    """The sentences of a message."""
    said = [_sentence(rng) for _ in range(rng.choice(SENTENCES))]
    if rng.random() < 0.5:
        said.insert(0, rng.choice(OPENERS))
    if rng.random() < 0.4:
        said.append(_number(rng))
    return said


def _sentence(rng: Random) -> str:
    made = _clause(rng)
    if rng.random() < 0.3:
        made += rng.choice(LINKS) + _clause(rng)
    return f"{made[0].upper()}{made[1:]}."


def _clause(rng: Random) -> str:
    made = f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}"
    return f"{made} {rng.choice(TAILS)}" if rng.random() < 0.7 else made


def _number(rng: Random) -> str:
    return rng.choice(NUMBERS).format(
        price=f"{rng.randint(1, 4000)}.{rng.randint(0, 99):02d}",
        few=rng.randint(2, 60),
        many=rng.randint(61, 980),
        hour=rng.randint(7, 19),
        order=rng.randint(10_000, 9_999_999),
    )
