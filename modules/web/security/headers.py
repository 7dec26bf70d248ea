"""What every answer says to browsers, and what answers with a user's files say besides.

A file that was made or uploaded by somebody never runs as a page of this server: HTML, SVG and the like are downloads.
"""

from __future__ import annotations

from collections.abc import Sequence

Headers = list[tuple[bytes, bytes]]

_FILES = ("/file=", "/file/", "/gradio_api/file=", "/gradio_api/file/", "/sd_extra_networks/", "/easel/")
"""Where answers are files of users."""
_ACTIVE = (b"text/html", b"image/svg", b"application/xhtml", b"text/xml", b"application/xml", b"text/javascript")
_SANDBOX = b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"


def completed(headers: Headers, path: str, origins: Sequence[str]) -> Headers:
    """The answer's headers with ours. Permissions for other origins are left out: CORS is for the flags to give."""
    kept = [(name, value) for name, value in headers if not name.lower().startswith(b"access-control-")]
    names = {name.lower() for name, _ in kept}
    added = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
    if path.startswith(_FILES):
        added.append((b"content-security-policy", _SANDBOX))
        if _active(kept):
            kept = [(name, value) for name, value in kept if name.lower() != b"content-disposition"]
            kept.append((b"content-disposition", b"attachment"))
    else:
        frames = " ".join(["'self'", *origins]).encode("ascii", "replace")
        added.append((b"content-security-policy", b"object-src 'none'; base-uri 'self'; frame-ancestors " + frames))
    return kept + [(name, value) for name, value in added if name not in names]


def _active(headers: Headers) -> bool:
    """Whether a browser would run it."""
    return any(name.lower() == b"content-type" and value.lower().startswith(_ACTIVE) for name, value in headers)
