"""Error responses in OpenAI's format: {"error": {message, type, param, code}}."""

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
"""Parts of pydantic's error paths that are not fields: the location of the request, and a member of a union."""


class BadRequest(Misuse):
    """A rejected request. `param` is the field, `code` is OpenAI's error code."""

    def __init__(self, what: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        Misuse.__init__(self, what)
        self.param, self.code, self.http_status = param, code, status  # type: ignore[misc]


def error_body(message: str, *, status: int, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The JSON body of an error. Lone surrogates that a client sent are escaped, because UTF-8 cannot encode them."""
    message = message.encode("utf-8", "backslashreplace").decode()
    kind = ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(message: str, *, status: int, param: str | None = None, code: str | None = None) -> JSONResponse:
    """An error response; only 429 carries a `retry-after` header."""
    headers = {"retry-after": "1"} if status == 429 else {}
    return JSONResponse(error_body(message, status=status, param=param, code=code), status_code=status, headers=headers)


def install_handlers(app: FastAPI) -> None:
    """Register handlers so that every error of every route has this format."""
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
    """The first error in the body, with the path of its field."""
    first: Any = (
        _most_specific_error(error.errors())
        if isinstance(error, RequestValidationError)
        else {"loc": (), "msg": str(error)}
    )
    if first.get("type") == "json_invalid":
        return error_response(
            f"the body is not JSON: {first['ctx']['error']}, at character {first['loc'][-1]}", status=400
        )
    path = [
        str(part)
        for part in first["loc"]
        if isinstance(part, int) or (part.isidentifier() and part not in NON_FIELD_PATH_PARTS)
    ]
    param = ".".join(path) or None
    if first.get("type") == "extra_forbidden":
        return error_response(f"Unrecognized request argument supplied: {param}", status=400, param=param)
    reason = first["msg"].replace("tuple", "list").replace("Tuple", "List")
    return error_response(f"{param or 'body'}: {reason}", status=400, param=param)


def _most_specific_error(errors: Sequence[Any]) -> Any:
    """For a union, pydantic reports one error per member. Choose the error deepest in the field, and one about a value rather
    than a type. The names of union members in the path are not identifiers."""
    of_field = [error for error in errors if error["loc"][:2] == errors[0]["loc"][:2]]
    return max(of_field, key=lambda error: (len(error["loc"]), not error["type"].endswith("_type")))


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    if status == 404:
        detail = f"{detail}; this server has {', '.join(_route_paths(request.app))}"
    return error_response(f"{request.method} {request.url.path}: {detail}", status=status)


def _route_paths(app: FastAPI) -> list[str]:
    """The paths of all routes of this server."""
    return sorted(app.openapi()["paths"])


async def _handle_crash(request: Request, error: Exception) -> JSONResponse:
    """An internal error. The response reveals no details; they are in the server's log."""
    return error_response("internal server error; see the server's log", status=500)
