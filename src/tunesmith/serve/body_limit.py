"""Middleware that limits the size of request bodies."""

from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 8 * 2**20
"""Room for 40 ASCII texts of the maximum length, far beyond the context of any model served here."""

DRAIN_FACTOR: Final = 8
"""Up to this many times the limit is read and discarded: most clients read the response only after sending everything."""


@dataclass(frozen=True)
class BodyLimitMiddleware:
    """Answers 413 to a body of more than `max_bytes`, while it is being read; no more than that is kept in memory."""

    app: ASGIApp
    max_bytes: int = MAX_BODY_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= self.max_bytes:
                return message
            while message.get("more_body", False) and received <= DRAIN_FACTOR * self.max_bytes:
                message = await receive()
                received += len(message.get("body", b""))
            raise HTTPException(413, f"the body has more than {self.max_bytes:,} bytes; send fewer texts at a time")

        await self.app(scope, receive_counted, send)
