"""The Train tab: its form makes the request that it says."""

from __future__ import annotations

from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.web.ui import train

TOLD: dict[str, Any] = {
    "embedding": "my-word",
    "hypernetwork": None,
    "embedding_rate": "0.01",
    "hypernetwork_rate": "0.00001",
    "pictures": " /pictures ",
    "steps": 50,
    "batch": 2,
    "gather": 1,
    "size": 256,
    "shuffle": True,
    "drop": 0.1,
    "every": 0,
}


def test_the_form_becomes_the_request() -> None:
    request = train.asked("embedding", TOLD)
    assert (request.kind, request.name, request.pictures) == ("embedding", "my-word", "/pictures")
    assert (request.rate, request.steps, request.batch, request.size) == (0.01, 50, 2, 256)
    assert (request.shuffle, request.drop) == (True, 0.1)


@pytest.mark.parametrize(("kind", "changes"), [("hypernetwork", {}), ("embedding", {"embedding_rate": "fast"})])
def test_what_is_missing_is_said(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        train.asked(kind, TOLD | changes)
