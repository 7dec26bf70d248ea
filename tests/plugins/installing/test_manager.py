"""An act happens whole or not at all, and every state can be had again."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.core.errors import BadRequest, Forbidden, NotFound
from modules.plugins.installing.git import GitFailed
from modules.plugins.installing.packages import Conflict
from modules.plugins.installing.trial import Broken
from tests.plugins.installing.conftest import EMPTY, Origin, World, git

Make = Callable[..., World]


def whole(world: World) -> dict[str, bytes]:
    """Everything below extensions/, and the list of states."""
    files = {str(path): path.read_bytes() for path in world.extensions.rglob("*") if path.is_file()}
    return files


def test_installed_from_a_folder_and_loaded(make_world: Make, origin: Origin) -> None:
    commit = origin.publish({"extension.py": EMPTY, "extension.toml": 'version = "1.2"'})
    world = make_world()
    result = world.do("install", url=str(origin.folder))
    assert (result["name"], result["commit"], result["words"]) == ("glow", commit, [])
    assert world.desk.get("glow").state == "loaded"
    assert world.desk.get("glow").manifest.version == "1.2"
    repository = world.desk.get("glow").repository()
    assert repository is not None
    assert (repository.remote, repository.commit) == (str(origin.folder), commit)
    assert world.left() == []
    newest = json.loads((world.folder / "extensions.lock.json").read_text())["states"][-1]
    assert newest["reason"] == "installed glow"
    assert newest["extensions"]["glow"]["commit"] == commit
    with pytest.raises(BadRequest, match="already"):
        world.do("install", url=str(origin.folder), name="again")
    with pytest.raises(BadRequest, match="glow already"):
        world.do("install", url=str(origin.folder))


def test_file_addresses_branches_and_subfolders(make_world: Make, origin: Origin) -> None:
    origin.publish({"other.txt": "", "parts/lamp/extension.py": EMPTY})
    later = origin.publish({"parts/lamp/more.txt": "of the branch"}, branch="next")
    git(origin.folder, "checkout", "-q", "main")
    world = make_world()
    result = world.do("install", url=f"file://{origin.folder}", branch="next", subfolder="parts/lamp")
    assert (result["name"], result["commit"]) == ("lamp", later)
    assert sorted(path.name for path in (world.extensions / "lamp").iterdir() if path.is_file()) == [
        "extension.py",
        "more.txt",
    ]
    git(origin.folder, "checkout", "-q", "next")
    newest = origin.publish({"parts/lamp/more.txt": "newer"}, branch="next")
    assert world.do("check")["extensions"] == {"lamp": f"new commit {newest[:8]}"}
    assert world.do("update")["extensions"] == {"lamp": f"updated to {newest[:8]}"}
    assert (world.extensions / "lamp" / "more.txt").read_text() == "newer"
    with pytest.raises(NotFound, match="parts"):
        world.do("install", url=str(origin.folder), subfolder="partz", name="second")


def test_permissions_are_told_before_anything_is_installed_and_when_there_are_more(
    make_world: Make, origin: Origin
) -> None:
    ini = "[Extension]\nName = Glow\nVersion = 1.0\nRequires = lamp\nPermissions = network\n"
    first = origin.publish({"scripts/glow.py": "", "metadata.ini": ini})
    world = make_world()
    told = world.do("install", url=str(origin.folder), dry_run=True)
    assert (told["installed"], told["commit"], told["version"]) == (False, first, "1.0")
    assert (told["permissions"], told["requires"]) == (["network"], ["lamp"])
    assert world.desk.look() == []
    second = origin.publish({"extension.py": EMPTY, "extension.toml": 'permissions = ["network"]'})
    with pytest.raises(BadRequest, match="changed since you looked"):
        world.do("install", url=str(origin.folder), commit=first)
    assert world.desk.look() == []
    world.do("install", url=str(origin.folder), commit=second)
    origin.publish({"extension.toml": 'permissions = ["network", "files"]'})
    (words,) = world.do("update")["words"]
    assert words == "It declares permissions that it did not have before: files."


@pytest.mark.parametrize(
    ("files", "values", "error", "words"),
    [
        ({"extension.py": "def register(app:\n"}, {}, Broken, "SyntaxError"),
        ({"extension.py": "import no_such_module_here\n"}, {}, Broken, "no_such_module_here"),
        ({"extension.py": "def register(app):\n    app.sampler(1, 2, 3)\n"}, {}, Broken, "TypeError"),
        ({"extension.py": "import sys\nsys.exit(0)\n"}, {}, Broken, "SystemExit"),
        ({"extension.py": "x = 1\n"}, {}, Broken, "register"),
        ({"scripts/glow.py": "def f(:\n"}, {}, Broken, "SyntaxError"),
        ({"README.md": "hello"}, {}, BadRequest, "neither extension.py"),
        ({"extension.py": EMPTY}, {"branch": "mian"}, NotFound, "main"),
        ({"extension.py": EMPTY, "requirements.txt": "pinned<2\n"}, {}, Conflict, "pinned 2.0"),
        ({"extension.py": EMPTY, "requirements.txt": "--index-url x\n"}, {}, Conflict, "option"),
    ],
)
def test_what_fails_leaves_nothing(
    make_world: Make,
    origin: Origin,
    files: dict[str, str],
    values: dict[str, str],
    error: type[Exception],
    words: str,
) -> None:
    origin.publish(files)
    world = make_world()
    before = whole(world)
    with pytest.raises(error, match=words):
        world.do("install", url=str(origin.folder), **values)
    assert whole(world) == before
    assert [each.name for each in world.desk.look()] == []
    assert [state["reason"] for state in world.manager.states()] == ["before the first"]


def test_an_update_keeps_what_the_user_put_there(make_world: Make, origin: Origin) -> None:
    old = origin.publish({"extension.py": EMPTY, "gone.txt": "", ".gitignore": "models/\n"})
    world = make_world()
    world.do("install", url=str(origin.folder))
    here = world.extensions / "glow"
    (here / "models").mkdir()
    (here / "models" / "large.bin").write_bytes(b"mine")
    (here / "gone.txt").unlink()
    (origin.folder / "gone.txt").unlink()
    new = origin.publish({"extension.py": EMPTY + "# newer\n"})
    assert world.do("update", names=["glow"])["extensions"] == {"glow": f"updated to {new[:8]}"}
    assert (here / "models" / "large.bin").read_bytes() == b"mine"
    assert not (here / "gone.txt").exists()
    assert world.do("update")["extensions"] == {"glow": "latest"}
    assert world.manager.trash()[0].startswith("glow~")  # its gone.txt had been edited: nothing of a user's is lost
    first = next(state["number"] for state in world.manager.states() if state["reason"] == "installed glow")
    world.do("roll_back", number=first)
    repository = world.desk.get("glow").repository()
    assert repository is not None
    assert repository.commit == old
    assert (here / "models" / "large.bin").read_bytes() == b"mine"


def test_a_broken_update_changes_nothing(make_world: Make, origin: Origin) -> None:
    origin.publish({"extension.py": EMPTY})
    world = make_world()
    world.do("install", url=str(origin.folder))
    origin.publish({"extension.py": "boom"})
    before = whole(world)
    with pytest.raises(Broken, match="boom"):
        world.do("update", names=["glow"])
    assert whole(world) == before
    assert world.desk.get("glow").state == "loaded"


def test_uninstalled_restored_and_rolled_back_without_the_origin(make_world: Make, origin: Origin) -> None:
    origin.publish({"extension.py": EMPTY})
    other = Origin(origin.folder.parent / "shade")
    commit = other.publish({"extension.py": EMPTY})
    world = make_world()
    world.do("install", url=str(origin.folder))
    world.do("install", url=str(other.folder))
    world.desk.disable("shade")
    both = world.manager.states()[0]["number"]
    world.do("uninstall", name="glow")
    assert [each.name for each in world.desk.look()] == ["shade"]
    world.do("restore", name="glow")
    assert world.desk.get("glow").state == "loaded"
    assert world.manager.trash() == []
    world.do("uninstall", name="shade")
    os.rename(origin.folder.parent, origin.folder.parent.with_name("elsewhere"))  # no network: the mirrors have all
    result = world.do("roll_back", number=both)
    assert result["extensions"] == ["shade"]
    repository = world.desk.get("shade").repository()
    assert repository is not None
    assert repository.commit == commit
    assert world.desk.get("shade").state == "loaded"  # as it was in that state
    result = world.do("roll_back", number=1)
    assert sorted(result["removed"]) == ["glow", "shade"]
    assert world.desk.look() == []
    with pytest.raises(NotFound):
        world.do("roll_back", number=99)


def test_packages_come_and_go_with_the_states(
    tmp_path: Path, make_world: Make, origin: Origin, wheel: Callable[..., None]
) -> None:
    venv.create(tmp_path / "site", with_pip=False)
    for made in (("pinned", "2.0"), ("pinned", "1.0"), ("torchlight", "1.0"), ("torchlight", "1.5")):
        wheel(*made)
    wheel("greedy", "1.0", "pinned<2")
    origin.publish({"extension.py": EMPTY, "extension.toml": 'requirements = ["torchlight<1.2"]'})
    world = make_world()
    tried = world.do("install", url=str(origin.folder), dry_run=True)
    assert (tried["installed"], tried["packages"]) == (False, {"torchlight": "1.0"})
    assert "torchlight" not in world.packages.installed()
    world.do("install", url=str(origin.folder))
    assert world.packages.installed()["torchlight"] == "1.0"
    installed = world.manager.states()[0]["number"]
    origin.publish({"extension.toml": 'requirements = ["torchlight>=1.2"]'})
    world.do("update")
    assert world.packages.installed()["torchlight"] == "1.5"
    origin.publish({"extension.toml": 'requirements = ["greedy"]'})  # needs another "pinned" than Easel does
    with pytest.raises(Conflict, match="pinned"):
        world.do("update", names=["glow"])
    world.do("roll_back", number=installed)
    assert world.packages.installed()["torchlight"] == "1.0"
    world.do("roll_back", number=1)
    assert "torchlight" not in world.packages.installed()


def test_what_a1111_brings_comes_with_its_extensions_where_pip_has_it(
    tmp_path: Path, make_world: Make, origin: Origin, wheel: Callable[..., None]
) -> None:
    venv.create(tmp_path / "site", with_pip=False)
    origin.publish(
        {
            "scripts/plural.py": "import blendmodes, inflection\nfrom lark.tree import Tree\n",
            "scripts/careful.py": "try:\n    import diskcache\nexcept ImportError:\n    diskcache = None\n",
            "lark.py": "",
        }
    )
    world = make_world()
    wheel("inflection", "0.5.1")
    assert world.do("install", url=str(origin.folder), dry_run=True)["packages"] == {}  # blendmodes cannot be had
    wheel("blendmodes", "2024.1")
    found = world.do("install", url=str(origin.folder), dry_run=True)
    assert found["packages"] == {"blendmodes": "2024.1", "inflection": "0.5.1"}


KILLED = """
import os, pathlib, sys
from modules.plugins.installing.works import Works
works = Works(pathlib.Path(sys.argv[1]))
with works.temporary() as work:
    (work / "new" / "glow").mkdir()
    (work / "new" / "glow" / "half.txt").write_text("half")
    if sys.argv[2] == "swapping":
        (work / "old").mkdir()
        os.replace(works.folder / "glow", work / "old" / "glow")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("when", ["making", "swapping"])
