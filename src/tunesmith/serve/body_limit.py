"""How much of a request is read at all."""

from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 8 * 2**20
"""Of one body: 40 texts of the greatest length of ASCII, and far beyond the context of any model that is served here."""

DRAIN_FACTOR: Final = 8
"""So many times the limit is read and thrown away: most clients read the refusal only once they have sent all."""


@dataclass(frozen=True)
class BodyLimitMiddleware:
    """Refuses a longer body with 413 while it is read; no more than `most` bytes of it are kept."""

    app: ASGIApp
    most: int = MAX_BODY_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= self.most:
                return message
            while message.get("more_body", False) and seen <= DRAIN_FACTOR * self.most:
                message = await receive()
                seen += len(message.get("body", b""))
            raise HTTPException(413, f"the body has more than {self.most:,} bytes; send fewer texts at a time")

        await self.app(scope, receive_counted, send)
