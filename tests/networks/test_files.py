"""Laws of network files: found by name, alias and path, in any case; hashed as A1111 hashes; pickles run no code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.core.errors import DamagedFile
from modules.core.store import Store
from modules.loading.pickles import unpickled
from modules.networks.files import Digests, Files, tensors
from tests.networks import made
from tests.studio import NETWORKS

ENDINGS = (".safetensors", ".pt")


def test_names_aliases_and_paths(tmp_path: Path) -> None:
    made.lora(tmp_path / "sub", "File", metadata={"ss_output_name": "alias"})
    files = Files([tmp_path], ENDINGS)
    (file,) = files.all()
    for name in ("File", "file", "alias", "ALIAS", "sub/File", "sub/file"):
        assert files.find(name) == file
    assert files.find("other") is None


def test_an_alias_of_two_files_is_nobodys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made.lora(tmp_path, name, metadata={"ss_output_name": "alias"})
    files = Files([tmp_path], ENDINGS)
    assert files.find("alias") is None
    assert {file.name for file in files.all()} == {"one", "two"}


def test_a_new_file_is_found_without_being_told(tmp_path: Path) -> None:
    files = Files([tmp_path], ENDINGS)
    assert files.find("new") is None
    made.lora(tmp_path, "new")
    assert files.find("new") is not None


def test_absent_folders_and_loops_of_links_do_no_harm(tmp_path: Path) -> None:
    made.lora(tmp_path / "a", "x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "dangling.pt").symlink_to(tmp_path / "nowhere")
    assert [file.name for file in Files([tmp_path / "absent", tmp_path], ENDINGS).all()] == ["x"]


def test_the_hash_of_a_lora_ignores_its_header(tmp_path: Path) -> None:
    digests = Digests(Store(tmp_path / "test.sqlite"))
    made.lora(tmp_path, "plain")
    made.lora(tmp_path, "told", metadata={"ss_note": "x"})
    made.lora(tmp_path, "given", metadata={"sshs_model_hash": "abc"})
    given, plain, told = Files([tmp_path], ENDINGS).all()
    assert digests.content(plain) == digests.content(told) == digests.content(plain)
    assert digests.whole(plain) != digests.whole(told)
    assert digests.content(given) == "abc"


@pytest.mark.skipif(not (NETWORKS / "Lora").is_dir(), reason="the reference's LoRA files are absent")
def test_hashes_are_a1111s(tmp_path: Path) -> None:
    file = Files([NETWORKS / "Lora"], ENDINGS).find("tiny-lora")
    assert file is not None
    assert Digests(Store(tmp_path / "test.sqlite")).content(file).startswith("c47549552ebd")


def test_pickles_are_plain_data_or_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2), "b": "text"}}, tmp_path / "good.pt")
    assert list(tensors(tmp_path / "good.pt")) == ["a"]
    torch.save({"a": pytest.fail}, tmp_path / "code.pt")
    with pytest.raises(DamagedFile, match=r"code\.pt"):
        unpickled(tmp_path / "code.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(DamagedFile, match=r"list\.pt"):
        tensors(tmp_path / "list.pt")


def test_a_file_is_called_by_its_alias_or_its_name(tmp_path: Path) -> None:
    from modules.networks.files import ALIAS, version

    for name, alias in (("a", "Style"), ("b", "twice"), ("c", "twice"), ("d", "None")):
        made.lora(tmp_path, name, metadata={"ss_output_name": alias})
    files = Files([tmp_path], (".safetensors",))
    found = {file.name: file for file in files.all()}
    assert [files.called(found[name], ALIAS) for name in "abcd"] == ["Style", "b", "c", "d"]
    assert files.called(found["a"], "Filename") == "a"
    for name in "abc":
        assert files.find(files.called(found[name], ALIAS)) == found[name]
    assert version(found["a"]) == "SD1"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"), ({"ss_v2": "True"}, "SD2"), (None, "Unknown")],
)
def test_the_family_that_a_trainer_noted(tmp_path: Path, metadata: dict[str, str] | None, expected: str) -> None:
    from modules.networks.files import version

    made.lora(tmp_path, "a", metadata=metadata)
    assert version(Files([tmp_path], (".safetensors",)).all()[0]) == expected
