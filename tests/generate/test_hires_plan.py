"""Laws of the second pass's plan: the promised size comes out, whatever goes in; wrong input is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import BadRequest, NotFound
from modules.generate import hires_plan
from modules.generate.hires_plan import FACTOR, Target
from modules.generate.request import Txt2Img
from modules.imaging.upscale import LATENT_MODES
from modules.loading.upscale.catalog import BUILT_IN, Upscaler
from modules.settings.builtin import registry
from modules.settings.options import Snapshot

OPTIONS = Snapshot(registry())
SIDES = st.integers(8, 256).map(lambda cells: cells * 8)


class Pictures:
    """Upscalers without files."""

    def find(self, name: str, *, field: str = "upscaler") -> Upscaler:
        for row in BUILT_IN:
            if row.name.casefold() == name.casefold():
                return row
        raise NotFound("Upscaler", name, self.names(), field=field, hint="Put the file there.")

    def names(self) -> list[str]:
        return [row.name for row in BUILT_IN]


class TestTarget:
    @given(width=SIDES, height=SIDES, x=SIDES, y=SIDES)
    def test_a_size_that_is_asked_for_comes_out(self, width: int, height: int, x: int, y: int) -> None:
        try:
            found = hires_plan.target(width, height, scale=2.0, resize=(x, y))
        except BadRequest:  # of proportions so far away that the whole would be gigantic
            assert max(x * height // width, y * width // height) > hires_plan.LONGEST_SIDE
            return
        assert found.size == (x, y)
        assert min(found.cut) == 0 <= max(found.cut)

    @given(width=SIDES, height=SIDES, scale=st.floats(1, 4))
    def test_a_factor_keeps_the_proportions(self, width: int, height: int, scale: float) -> None:
        found = hires_plan.target(width, height, scale=scale, resize=(0, 0))
        assert found.cut == (0, 0)
        for side, before in zip(found.size, (width, height), strict=True):
            assert before * scale - FACTOR < side <= before * scale

    @given(width=SIDES, height=SIDES, side=SIDES)
    def test_one_side_gives_the_other(self, width: int, height: int, side: int) -> None:
        for resize, ratio in (((side, 0), height / width), ((0, side), width / height)):
            if FACTOR <= int(side * ratio) <= hires_plan.LONGEST_SIDE:
                found = hires_plan.target(width, height, scale=0.0, resize=resize)
                assert side in found.size
                assert found.cut == (0, 0)
                assert abs(sum(found.scaled) - side - side * ratio) < 1

    @pytest.mark.parametrize(
        ("first", "scale", "resize", "scaled", "cut"),
        [
            ((64, 64), 2.0, (0, 0), (128, 128), (0, 0)),
            ((64, 64), 1.3, (0, 0), (83, 83), (0, 0)),
            ((128, 64), 0.0, (192, 0), (192, 96), (0, 0)),
            ((128, 64), 0.0, (0, 96), (192, 96), (0, 0)),
            ((512, 512), 2.0, (768, 1024), (1024, 1024), (32, 0)),
            ((512, 768), 2.0, (1024, 1024), (1024, 1536), (0, 64)),
        ],
    )
    def test_examples(
        self,
        first: tuple[int, int],
        scale: float,
        resize: tuple[int, int],
        scaled: tuple[int, int],
        cut: tuple[int, int],
    ) -> None:
        assert hires_plan.target(*first, scale=scale, resize=resize) == Target(scaled=scaled, cut=cut)

    @pytest.mark.parametrize(
        ("scale", "resize", "field"),
        [
            (0.05, (0, 0), "hr_scale"),
            (1000.0, (0, 0), "hr_scale"),
            (2.0, (4, 0), "hr_resize_x"),
            (2.0, (0, 5), "hr_resize_y"),
        ],
    )
    def test_what_is_too_small_or_too_large_is_named(self, scale: float, resize: tuple[int, int], field: str) -> None:
        with pytest.raises(BadRequest, match="8 to 16384") as raised:
            hires_plan.target(64, 64, scale=scale, resize=resize)
        assert raised.value.field == field


class TestFirstPass:
    def test_its_own_size_takes_the_place_of_width_and_height(self) -> None:
        request = Txt2Img(width=128, height=128, firstphase_width=64, firstphase_height=72)
        found = hires_plan.sized(request, OPTIONS)
        assert (found.width, found.height, found.hr_resize_x) == (64, 72, 0)

    def test_one_side_alone_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="belong together"):
            hires_plan.sized(Txt2Img(firstphase_width=64), OPTIONS)

    def test_the_old_way_makes_width_and_height_the_final_size(self) -> None:
        old = OPTIONS.overlay({"use_old_hires_fix_width_height": True})
        found = hires_plan.sized(Txt2Img(enable_hr=True, width=1024, height=1536), old)
        assert (found.width, found.height) == (448, 640)
        assert (found.hr_resize_x, found.hr_resize_y) == (1024, 1536)
        assert (
            hires_plan.sized(Txt2Img(width=1024, height=1536), old).width == 1024
        )  # without hires fix it means nothing


class TestUpscaler:
    @pytest.mark.parametrize("name", [*LATENT_MODES, "Lanczos", "None"])
    def test_names_are_found_in_any_case(self, name: str) -> None:
        assert hires_plan.upscaler(name.upper(), Pictures()) == name

    def test_without_a_name_latents_are_stretched(self) -> None:
        assert hires_plan.upscaler(None, Pictures()) == "Latent"

    def test_an_unknown_one_is_named_with_the_nearest_and_the_way_out(self) -> None:
        with pytest.raises(NotFound, match=r'Did you mean "Latent \(bicubic\)".* Put the file there') as raised:
            hires_plan.upscaler("Latent (bicubik)", Pictures())
        assert raised.value.field == "hr_upscaler"


@pytest.mark.parametrize(
    ("field", "value"),
    [("denoising_strength", 1.5), ("hr_second_pass_steps", -1), ("hr_resize_x", -8), ("hr_scale", float("nan"))],
)
def test_wrong_numbers_are_named(field: str, value: float) -> None:
    with pytest.raises(BadRequest) as raised:
        hires_plan.check(Txt2Img(enable_hr=True, **{field: value}))
    assert raised.value.field == field


@pytest.mark.parametrize("name", ["Use same sampler", "use same SCHEDULER", "", None])
def test_the_same_as_before_is_no_other(name: str | None) -> None:
    assert hires_plan.other(name) is None
