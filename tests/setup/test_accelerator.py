"""Which GPU is seen, and which torch is asked for: facts in, decision out."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.setup.accelerator import CPU_GIGABYTES, KINDS, Facts, accelerator, choose, look, unfit, wish
from modules.setup.failure import SetupFailed
from modules.setup.requirements import Pin

PIN = Pin(name="torch", version="2.13.0")
CPU = Facts(system="Linux")


def nothing(command: str) -> None:
    return None


def see(root: Path, system: str = "Linux", commands: dict[str, bool] | None = None) -> Facts:
    """`look` at a made-up file system; commands: name -> does it find its GPU."""
    there = commands or {}
    return look(
        root,
        system,
        find=lambda name: name if name in there else None,
        answers=lambda command: there[command[0]],
    )


def card(root: Path, index: int, vendor: str, address: str) -> None:
    """A graphics card as sysfs shows it: class/drm/cardN/device is a link to the PCI device."""
    device = root / "sys/devices" / address
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    link = root / f"sys/class/drm/card{index}"
    link.mkdir(parents=True)
    (link / "device").symlink_to(device)


def test_a_bare_machine_has_no_gpu(tmp_path: Path) -> None:
    assert see(tmp_path) == Facts(system="Linux")


def test_nvidia_is_seen_by_its_driver_or_its_tool(tmp_path: Path) -> None:
    assert see(tmp_path, commands={"nvidia-smi": True}).nvidia
    assert not see(tmp_path, commands={"nvidia-smi": False}).nvidia
    driver = tmp_path / "proc/driver/nvidia/version"
    driver.parent.mkdir(parents=True)
    driver.write_text("NVRM")
    assert see(tmp_path, commands={"nvidia-smi": False}).nvidia


def test_amd_is_seen_by_its_driver_or_its_tool(tmp_path: Path) -> None:
    assert see(tmp_path, commands={"rocm-smi": True}).amd
    assert not see(tmp_path, commands={"rocm-smi": False}).amd
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").write_text("")
    assert see(tmp_path).amd


@pytest.mark.parametrize(
    ("vendor", "address", "seen"),
    [("0x8086", "0000:03:00.0", True), ("0x8086", "0000:00:02.0", False), ("0x10de", "0000:03:00.0", False)],
)
def test_intel_counts_only_as_a_card_of_its_own(tmp_path: Path, vendor: str, address: str, seen: bool) -> None:
    card(tmp_path, 0, vendor, address)
    assert see(tmp_path).intel is seen


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (CPU, "cpu"),
        (Facts(system="Linux", nvidia=True, amd=True, intel=True), "cuda"),
        (Facts(system="Linux", amd=True, intel=True), "rocm"),
        (Facts(system="Windows", intel=True), "xpu"),
        (Facts(system="Darwin"), "mps"),
    ],
)
def test_one_accelerator_is_chosen(facts: Facts, kind: str) -> None:
    assert accelerator(facts) is KINDS[kind]


@pytest.mark.parametrize("facts", [Facts(system="Linux", nvidia=True), Facts(system="Darwin"), Facts(system="Windows")])
def test_where_the_plain_build_is_right_it_is_taken_without_a_word(facts: Facts) -> None:
    source = choose(facts, PIN, {})
    assert (source.arguments, source.hint) == (("pip", "install", "torch==2.13.0"), "")


def test_a_build_made_for_the_machine_is_preferred_where_pip_finds_one() -> None:
    source = choose(CPU, PIN, {}, lambda requirement: requirement == "torch==2.13.0+cpu")
    assert (source.arguments[-1], source.hint, source.gigabytes) == ("torch==2.13.0+cpu", "", CPU_GIGABYTES)
    amd = choose(Facts(system="Linux", amd=True), PIN, {}, lambda requirement: requirement.endswith("+rocm6.4"))
    assert (amd.arguments[-1], amd.hint) == ("torch==2.13.0+rocm6.4", "")


@pytest.mark.parametrize(
    ("facts", "suffix"),
    [(CPU, "cpu"), (Facts(system="Linux", amd=True), "rocm"), (Facts(system="Linux", intel=True), "xpu")],
)
def test_else_the_plain_build_is_taken_with_one_line_on_what_to_set(facts: Facts, suffix: str) -> None:
    source = choose(facts, PIN, {})
    assert source.arguments[-1] == "torch==2.13.0"
    assert "TORCH_INDEX_URL" in source.hint
    assert suffix in source.hint
    assert "\n" not in source.hint


def test_torch_index_url_is_an_extra_index_and_ends_the_search() -> None:
    searched: list[str] = []

    def finds(requirement: str) -> bool:
        searched.append(requirement)
        return True

    source = choose(CPU, PIN, {"TORCH_INDEX_URL": "https://example.org/whl/cpu"}, finds)
    assert source.arguments == ("pip", "install", "torch==2.13.0", "--extra-index-url", "https://example.org/whl/cpu")
    assert (source.hint, source.gigabytes, searched) == ("", CPU_GIGABYTES, [])


def test_torch_command_replaces_the_command_and_settles_the_version() -> None:
    environ = {"TORCH_COMMAND": 'pip install "torch==2.12.1" --pre', "TORCH_INDEX_URL": "https://example.org"}
    source = choose(CPU, PIN, environ)
    assert source.arguments == ("pip", "install", "torch==2.12.1", "--pre")
    assert source.pin is None


def test_a_torch_command_with_open_quotes_is_named() -> None:
    with pytest.raises(SetupFailed, match="TORCH_COMMAND"):
        choose(CPU, PIN, {"TORCH_COMMAND": "pip install 'torch"})


def test_each_wish_has_its_own_name() -> None:
    wishes = [wish(e) for e in ({}, {"TORCH_INDEX_URL": "a"}, {"TORCH_INDEX_URL": "b"}, {"TORCH_COMMAND": "a"})]
    assert len(set(wishes)) == 4
    assert wishes[0] == ""


def test_a_torch_that_is_there_already_must_be_new_enough() -> None:
    assert unfit("2.11.0+rocm6.4") == ""
    assert unfit("2.14.1") == ""
    assert "2.9.1" in unfit("2.9.1+cu128")
    assert "not installed" in unfit(None)