def test_a_killed_installer_leaves_nothing_after_the_next_start(make_world: Make, origin: Origin, when: str) -> None:
    origin.publish({"extension.py": EMPTY})
    world = make_world()
    world.do("install", url=str(origin.folder))
    before = whole(world)
    done = subprocess.run([sys.executable, "-c", KILLED, str(world.extensions), when], check=False)
    assert done.returncode == -9
    assert world.left()
    again = make_world()
    assert again.left() == []
    assert whole(again) == before
    assert again.desk.get("glow").state == "loaded"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The folder "published" over http, as a server without any knowledge of git."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "published"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_over_http_from_a_list(make_world: Make, origin: Origin, web: str) -> None:
    commit = origin.publish({"extension.py": EMPTY})
    git(origin.folder, "update-server-info")
    listed = {
        "tags": {"light": "of lamps"},
        "extensions": [{"name": "Glow", "url": f"{web}/glow/.git", "tags": ["light"]}, 3],
    }
    (origin.folder.parent / "index.json").write_text(json.dumps(listed))
    world = make_world()
    (row,) = world.manager.available(f"{web}/index.json")["extensions"]
    assert (row["name"], row["tags"], row["installed"]) == ("Glow", ["light"], "")
    assert world.do("install", url=row["url"], name="glow")["commit"] == commit
    (row,) = world.manager.available(str(origin.folder.parent / "index.json"))["extensions"]
    assert row["installed"] == "glow"
    newer = origin.publish({"extension.py": EMPTY + "#\n"})
    git(origin.folder, "update-server-info")
    assert world.do("update")["extensions"] == {"glow": f"updated to {newer[:8]}"}
    with pytest.raises(GitFailed) as failure:
        world.do("install", url=web.replace("://", "://me:secret@") + "/none.git")
    assert "secret" not in str(failure.value)


