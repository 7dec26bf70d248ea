"""Gradio reads addresses that a browser hands it in a file's place. Here they pass the same rules as the API's.

Gradio 6 has one function for it, `processing_utils.async_ssrf_protected_get`, which its components look up when they
call it; it would ask any public address and follow redirects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import gradio as gr
import httpx
from gradio import processing_utils

from modules.core.errors import BadRequest
from modules.web.security.fetching import Policy, fetch


def guard(policy: Callable[[], Policy]) -> None:
    """From now on no address is read but by this policy, which is asked each time. Holds for the whole process."""

    async def get(url: str) -> httpx.Response:
        try:
            data = await asyncio.to_thread(fetch, url, policy(), field="picture")
        except BadRequest as error:
            raise gr.Error(str(error)) from error
        return httpx.Response(200, content=data, request=httpx.Request("GET", url))

    processing_utils.async_ssrf_protected_get = get
