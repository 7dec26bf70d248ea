"""Failures have one shape, the right status, and never break the answer itself."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_a_thing_named_by_the_address_is_404(asking: TestClient) -> None:
    answer = asking.get("/missing")
    assert answer.status_code == 404
    told = answer.json()
    assert told.pop("request_id") == answer.headers["x-request-id"]
    assert told == {
        "error": "NotFound",
        "detail": 'Picture "7" not found.',
        "body": "",
        "errors": 'Picture "7" not found.',
        "field": "",
    }


def test_other_failures_on_purpose_are_500_with_their_message(asking: TestClient) -> None:
    answer = asking.get("/broken")
    assert (answer.status_code, answer.json()["detail"]) == (500, "The disk is full.")


def test_a_bug_is_500_with_its_kind_even_when_its_text_cannot_be_encoded(asking: TestClient) -> None:
    answer = asking.get("/bug")
    assert (answer.status_code, answer.json()["error"]) == (500, "ZeroDivisionError")
    assert "division by \ud800" in answer.json()["detail"]


def test_an_unknown_route_and_method_keep_their_status(asking: TestClient) -> None:
    answer = asking.get("/sdapi/v1/no-such")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")
    wrong = asking.get("/sdapi/v1/txt2img")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
