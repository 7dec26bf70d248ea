"""The listening socket: answers are sent at once."""

from __future__ import annotations

import asyncio
import socket

from modules.settings.flags import parse
from modules.web import server


def test_what_is_accepted_sends_without_delay() -> None:
    """asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it each small answer waits 40 ms."""

    async def delayless() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = server.bind(parse([]))
        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            value = await found
            writer.close()
        return value

    assert asyncio.run(delayless())
