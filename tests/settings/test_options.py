"""Laws: what is set comes back, also after a restart; a failing set changes nothing; an overlay changes nobody else's
values; nothing in the file is lost; threads lose no change of each other."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.settings.builtin import registry as builtin_registry
from modules.settings.options import INT_LIMIT, Option, Options, Registry, Snapshot, frozen_keys

REGISTRY = builtin_registry(samplers=["Euler", "Euler a"])
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)


def numbers(option: Option) -> st.SearchStrategy[Any]:
    low, high = option.minimum, option.maximum
    if option.kind == "int":
        return st.integers(-INT_LIMIT if low is None else int(low), INT_LIMIT if high is None else int(high))
    return st.floats(-1e300 if low is None else low, high if high is not None else 1e300, allow_nan=False).map(
        lambda x: x + 0.0
    )


def values_of(option: Option) -> st.SearchStrategy[Any]:
    """Values that the option takes, in its own type."""
    if option.kind in ("int", "float"):
        return numbers(option)
    names = TEXTS if option.choices is None else st.sampled_from([*option.choices, *option.also] or [""])
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "text": TEXTS,
        "choice": names,
        "choices": st.lists(names, unique=True, max_size=4),
        "color": st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
        "html": st.just(option.default),
    }
    return kinds[option.kind]


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    keys = draw(st.lists(st.sampled_from(list(REGISTRY)), unique=True, max_size=8))
    return {key: draw(values_of(REGISTRY[key])) for key in keys}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def fresh(tmp_path: Path, **more: Any) -> Options:
    path = tmp_path / "config.json"
    path.unlink(missing_ok=True)
    return Options(REGISTRY, path, **more)


class TestLaws:
    @QUICK
    @given(changes())
    def test_what_is_set_comes_back_also_after_a_restart(self, tmp_path: Path, wanted: dict[str, Any]) -> None:
        options = fresh(tmp_path)
        before = dict(options.snapshot())
        changed = options.set(wanted)
        after = options.snapshot()
        assert {key: after[key] for key in wanted} == wanted
        assert set(changed) == {key for key in before if before[key] != after[key]}
        assert dict(Options(REGISTRY, options.path).snapshot()) == dict(after)

    @QUICK
    @given(changes(), st.sampled_from(list(REGISTRY)), JSON)
    def test_any_value_is_either_taken_whole_or_refused_without_a_trace(
        self, tmp_path: Path, wanted: dict[str, Any], key: str, value: Any
    ) -> None:
        options = fresh(tmp_path)
        options.set({"jpeg_quality": 33, "font": "kept"})
        before, file = options.snapshot(), options.path.read_bytes()
        refused = None
        try:
            options.set({**wanted, key: value})
        except BadRequest as error:
            refused = error
        if refused is not None:
            assert (refused.field, key in str(refused)) == (key, True)
            assert options.snapshot() is before
            assert options.path.read_bytes() == file
            return
        taken = options.snapshot()[key]
        assert REGISTRY.check(key, taken) == taken
        assert dict(Options(REGISTRY, options.path).snapshot()) == dict(options.snapshot())

    @QUICK
    @given(changes(), changes())
    def test_an_overlay_never_changes_its_base(self, base: dict[str, Any], over: dict[str, Any]) -> None:
        snapshot = Snapshot(REGISTRY).overlay(base)
        copy = dict(snapshot)
        top = snapshot.overlay(over)
        assert dict(snapshot) == copy
        assert dict(top) == copy | over

    @QUICK
    @given(changes())
    def test_changed_says_all_that_is_not_default_and_goes_through_json(self, wanted: dict[str, Any]) -> None:
        snapshot = Snapshot(REGISTRY).overlay(wanted)
        stored = json.loads(json.dumps(snapshot.changed()))
        assert Snapshot(REGISTRY).overlay(stored) == snapshot
        assert all(REGISTRY[key].default != value for key, value in snapshot.changed().items())

    def test_twenty_threads_that_set_different_keys_lose_none(self, tmp_path: Path) -> None:
        options = fresh(tmp_path)
        keys = [option.key for option in REGISTRY.options() if option.kind == "bool"][:20]
        wanted = {key: not REGISTRY[key].default for key in keys}
        start = threading.Barrier(len(keys))

        def change(key: str) -> None:
            start.wait()
            options.set({key: wanted[key]})

        threads = [threading.Thread(target=change, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert options.snapshot().changed() == wanted
        assert Options(REGISTRY, options.path).snapshot().changed() == wanted


class TestCheck:
    @pytest.mark.parametrize(
        ("key", "given", "taken"),
        [
            ("jpeg_quality", 80.0, 80),
            ("jpeg_quality", "95", 95),
            ("CLIP_stop_at_last_layers", " 2 ", 2),
            ("eta_ancestral", 1, 1.0),
            ("eta_ancestral", "0.5", 0.5),
            ("samples_save", "False", False),
            ("samples_save", 1, True),
            ("randn_source", "cpu", "CPU"),
            ("show_progress_type", "Approx NN", "Approx NN"),
            ("hide_samplers", ["euler A", "euler A", "UniPC"], ["Euler a", "UniPC"]),
            ("grid_background_color", "#FA0", "#ffaa00"),
            ("grid_background_color", "rgba(255, 136.4, 0, 1)", "#ff8800"),
            ("sd_model_checkpoint", None, None),
        ],
    )
    def test_spellings_of_a_value(self, key: str, given: Any, taken: Any) -> None:
        result = REGISTRY.check(key, given)
        assert result == taken
        assert type(result) is type(taken)

    @pytest.mark.parametrize(
        ("key", "value", "word"),
        [
            ("jpeg_quality", "high", "number"),
            ("jpeg_quality", True, "number"),
            ("jpeg_quality", 80.5, "whole"),
            ("jpeg_quality", 0, "at least 1"),
            ("jpeg_quality", 101, "at most 100"),
            ("jpeg_quality", None, "number"),
            ("jpeg_quality", "9" * 5000, "number"),
            ("ldsr_steps", 10**400, "too large"),
            ("eta_ancestral", float("nan"), "finite"),
            ("rho", float("inf"), "finite"),
            ("rho", 10**400, "too large"),
            ("samples_save", "maybe", "true or false"),
            ("samples_save", [], "true or false"),
            ("outdir_samples", 5, "text"),
            ("outdir_samples", "a\0b", "NUL"),
            ("outdir_samples", "\ud800", "surrogate"),
            ("randn_source", "XPU", "CPU"),
            ("hide_samplers", "Euler", "list"),
            ("grid_background_color", "reddish", "colour"),
        ],
    )
    def test_wrong_values_are_refused_with_the_field_and_a_reason(self, key: str, value: Any, word: str) -> None:
        with pytest.raises(BadRequest, match=word) as caught:
            REGISTRY.check(key, value, field=f"override_settings.{key}")
        assert caught.value.field == f"override_settings.{key}"
        assert len(str(caught.value)) < 300

    def test_an_unknown_key_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(NotFound, match='"jpeg_quality"') as caught:
            Snapshot(REGISTRY).overlay({"jpg_quality": 5})
        assert caught.value.field == "override_settings.jpg_quality"

    def test_a_default_that_its_own_option_would_refuse_is_a_mistake_in_the_table(self) -> None:
        with pytest.raises(ValueError, match="default"):
            Option(key="x", default="1", kind="int")

    def test_two_options_cannot_have_one_key(self) -> None:
        registry = Registry()
        registry.add(Option(key="x", default=""))
        with pytest.raises(ValueError, match="exists"):
            registry.add(Option(key="x", default="other"))


class TestSnapshot:
    def test_lists_in_it_cannot_be_changed_from_outside(self) -> None:
        snapshot = Snapshot(REGISTRY)
        snapshot["quicksettings_list"].append("sd_vae")
        assert snapshot["quicksettings_list"] == ["sd_model_checkpoint"]

    def test_it_is_a_mapping_over_all_options(self) -> None:
        snapshot = Snapshot(REGISTRY)
        assert len(snapshot) == len(REGISTRY) == len(dict(snapshot))
        assert "no_such" not in snapshot
        assert snapshot.get("no_such", 7) == 7

    def test_one_taken_earlier_stays_as_it_was(self, tmp_path: Path) -> None:
        options = fresh(tmp_path)
        earlier = options.snapshot()
        options.set({"jpeg_quality": 11})
        assert (earlier["jpeg_quality"], options.snapshot()["jpeg_quality"]) == (80, 11)


class TestFile:
    def test_unknown_keys_and_values_that_are_not_understood_stay_in_it(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"from_an_extension": {"a": [1]}, "jpeg_quality": "high", "n_rows": 3}))
        options = Options(REGISTRY, path)
        assert (options.snapshot()["jpeg_quality"], options.snapshot()["n_rows"]) == (80, 3)
        options.set({"n_rows": 4})
        stored = json.loads(path.read_text())
        assert stored == {"from_an_extension": {"a": [1]}, "jpeg_quality": "high", "n_rows": 4}

    def test_an_option_that_an_extension_adds_later_finds_its_value(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text('{"late": 5}')
        registry = Registry()
        options = Options(registry, path)
        assert dict(options.snapshot()) == {}
        registry.add(Option(key="late", default=1, kind="int"))
        assert options.snapshot()["late"] == 5

    @pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe{", b'{"a": 1}{', b"[" * 100_000])
    def test_a_damaged_one_is_moved_aside_and_kept(
        self, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "config.json"
        path.with_name("config.json.broken-1").write_bytes(b"an earlier one")
        path.write_bytes(damage)
        with caplog.at_level(logging.ERROR):
            options = Options(REGISTRY, path)
        assert options.snapshot().changed() == {}
        assert path.with_name("config.json.broken-2").read_bytes() == damage
        assert path.with_name("config.json.broken-1").read_bytes() == b"an earlier one"
        assert "config.json.broken-2" in caplog.text
        options.set({"n_rows": 2})
        assert json.loads(path.read_text()) == {"n_rows": 2}

    def test_when_it_cannot_be_written_nothing_changes(self, tmp_path: Path) -> None:
        options = Options(REGISTRY, tmp_path / "no such folder" / "config.json")
        told: list[list[str]] = []
        options.on_change(told.append)
        with pytest.raises(EaselError, match=r"config\.json"):
            options.set({"jpeg_quality": 5})
        assert options.snapshot()["jpeg_quality"] == 80
        assert told == []

    def test_nothing_new_writes_nothing(self, tmp_path: Path) -> None:
        options = fresh(tmp_path)
        assert options.set({}) == []
        assert not options.path.exists()


class TestListeners:
    def test_they_hear_of_changes_only_and_can_leave(self, tmp_path: Path) -> None:
        options = fresh(tmp_path)
        told: list[list[str]] = []
        leave = options.on_change(told.append)
        options.set({"jpeg_quality": 80, "n_rows": 2})
        options.set({"n_rows": 2})
        leave()
        options.set({"n_rows": 3})
        assert told == [["n_rows"]]

    def test_one_that_fails_is_logged_and_the_others_still_hear(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = fresh(tmp_path)
        told: list[list[str]] = []

        def fail(changed: list[str]) -> None:
            raise RuntimeError("a listener's own fault")

        options.on_change(fail)
        options.on_change(told.append)
        assert options.set({"n_rows": 2}) == ["n_rows"]
        assert told == [["n_rows"]]
        assert "a listener's own fault" in caplog.text

    def test_one_may_read_and_set(self, tmp_path: Path) -> None:
        options = fresh(tmp_path)

        def follow(changed: list[str]) -> None:
            if "n_rows" in changed:
                options.set({"font": str(options.snapshot()["n_rows"])})

        options.on_change(follow)
        options.set({"n_rows": 5})
        assert options.snapshot()["font"] == "5"


class TestFrozen:
    def test_a_frozen_one_can_be_said_again_but_not_changed(self, tmp_path: Path) -> None:
        options = fresh(tmp_path, frozen=frozen_keys(REGISTRY, keys=["n_rows"]))
        assert options.set({"n_rows": -1, "jpeg_quality": 70}) == ["jpeg_quality"]
        with pytest.raises(BadRequest, match="frozen") as caught:
            options.set({"n_rows": 2, "jpeg_quality": 60})
        assert caught.value.field == "n_rows"
        assert options.snapshot()["jpeg_quality"] == 70

    def test_which_ones_the_flags_freeze(self) -> None:
        assert frozen_keys(REGISTRY, everything=True) == frozenset(REGISTRY)
        frozen = frozen_keys(REGISTRY, sections=["saving-to-dirs"], keys=["n_rows"])
        assert {"n_rows", "save_to_dirs", "directories_filename_pattern"} <= frozen
        assert "jpeg_quality" not in frozen
        assert frozen_keys(REGISTRY) == frozenset()

    @pytest.mark.parametrize("wrong", [{"sections": ["saving-too-dirs"]}, {"keys": ["n_row"]}])
    def test_a_name_that_does_not_exist_is_an_error(self, wrong: dict[str, list[str]]) -> None:
        with pytest.raises(NotFound, match="Did you mean"):
            frozen_keys(REGISTRY, **wrong)


def test_without_some_options_a_snapshot_has_their_defaults() -> None:
    snapshot = Snapshot(REGISTRY).overlay({"jpeg_quality": 70, "samples_format": "webp"})
    without = snapshot.without({"jpeg_quality", "unknown"})
    assert (without["jpeg_quality"], without["samples_format"]) == (REGISTRY["jpeg_quality"].default, "webp")
    assert snapshot["jpeg_quality"] == 70
