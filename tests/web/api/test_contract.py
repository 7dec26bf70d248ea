"""Paths, methods, fields, types and defaults are those of A1111's OpenAPI file; ours may have more, never less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.web.api.fakes import World

pytestmark = pytest.mark.reference

FILE = Path(__file__).parents[4] / "shared" / "reference" / "sdapi-openapi.json"
PREFIXES = ("/sdapi/", "/internal/", "/sd_extra_networks/")
"""Whose paths are an interface; A1111's other paths are those of its Gradio."""


def _operations() -> list[tuple[str, str]]:
    """Every (path, method) of A1111's file; none where it is not here."""
    paths = json.loads(FILE.read_text(encoding="utf-8"))["paths"] if FILE.exists() else {}
    ours = [path for path in paths if path.startswith(PREFIXES)]
    return [(path, method) for path in ours for method in paths[path]]


OPERATIONS = _operations()
NOTES = {"infotext_explanation", "profiling_explanation", "sd_vae_explanation", "hypertile_explanation"}
OWN = NOTES | {"settings_in_ui", "randn_source", "show_progress_type", "sd_model_checkpoint", "sd_checkpoint_hash"}
OWN |= {"api_enable_requests"}  # off here: nobody asked for requests to other servers

Spec = dict[str, Any]
Shape = dict[str, tuple[Any, Any]]


@pytest.fixture
def theirs() -> Spec:
    if not FILE.exists():
        pytest.skip("A1111's OpenAPI file is not here")
    found: Spec = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def ours(idle: World) -> Spec:
    return idle.app.openapi()


def resolved(spec: Spec, schema: Spec) -> Spec:
    """The schema behind a reference, and of "this or null" this."""
    if "$ref" in schema:
        found: Spec = spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return resolved(spec, found)
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return {**schema, **resolved(spec, choices[0])} if len(choices) == 1 else schema


def kind(spec: Spec, schema: Spec) -> Any:
    """The type, with that of its items."""
    whole = resolved(spec, schema)
    items = whole.get("items")
    return (whole.get("type"), kind(spec, items)) if items else whole.get("type")


def shape(spec: Spec, schema: Spec) -> Shape:
    """Field -> (type, default)."""
    whole = resolved(spec, schema)
    return {
        name: (kind(spec, field), resolved(spec, field).get("default"))
        for name, field in whole.get("properties", {}).items()
    }


def loose(fields: Shape) -> Shape:
    """Without the types of items, and with whole numbers as numbers: A1111's options tell neither."""
    types = {name: of[0] if isinstance(of, tuple) else of for name, (of, _) in fields.items()}
    return {
        name: ("number" if types[name] == "integer" else types[name], default) for name, (_, default) in fields.items()
    }


def body(spec: Spec, part: Spec) -> Spec:
    """The schema of a request body or an answer; {} if there is none."""
    found: Spec = part.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def test_all_are_compared() -> None:
    if not FILE.exists():
        pytest.skip("A1111's OpenAPI file is not here")
    assert len(OPERATIONS) >= 48


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_requests(theirs: Spec, ours: Spec, path: str, method: str) -> None:
    operation, expected = ours["paths"][path][method], theirs["paths"][path][method]
    schema = body(ours, operation.get("requestBody", {}))
    wanted = body(theirs, expected.get("requestBody", {}))
    assert kind(ours, schema) == kind(theirs, wanted)
    fields, needed = shape(ours, schema), shape(theirs, wanted)
    assert {name: fields.get(name) for name in needed} == needed
    assert resolved(ours, schema).get("required", []) == resolved(theirs, wanted).get("required", [])
    parameters = {item["name"]: item for item in operation.get("parameters", [])}
    for item in expected.get("parameters", []):
        mine = parameters[item["name"]]
        assert (mine["in"], mine.get("required", False)) == (item["in"], item["required"])
        assert mine["schema"].get("default") == item["schema"].get("default")
        assert kind(theirs, item["schema"]) in (None, kind(ours, mine["schema"]))  # A1111 leaves some untyped


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers(theirs: Spec, ours: Spec, path: str, method: str) -> None:
    answer = body(ours, ours["paths"][path][method]["responses"]["200"])
    wanted = body(theirs, theirs["paths"][path][method]["responses"]["200"])
    if path == "/sdapi/v1/cmd-flags":
        return  # free-form here: its keys are compared in test_system
    if resolved(theirs, wanted).get("type") == "array":
        answer, wanted = resolved(ours, answer)["items"], resolved(theirs, wanted)["items"]
    fields, needed = loose(shape(ours, answer)), loose(shape(theirs, wanted))
    typed = {name: field for name, field in needed.items() if field[0] is not None and name not in OWN}
    assert {name: fields[name] for name in typed} == typed
    assert set(fields) >= set(needed)