def test_copied_folders_are_states_too(make_world: Make, origin: Origin) -> None:
    world = make_world()
    (world.extensions / "own").mkdir()
    (world.extensions / "own" / "extension.py").write_text(EMPTY)
    commit = origin.publish({"extension.py": EMPTY})
    git(world.extensions, "clone", "-q", str(origin.folder), "cloned")
    world.do("uninstall", name="own")
    state = world.manager.states()[1]
    assert state["reason"] == "found on the disk"
    assert state["extensions"]["cloned"]["commit"] == commit
    world.do("uninstall", name="cloned")
    os.rename(origin.folder, origin.folder.with_name("moved"))
    world.do("roll_back", number=state["number"])
    assert sorted(each.name for each in world.desk.look()) == ["cloned", "own"]


def test_only_this_machine_installs(make_world: Make, origin: Origin) -> None:
    origin.publish({"extension.py": EMPTY})
    shut = make_world("--listen")
    with pytest.raises(Forbidden, match="--enable-insecure-extension-access"):
        shut.manager.allow()
    with pytest.raises(Forbidden):
        shut.manager.available(str(origin.folder))
    opened = make_world("--listen", "--enable-insecure-extension-access")
    opened.manager.allow()
    with pytest.raises(BadRequest, match="own user"):
        opened.do("install", url=str(origin.folder))
    make_world().manager.allow()
