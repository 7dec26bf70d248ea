"""The one door: everything that comes over the socket passes here before any route, page, file or WebSocket sees it.

In this order: the name it was called by (DNS rebinding), the page that sent it (CSRF), how much it sends, who it is,
and on the way out the headers of every answer. A route that is added later is behind it without doing anything.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from modules.settings.flags import Flags
from modules.web.security import bodies, headers, login_page, logins
from modules.web.security.hosts import Hosts
from modules.web.security.logins import COOKIE, Sessions, Users
from modules.web.security.throttle import Throttle

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = ("/sdapi/", "/easel/", "/docs", "/redoc", "/openapi.json", "/metrics")
"""Paths that belong to programs; all others belong to the page."""
OPEN = ("/login", "/login/", "/healthz")
"""Paths that nobody need be logged in for."""
NEVER = ("/proxy=", "/gradio_api/proxy=", "/dev/reload", "/gradio_api/dev/reload", "/monitoring")
"""Gradio's ways to other servers and to its inside: not part of this program."""
_ELSEWHERE = ("/file=", "/file/", "/gradio_api/file=", "/gradio_api/file/")
_LOGIN_BYTES = 64 * 1024


class Refused(Exception):
    """A request that goes no further: status, what to say, extra headers."""

    def __init__(self, status: int, message: str, **extra: str) -> None:
        super().__init__(message)
        self.status, self.message, self.extra = status, message, extra


class Heard:
    """What a request says of itself."""

    def __init__(self, scope: Scope) -> None:
        self.path: str = scope["path"]
        self.socket = scope["type"] == "websocket"
        self.method = "WS" if self.socket else scope["method"].upper()
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.scheme: str = scope.get("scheme") or "http"
        self.client: str = (scope.get("client") or ("?",))[0]

    @property
    def secret(self) -> str:
        """Of its session, "" without one."""
        for part in self.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
        return ""

    @property
    def wants_page(self) -> bool:
        return self.method == "GET" and "text/html" in self.headers.get("accept", "")


