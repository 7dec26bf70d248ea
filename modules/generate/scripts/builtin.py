"""The scripts that come with Easel: A1111's, in its order."""

from __future__ import annotations

from modules.generate.scripts import (
    always_on,
    custom_code,
    img2img_alternative,
    loopback,
    outpainting_mk2,
    poor_mans_outpainting,
    prompt_matrix,
    prompts_from_file,
    sd_upscale,
    xyz_plot,
)
from modules.generate.scripts.axes import Axes
from modules.generate.scripts.axis_rows import builtin as builtin_axes
from modules.generate.scripts.registry import Scripts


def scripts(axes: Axes | None = None, *, allow_code: bool = False) -> Scripts:
    """A table of its own. axes: what X/Y/Z plots can vary; allow_code: the flag --allow-code."""
    table = Scripts()
    for script in (
        custom_code.script(allowed=allow_code),
        img2img_alternative.script(),
        loopback.script(),
        outpainting_mk2.script(),
        poor_mans_outpainting.script(),
        prompt_matrix.script(),
        prompts_from_file.script(),
        sd_upscale.script(),
        xyz_plot.script(axes or builtin_axes()),
    ):
        table.add(script)
    for each in always_on.builtin():
        table.add_always_on(each)
    return table
