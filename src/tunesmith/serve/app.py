"""The HTTP application that serves one verified release."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.context import Context
from tunesmith.models.loading import Precision
from tunesmith.serve import predict
from tunesmith.serve.body_limit import BodyLimitMiddleware
from tunesmith.serve.loaded_release import AnyRelease, DecoderRelease, Seq2SeqRelease, open_release
from tunesmith.serve.openai import chat, completions, errors, models
from tunesmith.serve.worker import Worker


@dataclass
class RequestIdMiddleware:
    """Gives every request an id and sends it in the `x-request-id` header, which OpenAI's clients report.

    Ids start with the time the server started, so they do not repeat after a restart.
    """

    app: ASGIApp
    started_us: int
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = f"req_{self.started_us:x}{next(self.numbers):08x}"
        scope.setdefault("state", {})["request_id"] = name

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_header(message, b"x-request-id", name.encode())
            await send(message)

        await self.app(scope, receive, send_named)


def _add_header(message: MutableMapping[str, Any], name: bytes, value: bytes) -> None:
    message["headers"] = [*message.get("headers", ()), (name, value)]


def make_app(
    release: Path,
    public_pem: bytes,
    *,
    context: Context,
    precision: Precision | None = None,
    threads: int | None = None,
) -> FastAPI:
    """Verify and load a release folder; returns the application that serves it. See `open_release` for the settings.

    Raises IntegrityBroken if the folder differs from what the key signed: an unverified release is never served.
    """
    released = open_release(release, public_pem, context=context, precision=precision, threads=threads)
    return build_app(released, context=context)


def build_app(released: AnyRelease, *, context: Context) -> FastAPI:
    """The application for a loaded release. FastAPI's /docs pages are off, because they load scripts from other hosts."""
    worker = Worker()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        worker.stop()

    app = FastAPI(title="Tunesmith", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RequestIdMiddleware, started_us=int(context.clock.now().timestamp() * 1e6))
    errors.install_handlers(app)
    app.include_router(models.make_router(released))
    if isinstance(released, DecoderRelease):
        app.include_router(chat.make_router(released, worker, context))
    elif isinstance(released, Seq2SeqRelease):
        app.include_router(completions.make_router(released, worker, context))
    else:
        app.include_router(predict.make_router(released, worker))

    @app.get("/healthz")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": released.id, "waiting": worker.waiting}

    return app
