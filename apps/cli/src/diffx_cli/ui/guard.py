"""Who may talk to the server: the page that it served itself, in a browser on this machine.

Any web page that is open in a browser can send requests to a port of the machine, and one whose
name changes to 127.0.0.1 after it was loaded (DNS rebinding) can read the answers. So the Host has
to be this server, a request that makes it work has to come from its own page, and has to have
the token that only this page was told.
"""

import secrets
from collections.abc import Mapping

from attrs import field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "x-diffx-token"  # noqa: S105 - the name of the header, not a secret
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer."""


@frozen
class Door:
    """Whom to let in.

    Args:
        port: of the server.
        token: that the page was told.
    """

    port: int
    token: str = field(factory=lambda: secrets.token_urlsafe(24), repr=False)

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused; None if it is not."""
        hosts = [f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")]
        hosts += ["127.0.0.1", "localhost"] if self.port == 80 else []
        if headers.get("host", "").lower() not in hosts:
            return "the Host is not this server"
        if method in ("GET", "HEAD"):
            return None
        if headers.get("origin", f"http://{hosts[0]}") not in [f"http://{one}" for one in hosts]:
            return "the request comes from another page"
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "the request comes from another page"
        if not secrets.compare_digest(headers.get(TOKEN, "").encode(), self.token.encode()):
            return "the request does not have this page's token: reload the page"
        return None


@frozen(eq=False)
class Guarded:
    """An application behind a door.

    Args:
        app: what is guarded.
        door: whom to let in.
    """

    app: ASGIApp
    door: Door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        if scope["type"] != "http":
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        why = self.door.refusal(scope["method"], Headers(scope=scope))
        app = self.app if why is None else PlainTextResponse(f"{why}\n", status_code=403)
        await app(scope, receive, told)
