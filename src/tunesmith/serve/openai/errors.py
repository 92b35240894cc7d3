"""Errors as OpenAI's clients read them: {"error": {message, type, param, code}}."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tunesmith.errors import Misuse, TunesmithError

ERROR_TYPES = {
    400: "invalid_request_error",
    404: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


NON_FIELD_PATH_PARTS = ("body", "str")
"""Parts of pydantic's paths that are no field: where the request was, and one form of a field that has several."""


class BadRequest(Misuse):
    """A request that is refused; `param` names the field, `code` is OpenAI's word for the kind."""

    def __init__(self, what: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        Misuse.__init__(self, what)
        self.param, self.code, self.http_status = param, code, status  # type: ignore[misc]


def error_body(message: str, *, status: int, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The JSON of an error. Half a character of UTF-16 that a client sent is written out: UTF-8 has none."""
    message = message.encode("utf-8", "backslashreplace").decode()
    kind = ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(message: str, *, status: int, param: str | None = None, code: str | None = None) -> JSONResponse:
    """An error response; a client is told to try again only where that can help."""
    headers = {"retry-after": "1"} if status == 429 else {}
    return JSONResponse(error_body(message, status=status, param=param, code=code), status_code=status, headers=headers)


def install_handlers(app: FastAPI) -> None:
    """Every error of every route leaves in this shape."""
    app.add_exception_handler(TunesmithError, _handle_tunesmith_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(Exception, _handle_crash)


async def _handle_tunesmith_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, BadRequest):
        return error_response(error.what, status=error.http_status, param=error.param, code=error.code)
    status = error.http_status if isinstance(error, TunesmithError) else 500
    return error_response(str(error), status=400 if status == 422 else status)


async def _handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with the body, with its path."""
    first: Any = (
        _most_specific_error(error.errors())
        if isinstance(error, RequestValidationError)
        else {"loc": (), "msg": str(error)}
    )
    if first.get("type") == "json_invalid":
        return error_response(
            f"the body is no JSON: {first['ctx']['error']}, at character {first['loc'][-1]}", status=400
        )
    path = [
        str(part)
        for part in first["loc"]
        if isinstance(part, int) or (part.isidentifier() and part not in NON_FIELD_PATH_PARTS)
    ]
    param = ".".join(path) or None
    if first.get("type") == "extra_forbidden":
        return error_response(f"Unrecognized request argument supplied: {param}", status=400, param=param)
    said = first["msg"].replace("tuple", "list").replace("Tuple", "List")
    return error_response(f"{param or 'body'}: {said}", status=400, param=param)


def _most_specific_error(errors: Sequence[Any]) -> Any:
    """Of a field that may have several forms pydantic says for each why it is not that one: what is said of the form that fits
    furthest, and of a value rather than of its type. The forms' own names in the path are no identifiers."""
    of_field = [one for one in errors if one["loc"][:2] == errors[0]["loc"][:2]]
    return max(of_field, key=lambda one: (len(one["loc"]), not one["type"].endswith("_type")))


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    if status == 404:
        detail = f"{detail}; this server has {', '.join(_route_paths(request.app))}"
    return error_response(f"{request.method} {request.url.path}: {detail}", status=status)


def _route_paths(app: FastAPI) -> list[str]:
    """The paths that this release answers at."""
    return sorted(app.openapi()["paths"])


async def _handle_crash(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours: the client learns that, and nothing about our insides; the server's log has the rest."""
    return error_response("the server failed; its log says why", status=500)
