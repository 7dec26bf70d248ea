"""Laws of the source itself: no text becomes code, no pickle is run, no shell is started."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("modules", "extensions", "benchmarks")
FILES = sorted(
    [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "tests" not in path.parts)]
)
MAY_RUN_CODE = {"modules/generate/scripts/custom_code.py"}
"""The user's own code, behind --allow-code."""
GUESTS = "modules/compat/"
"""Runs A1111's extensions, which are programs that the user installed."""
BARRED = {"eval", "exec", "compile", "__import__"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with what is called: "torch.load", "eval"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    return next((each.value.value for each in call.keywords if each.arg == name and isinstance(each.value, ast.Constant)), None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file(path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, call in calls(tree):
        if where not in MAY_RUN_CODE and not where.startswith(GUESTS):
            assert name not in BARRED, f"line {call.lineno}: {name}"
        if name in ("torch.load", "load") and name == "torch.load":
            assert keyword(call, "weights_only") is True, f"line {call.lineno}: a pickle that may run code"
        assert name not in ("os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "numpy.load", "np.load") or (
            name == "np.load" and keyword(call, "allow_pickle") is not True
        ), f"line {call.lineno}: {name}"
        assert keyword(call, "shell") is not True, f"line {call.lineno}: a shell"
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        found = PICKLES & {part.partition(".")[0] for part in [*names, source] if not (isinstance(node, ast.ImportFrom) and part != source)}
        assert not found, f"line {getattr(node, 'lineno', 0)}: {found}"


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 150
