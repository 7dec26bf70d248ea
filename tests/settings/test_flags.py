"""The command line keeps A1111's names, defaults and meaning."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.settings import flag_kinds
from modules.settings.flags import NEW, ROOT, Flags, parse, with_environment

REFERENCE = ROOT.parent / "shared" / "reference"
WORD = st.text(st.characters(blacklist_characters=",:", blacklist_categories=["Z", "C"]), min_size=1, max_size=12)
SWITCHES = [f for f in dataclasses.fields(Flags) if f.default is False]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Parse words that are wrong -> the message."""
    with pytest.raises(SystemExit) as stopped:
        parse(words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_without_flags_everything_is_absent_or_the_default() -> None:
    flags = parse([])
    assert flags == Flags()
    assert flags.notes == ()
    assert (flags.host, flags.port, flags.serves_api) == ("127.0.0.1", None, False)


@pytest.mark.parametrize("field", SWITCHES, ids=lambda field: field.name)
def test_every_switch_sets_its_field_and_no_other(field: dataclasses.Field[bool]) -> None:
    flags = parse([flag_kinds.option(field)])
    assert getattr(flags, field.name) is True
    rest = {f.name for f in dataclasses.fields(Flags)} - {field.name, "notes"}
    assert all(getattr(flags, name) == getattr(Flags(), name) for name in rest)


@pytest.mark.parametrize("field", SWITCHES, ids=lambda field: field.name)
def test_a_flag_without_effect_says_so_in_one_line(field: dataclasses.Field[bool]) -> None:
    notes = parse([flag_kinds.option(field)]).notes
    if field.metadata[flag_kinds.NOTE]:
        assert len(notes) == 1
        assert notes[0].startswith(flag_kinds.option(field) + " ")
        assert "\n" not in notes[0]
    else:
        assert notes == ()


WORKING = """
listen port server_name share api nowebui api_auth gradio_auth gradio_auth_path ckpt ckpt_dir lora_dir
embeddings_dir hypernetwork_dir data_dir models_dir medvram medvram_sdxl lowvram no_half no_half_vae precision
use_cpu device_id
skip_install autolaunch theme cors_allow_origins cors_allow_origins_regex subpath ui_settings_file ui_config_file
styles_file freeze_settings freeze_settings_in_sections freeze_specific_settings loglevel tls_keyfile tls_certfile
gradio_allowed_path timeout_keep_alive no_hashing disable_all_extensions disable_extra_extensions max_batch_count
administrator filenames_max_length unix_filenames_sanitization bf16"""


@pytest.mark.parametrize("name", WORKING.split())
def test_the_flags_that_work_carry_no_note(name: str) -> None:
    field = next(f for f in dataclasses.fields(Flags) if f.name == name)
    assert field.metadata[flag_kinds.NOTE] == ""


def test_values_get_their_types(tmp_path: Path) -> None:
    words = "--port 7861 --use-cpu All VAE --precision half --device-id 1 --loglevel debug --timeout-keep-alive=5"
    flags = parse([*words.split(), "--styles-file", "a.csv", "--styles-file", "b.csv", "--ckpt-dir", str(tmp_path)])
    assert (flags.port, flags.use_cpu, flags.precision, flags.device_id) == (7861, ("all", "vae"), "half", "1")
    assert (flags.loglevel, flags.timeout_keep_alive, flags.ckpt_dir) == ("DEBUG", 5, str(tmp_path))
    assert flags.styles_file == (os.path.abspath("a.csv"), os.path.abspath("b.csv"))


def test_paths_are_absolute_and_know_the_home_folder() -> None:
    flags = parse(["--data-dir", "~/easel", "--models-dir", "models/../big"])
    assert flags.data_dir == os.path.join(os.path.expanduser("~"), "easel")
    assert flags.models_dir == os.path.join(os.getcwd(), "big")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--medvrm"], "--medvram"),
        (["--ckptdir", "x"], "--ckpt-dir"),
        (["--med"], "unknown flag --med"),  # no abbreviations
        (["--no-such-thing-at-all=3"], "unknown flag --no-such-thing-at-all."),
        (["model.safetensors"], "model.safetensors"),
        (["--port", "http"], "--port"),
        (["--port", "0"], "1 to 65535"),
        (["--port", "70000"], "1 to 65535"),
        (["--max-batch-count", "0"], "--max-batch-count"),
        (["--precision", "double"], "--precision"),
        (["--loglevel", "loud"], "--loglevel"),
        (["--ckpt-dir", ""], "--ckpt-dir"),
        (["--ckpt-dir"], "--ckpt-dir"),
        (["--tls-keyfile", "key.pem"], "--tls-certfile"),
        (["--ngrok-options", "[1]"], "--ngrok-options"),
    ],
)
def test_what_is_wrong_is_named(capsys: pytest.CaptureFixture[str], words: list[str], named: str) -> None:
    assert named in refused(capsys, *words)


@given(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=4))
def test_logins_come_back_as_written(pairs: list[tuple[str, str]]) -> None:
    written = ",".join(f"{user}:{password}" for user, password in pairs)
    assert parse([f"--api-auth={written}"]).api_users == tuple(pairs)
    assert parse([f"--gradio-auth={written}"]).page_users == tuple(pairs)


def test_a_password_may_hold_colons_and_logins_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "logins"
    path.write_text("b:2,c:3\n\nd:4\n")
    flags = parse(["--gradio-auth", "a:1:2", "--gradio-auth-path", str(path)])
    assert flags.page_users == (("a", "1:2"), ("b", "2"), ("c", "3"), ("d", "4"))
    assert flags.api_users == ()


@pytest.mark.parametrize("written", ["secret", "user:", ":secret", "a:b,secret", "", " , "])
@pytest.mark.parametrize("flag", ["--api-auth", "--gradio-auth"])
def test_a_malformed_login_is_refused_without_printing_it(
    capsys: pytest.CaptureFixture[str], flag: str, written: str
) -> None:
    told = refused(capsys, flag, written)
    assert flag in told
    assert "secret" not in told


@pytest.mark.parametrize("content", [None, "", "\n", "secret"])
def test_a_login_file_that_protects_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "logins"
    if content is not None:
        path.write_text(content)
    told = refused(capsys, "--gradio-auth-path", str(path))
    assert "--gradio-auth-path" in told
    assert "secret" not in told


def test_secrets_are_in_no_repr_and_in_no_answer() -> None:
    flags = parse(["--api-auth", "a:s3cret", "--gradio-auth", "b:s3cret", "--ngrok", "s3cret"])
    assert "s3cret" not in repr(flags)
    assert "s3cret" not in json.dumps(flags.as_cmd_flags())


@pytest.mark.parametrize(
    ("words", "host"),
    [([], "127.0.0.1"), (["--listen"], "0.0.0.0"), (["--listen", "--server-name", "10.0.0.5"], "10.0.0.5")],
)
def test_other_machines_are_answered_only_when_asked_for(words: list[str], host: str) -> None:
    assert parse(words).host == host


def test_either_api_flag_serves_the_api() -> None:
    assert parse(["--api"]).serves_api
    assert parse(["--nowebui"]).serves_api


def test_frozen_settings_are_lists() -> None:
    words = ["--freeze-settings-in-sections", "saving-images, ui,", "--freeze-specific-settings", "samples_format"]
    flags = parse(words)
    assert flags.frozen_sections == ("saving-images", "ui")
    assert flags.frozen_settings == ("samples_format",)


def test_the_environments_arguments_follow_those_of_the_command_line() -> None:
    words = with_environment(["--port", "1"], {"COMMANDLINE_ARGS": "--api --ckpt 'a b.safetensors'"})
    assert words == ["--port", "1", "--api", "--ckpt", "a b.safetensors"]
    assert with_environment(["--api"], {}) == ["--api"]


def test_open_quotes_in_the_environment_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        with_environment([], {"COMMANDLINE_ARGS": "--ckpt 'a"})
    assert stopped.value.code == 2
    assert "COMMANDLINE_ARGS" in capsys.readouterr().err


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert all(flag_kinds.option(field) in told for field in dataclasses.fields(Flags) if field.metadata)


def test_the_answer_names_defaults_as_a1111_does(tmp_path: Path) -> None:
    answer = parse(["--data-dir", str(tmp_path), "--gradio-allowed-path", "/pictures", "--port", "7871"]).as_cmd_flags()
    assert answer["data_dir"] == str(tmp_path)
    assert answer["lora_dir"] == str(tmp_path / "models" / "Lora")
    assert answer["styles_file"] == [str(tmp_path / "styles.csv")]
    assert answer["gradio_allowed_path"] == [str(tmp_path), os.path.abspath("/pictures")]
    assert (answer["port"], answer["max_batch_count"], answer["ckpt_dir"]) == ("7871", 16, None)


def test_the_answer_has_a1111s_keys_only() -> None:
    answer = parse([]).as_cmd_flags()
    assert set(NEW).isdisjoint(answer)
    assert len(answer) == 126


@pytest.mark.reference
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference answers are not beside this checkout")
def test_the_answer_has_the_references_keys_types_and_defaults() -> None:
    answer = parse([]).as_cmd_flags()
    assert set(answer) == set(json.loads((REFERENCE / "get" / "cmd-flags.json").read_text()))
    schema = json.loads((REFERENCE / "sdapi-openapi.json").read_text())["components"]["schemas"]["Flags"]["properties"]
    types = {"boolean": bool, "string": str, "integer": int, "array": list, "object": dict}
    for key, described in schema.items():
        assert answer[key] is None or type(answer[key]) is types[described["type"]], key
        if described["type"] in ("boolean", "integer"):
            assert answer[key] == described["default"], key
