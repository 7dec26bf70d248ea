"""Who can reach this server, and what the console says when that is everybody."""

from __future__ import annotations

from modules.settings.flags import Flags

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def reachable(flags: Flags) -> bool:
    """Whether other machines can reach it: directly, or through --share."""
    return flags.share or flags.host not in LOOPBACK


def warnings(flags: Flags) -> list[str]:
    """Lines for the console; none where only this machine is served or everything asks for a login."""
    doors = _open_doors(flags) if reachable(flags) else []
    if not doors:
        return []
    where = "on the internet" if flags.share else "in your network, and wherever this port is forwarded,"
    lines = [f"WARNING: everybody {where} can use the {what}. Protect it with {flag}." for what, flag in doors]
    if flags.allow_code:
        lines.append("WARNING: --allow-code lets them run any program on this machine.")
    rule = "*" * max(map(len, lines))
    return [rule, *lines, rule]


def _open_doors(flags: Flags) -> list[tuple[str, str]]:
    """What asks for no login, and the flag that makes it ask."""
    page = [("page", "--gradio-auth")] if not (flags.nowebui or flags.page_users) else []
    api = [("API", "--api-auth")] if flags.serves_api and not (flags.api_users or flags.page_users) else []
    return page + api
