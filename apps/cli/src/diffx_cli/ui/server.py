"""The server of the page: three files, a request that draws, and one that stops it."""

import json
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

from attrs import frozen
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from diffx_cli.ui.guard import Door, Guarded
from diffx_cli.ui.studio import INTERNAL, Event, Studio, Work

PAGE = files("diffx_cli.ui") / "page"
FILES = {"page.css": "text/css", "page.js": "text/javascript"}
FACTS = "<!-- facts -->"
"""Where the page has what it is told."""
LONGEST = 65_536
"""Bytes of a request."""


def application(studio: Studio, facts: dict[str, Any], door: Door) -> ASGIApp:
    """All that the server answers.

    Args:
        studio: what draws.
        facts: what the page is told, as plain JSON types.
        door: whom to let in.
    """
    page = _page({**facts, "token": door.token})

    def index(_: Request) -> Response:
        return Response(page, media_type="text/html")

    def file(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        return Response((PAGE / name).read_bytes(), media_type=FILES[name])

    async def draw(request: Request) -> ASGIApp:
        given, problem = await _read(request)
        if problem:
            return JSONResponse({"problems": [problem]}, status_code=400)
        work = await studio.begin(given)
        if work is None:
            line = "another drawing is under way: stop it, or wait until it ends"
            return JSONResponse({"problems": [line]}, status_code=409)
        return _Told(work)

    async def stop(_: Request) -> Response:
        studio.stop()
        return Response(status_code=204)

    asked = {"/draw": draw, "/stop": stop}
    routes = [Route("/", index), *(Route(*one, methods=["POST"]) for one in asked.items())]
    routes += [Route(f"/{name}", file) for name in FILES]
    return Guarded(Starlette(routes=routes), door)


@frozen(eq=False)
class _Told:
    """What a drawing says, a line of JSON each; it is stopped when nobody listens any more.

    Args:
        work: the drawing.
    """

    work: Work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            events = self.work.events()
            first = await anext(events)
            answer = _refused(first) or StreamingResponse(
                _lines(first, events), media_type="application/x-ndjson"
            )
            await answer(scope, receive, send)
        finally:
            self.work.stop()


def _refused(event: Event) -> Response | None:
    """The answer if nothing is drawn at all."""
    if event["event"] != "failed":
        return None
    status = 500 if event["code"] == INTERNAL else 400
    return JSONResponse({"problems": event["problems"]}, status_code=status)


async def _lines(first: Event, others: AsyncIterator[Event]) -> AsyncIterator[str]:
    yield json.dumps(first) + "\n"
    async for event in others:
        yield json.dumps(event) + "\n"


async def _read(request: Request) -> tuple[object, str | None]:
    """What the page sends, and what is wrong with it."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None, "the page must send JSON"
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LONGEST:
                return None, f"the page must send at most {LONGEST} bytes"
    except ClientDisconnect:
        return None, "the page has gone"  # and hears nothing of it
    try:
        return json.loads(body), None
    except (ValueError, RecursionError) as error:
        return None, f"the page must send JSON: {error}"


def _page(facts: dict[str, Any]) -> bytes:
    """The page, with what it is told: data for its script, which no text in it can end."""
    text = json.dumps(facts).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    html = (PAGE / "page.html").read_text(encoding="utf-8")
    assert FACTS in html, "the page has a place for them"
    data = f'<script type="application/json" id="facts">{text}</script>'
    return html.replace(FACTS, data).encode()
