"""Whether the process lives, whether it can do its work, and its figures."""

from fastapi import APIRouter, Response

from alir.api.ports import Gateway


def router(gateway: Gateway) -> APIRouter:
    """The routes, over this gateway. They need no API token, and name no person."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Is the process alive?", response_class=Response)
    async def healthz() -> Response:
        """200 as long as the process answers."""
        return Response("ok\n", media_type="text/plain")

    @routes.get(
        "/readyz",
        summary="Can it do its work?",
        response_class=Response,
        responses={503: {"description": "What is in the way", "content": {"text/plain": {}}}},
    )
    async def readyz() -> Response:
        """200 where the store takes writes and messages are being dispatched."""
        reason = await gateway.is_ready()
        if reason is None:
            return Response("ok\n", media_type="text/plain")
        return Response(f"{reason}\n", status_code=503, media_type="text/plain")

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        """In the text format of Prometheus; no label holds a number of a person."""
        return Response(gateway.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes
