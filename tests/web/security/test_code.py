"""Laws of the source itself: no text becomes code, no pickle is run, no shell is started."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("modules", "extensions", "benchmarks")
FILES = sorted(
    [
        *ROOT.glob("*.py"),
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "tests" not in path.parts),
    ]
)
MAY_RUN_CODE = {"modules/generate/scripts/custom_code.py"}
"""The user's own code, behind --allow-code."""
GUESTS = ("modules/compat/", "modules/setup/guests.py")
"""What A1111's extensions find: they are programs that the user installed, with their own calls."""
NAMES_THE_ERROR = {"modules/loading/pickles.py"}
"""Catches `pickle.UnpicklingError`."""
BARRED = {"eval", "exec", "compile", "__import__"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with what is called: "torch.load", "eval"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    return next(
        (each.value.value for each in call.keywords if each.arg == name and isinstance(each.value, ast.Constant)), None
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file(path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    if where.startswith(GUESTS):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, call in calls(tree):
        at = f"line {call.lineno}: {name}"
        assert name not in BARRED or where in MAY_RUN_CODE, at
        assert name != "torch.load" or keyword(call, "weights_only") is True, f"{at}: a pickle that may run code"
        assert name not in ("np.load", "numpy.load") or keyword(call, "allow_pickle") is not True, at
        assert name not in ("os.system", "os.popen", "yaml.load", "yaml.unsafe_load"), at
        assert keyword(call, "shell") is not True, f"{at}: a shell"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = PICKLES & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found = PICKLES & {(node.module or "").partition(".")[0]} if not node.level else set()
        else:
            continue
        assert not found or where in NAMES_THE_ERROR, f"line {node.lineno}: {found}"
    loads = [name for name, _ in calls(tree) if name.startswith("pickle.") and not name.endswith("Error")]
    assert not loads


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 150
