"""GET /v1/models and /v1/models/{id}."""

from typing import Any

from fastapi import APIRouter

from tunesmith.serve.loaded_release import AnyRelease
from tunesmith.serve.openai.errors import BadRequest


def model_object(released: AnyRelease) -> dict[str, Any]:
    """OpenAI's model object; `created` is the time at which this server loaded the model."""
    return {"id": released.id, "object": "model", "created": released.created, "owned_by": "tunesmith"}


def find_model(released: AnyRelease, model: str) -> AnyRelease:
    """The release, if the client requested it by name. Raises BadRequest (404) for any other name."""
    if not released.answers_to(model):
        raise BadRequest(
            f"The model `{model}` does not exist; this server has `{released.id}`",
            param="model",
            code="model_not_found",
            status=404,
        )
    return released


def make_router(released: AnyRelease) -> APIRouter:
    """The routes for one release. Ids contain colons, so the rest of the path is taken literally."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [model_object(released)]}

    @router.get("/{model:path}")
    async def retrieve_model(model: str) -> dict[str, Any]:
        return model_object(find_model(released, model))

    return router