class Gate:
    """ASGI middleware. api_users and page_users: who may use the API and the page; where only the page has logins they
    hold for the API too, and without a page the API's hold for everything.
    """

    def __init__(
        self, app: App, flags: Flags, *, sessions: Sessions | None = None, throttle: Throttle | None = None
    ) -> None:
        self._app = app
        self._hosts = Hosts.of(flags)
        self._sessions = sessions or Sessions()
        self._throttle = throttle or Throttle()
        self._root = f"/{flags.subpath.strip('/')}" if flags.subpath and flags.subpath.strip("/") else ""
        self._page_users: Users = flags.api_users if flags.nowebui and not flags.page_users else flags.page_users
        self._api_users: Users = flags.api_users or flags.page_users
        self._shared = not flags.api_users  # a session of the page counts for the API

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        heard = Heard(scope)
        try:
            self._look(heard)
            if heard.path.rstrip("/") in ("/login", "/logout") and self._page_users and not heard.socket:
                return await self._door(heard, receive, send)
            scope.setdefault("state", {})["user"] = self._user(heard)
        except Refused as refusal:
            return await self._refuse(heard, refusal, receive, send)
        await self._pass_on(heard, scope, receive, send)

    def _look(self, heard: Heard) -> None:
        """Name, sender, size and place of a request. Raises Refused."""
        host = heard.headers.get("host", "")
        if not self._users(heard.path) and host and not self._hosts.known(host):  # a login stays with its own name
            hint = "If that is a name of this machine, start Easel with --allowed-hosts and the name."
            raise Refused(403, f"This server does not answer by the name in this request. {hint}")
        if not self._hosts.may_act(heard.method, heard.headers, heard.scheme):
            hint = "Pages that may are named with --cors-allow-origins."
            raise Refused(403, f"A page of another site may not do this. {hint}")
        if bodies.stated(heard.headers) > bodies.most(heard.path):
            raise Refused(413, _too_large(heard.path))
        elsewhere = any(heard.path.startswith(f"{start}{scheme}") for start in _ELSEWHERE for scheme in ("http", "//"))
        if heard.path.startswith(NEVER) or elsewhere:
            raise Refused(404, "Not Found")

    def _users(self, path: str) -> Users:
        return self._api_users if path.startswith(API) else self._page_users

    def _user(self, heard: Heard) -> str:
        """Who it is, "" where nobody need log in. Raises Refused."""
        users = self._users(heard.path)
        if not users or heard.path in OPEN:
            return ""
        api = heard.path.startswith(API)
        user = None if api and not self._shared else self._sessions.user(heard.secret)
        if user is not None:
            return user
        given = logins.basic(heard.headers.get("authorization", ""))
        challenge = {"www_authenticate": "Basic"} if api or not self._has_form else {}
        if given is None:
            raise Refused(
                401, "Log in first: HTTP Basic with a name and password of --api-auth or --gradio-auth.", **challenge
            )
        return self._checked(heard, *given, users, challenge)

    @property
    def _has_form(self) -> bool:
        return bool(self._page_users)

    def _checked(self, heard: Heard, name: bytes, password: bytes, users: Users, extra: Mapping[str, str]) -> str:
        """The user of a right password. Raises Refused, 429 where too many were wrong."""
        key = (heard.client, name)
        wait = math.ceil(self._throttle.wait(key))
        if wait:
            raise Refused(429, f"Too many wrong passwords: try again in {wait} seconds.", retry_after=str(wait))
        user = logins.who(name, password, users)
        if user is None:
            self._throttle.failed(key)
            log.warning("A wrong password came from %s.", heard.client)
            raise Refused(401, "Incorrect username or password.", **extra)
        self._throttle.passed(key)
        return user

    async def _pass_on(self, heard: Heard, scope: Scope, receive: Receive, send: Send) -> None:
        """To the program, counting what comes and completing what goes."""
        counted = bodies.Counted(receive, bodies.most(heard.path))
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if counted.over and not begun:
                return  # whatever the program makes of half a body
            if message["type"] in ("http.response.start", "websocket.accept"):
                begun = True
                own = list(message.get("headers", ()))
                message = {**message, "headers": headers.completed(own, heard.path, self._hosts.origins)}
            await send(message)

        try:
            await self._app(scope, receive if heard.socket else counted, sending)
        except bodies.TooLarge:
            log.info("%s %s: the body is too large.", heard.method, heard.path)
        if counted.over and not begun:
            await self._refuse(heard, Refused(413, _too_large(heard.path)), receive, send)

    async def _door(self, heard: Heard, receive: Receive, send: Send) -> None:
        """/login, with a form or without; /logout."""
        root = self._root or "/"
        if heard.path.startswith("/logout"):
            self._sessions.end(heard.secret)
            return await _answer(send, 303, b"", location=root, set_cookie=self._cookie(heard, "", 0))
        if heard.method != "POST":
            return await _page(send, 200, login_page.written(self._root))
        form = parse(await _body(receive), heard.headers.get("content-type", ""))
        name, password = (form.get(field, "").encode("utf-8", "surrogatepass") for field in ("username", "password"))
        user = self._checked(heard, name, password, self._page_users, {})
        cookie = self._cookie(heard, self._sessions.begin(user), int(logins.LASTS))
        if "text/html" in heard.headers.get("accept", ""):
            return await _answer(send, 303, b"", location=root, set_cookie=cookie)
        await _answer(send, 200, b'{"success": true}', content_type="application/json", set_cookie=cookie)

    def _cookie(self, heard: Heard, secret: str, seconds: int) -> str:
        secure = heard.scheme == "https" or heard.headers.get("x-forwarded-proto") == "https"
        kept = f"{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
        return f"{kept}; Secure" if secure else kept

    async def _refuse(self, heard: Heard, refusal: Refused, receive: Receive, send: Send) -> None:
        if heard.socket:
            await receive()  # websocket.connect
            return await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:100]})
        at_door = heard.path.rstrip("/") == "/login"
        if refusal.status in (401, 429) and at_door and "text/html" in heard.headers.get("accept", ""):
            return await _page(send, refusal.status, login_page.written(self._root, refusal.message))
        if refusal.status == 401 and heard.wants_page and not heard.path.startswith(API) and self._page_users:
            return await _answer(send, 303, b"", location=f"{self._root}/login")
        told = {"error": "HTTPException", "detail": refusal.message, "body": "", "errors": refusal.message}
        content = json.dumps(told).encode()
        await _answer(send, refusal.status, content, content_type="application/json", **refusal.extra)


def parse(body: bytes, kind: str) -> dict[str, str]:
    """The fields of a small form, urlencoded or multipart; {} for what is none."""
    if not kind.startswith("multipart/form-data"):
        try:
            return {name: values[0] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=20).items()}
        except (ValueError, UnicodeDecodeError):
            return {}
    from email import message_from_bytes
    from email.policy import HTTP

    message = message_from_bytes(
        b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + body, policy=HTTP
    )
    found = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content.decode("utf-8", "replace")
    return found


async def _body(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False) and message["type"] == "http.request"
        if sum(map(len, pieces)) > _LOGIN_BYTES:
            raise Refused(413, _too_large("/login"))
    return b"".join(pieces)


def _too_large(path: str) -> str:
    return f"The request is too large: {bodies.most(path) // 2**20} MiB are the most."


async def _page(send: Send, status: int, text: str) -> None:
    await _answer(send, status, text.encode(), content_type="text/html; charset=utf-8", cache_control="no-store")


async def _answer(send: Send, status: int, content: bytes, **told: str) -> None:
    named = [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in told.items()]
    named.append((b"content-length", str(len(content)).encode()))
    done = headers.completed(named, "/login", ())
    await send({"type": "http.response.start", "status": status, "headers": done})
    await send({"type": "http.response.body", "body": content})
