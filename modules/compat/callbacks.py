"""`script_callbacks`: what A1111's extensions are called back for, all of A1111 1.10.

`pipeline` calls those of a job, `page` those of the page, `loader` those of loading. A failing callback is reported
with the file it stands in, and the others still run.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from modules.compat import room as rooms

log = logging.getLogger(__name__)


class ImageSaveParams:
    """A picture about to be saved, or saved: p, its file's name, pnginfo with the infotext under "parameters"."""

    def __init__(self, image: Any, p: Any, filename: str, pnginfo: dict[str, Any]) -> None:
        self.image, self.p, self.filename, self.pnginfo = image, p, filename, pnginfo


class ExtraNoiseParams:
    """Noise that is added to a given picture's latents; xi = x with noise."""

    def __init__(self, noise: Any, x: Any, xi: Any) -> None:
        self.noise, self.x, self.xi = noise, x, xi


class CFGDenoiserParams:
    """The model is about to be asked: rows are those of the prompts, then those of the negative prompts."""

    def __init__(
        self,
        x: Any,
        image_cond: Any,
        sigma: Any,
        sampling_step: int,
        total_sampling_steps: int,
        text_cond: Any,
        text_uncond: Any,
        denoiser: Any = None,
    ) -> None:
        self.x, self.image_cond, self.sigma = x, image_cond, sigma
        self.sampling_step, self.total_sampling_steps = sampling_step, total_sampling_steps
        self.text_cond, self.text_uncond, self.denoiser = text_cond, text_uncond, denoiser


class CFGDenoisedParams:
    """The model answered; rows as in CFGDenoiserParams."""

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int, inner_model: Any) -> None:
        self.x, self.sampling_step = x, sampling_step
        self.total_sampling_steps, self.inner_model = total_sampling_steps, inner_model


class AfterCFGCallbackParams:
    """The guided guess; output_altered is A1111's mark of old."""

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int) -> None:
        self.x, self.sampling_step, self.total_sampling_steps = x, sampling_step, total_sampling_steps


class UiTrainTabParams:
    def __init__(self, txt2img_preview_params: Any) -> None:
        self.txt2img_preview_params = txt2img_preview_params


class ImageGridLoopParams:
    def __init__(self, imgs: Any, cols: int, rows: int) -> None:
        self.imgs, self.cols, self.rows = imgs, cols, rows


class BeforeTokenCounterParams:
    def __init__(self, prompt: str, steps: int, styles: list[str], is_positive: bool = True) -> None:
        self.prompt, self.steps, self.styles, self.is_positive = prompt, steps, styles, is_positive


@dataclasses.dataclass
class ScriptCallback:
    """A callback and where it came from."""

    script: str
    callback: Callable[..., Any]
    name: str = "unnamed"


class Callbacks:
    """All of them: kind -> callbacks in the order of registration. Names are A1111's, without "on_"."""

    def __init__(self) -> None:
        self._all: dict[str, list[ScriptCallback]] = {}

    def __contains__(self, kind: str) -> bool:
        return bool(self._all.get(kind))

    def add(self, kind: str, callback: Callable[..., Any], name: str | None) -> None:
        self._all.setdefault(kind, []).append(ScriptCallback(_caller(), callback, name or "unnamed"))

    def of(self, kind: str) -> list[ScriptCallback]:
        late_first = kind in _LATE_FIRST
        found = list(self._all.get(kind, ()))
        return found[::-1] if late_first else found

    def call(self, kind: str, *arguments: Any, **named: Any) -> list[Any]:
        """What each gave back; None from one that failed."""
        return [self.one(kind, each, *arguments, **named) for each in self.of(kind)]

    def one(self, kind: str, each: ScriptCallback, *arguments: Any, **named: Any) -> Any:
        from modules.core.errors import Interrupted

        try:
            return each.callback(*arguments, **named)
        except Interrupted:
            raise
        except Exception:
            log.exception("%s: its callback on_%s failed.", each.script, kind)
            rooms.current().failed(each.script, f"on_{kind}")
            return None

    def drop(self, wanted: Callable[[ScriptCallback], bool]) -> None:
        """Forget those."""
        self._all = {kind: [each for each in every if not wanted(each)] for kind, every in self._all.items()}


_LATE_FIRST = frozenset({"script_unloaded", "before_reload"})


def _caller() -> str:
    """The file that registers: the first frame above this one and `script_callbacks`."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        following = frame.f_back
        if following is None:
            break
        frame = following
    return frame.f_code.co_filename


def _registrar(kind: str) -> Callable[..., None]:
    def register(callback: Callable[..., Any], *, name: str | None = None) -> None:
        if not callable(callback):
            raise TypeError(f"on_{kind} wants a function, not {type(callback).__name__}.")
        rooms.current().callbacks.add(kind, callback, name)

    register.__name__ = register.__qualname__ = f"on_{kind}"
    register.__doc__ = f"Be called back: on_{kind}."
    return register


KINDS = (
    *("app_started", "before_reload", "model_loaded", "ui_tabs", "ui_train_tabs", "ui_settings"),
    *("before_image_saved", "image_saved", "extra_noise", "cfg_denoiser", "cfg_denoised", "cfg_after_cfg"),
    *("before_component", "after_component", "image_grid", "infotext_pasted", "script_unloaded", "before_ui"),
    *("list_optimizers", "list_unets", "before_token_counter"),
)

on_app_started = _registrar("app_started")
on_before_reload = _registrar("before_reload")
on_model_loaded = _registrar("model_loaded")
on_ui_tabs = _registrar("ui_tabs")
on_ui_train_tabs = _registrar("ui_train_tabs")
on_ui_settings = _registrar("ui_settings")
on_before_image_saved = _registrar("before_image_saved")
on_image_saved = _registrar("image_saved")
on_extra_noise = _registrar("extra_noise")
on_cfg_denoiser = _registrar("cfg_denoiser")
on_cfg_denoised = _registrar("cfg_denoised")
on_cfg_after_cfg = _registrar("cfg_after_cfg")
on_before_component = _registrar("before_component")
on_after_component = _registrar("after_component")
on_image_grid = _registrar("image_grid")
on_infotext_pasted = _registrar("infotext_pasted")
on_script_unloaded = _registrar("script_unloaded")
on_before_ui = _registrar("before_ui")
on_list_optimizers = _registrar("list_optimizers")
on_list_unets = _registrar("list_unets")
on_before_token_counter = _registrar("before_token_counter")


def remove_current_script_callbacks() -> None:
    """Forget what the calling file registered."""
    file = _caller()
    rooms.current().callbacks.drop(lambda each: each.script == file)


def remove_callbacks_for_function(callback_func: Callable[..., Any]) -> None:
    """Forget this function wherever it was registered."""
    rooms.current().callbacks.drop(lambda each: each.callback == callback_func)


def clear_callbacks() -> None:
    """Forget everything."""
    rooms.current().callbacks.drop(lambda each: True)


def image_saved_callback(params: ImageSaveParams) -> None:
    rooms.current().callbacks.call("image_saved", params)


def before_image_saved_callback(params: ImageSaveParams) -> None:
    rooms.current().callbacks.call("before_image_saved", params)


def image_grid_callback(params: ImageGridLoopParams) -> None:
    rooms.current().callbacks.call("image_grid", params)


def infotext_pasted_callback(infotext: str, params: dict[str, Any]) -> None:
    rooms.current().callbacks.call("infotext_pasted", infotext, params)


def counted(prompt: str, styles: Sequence[str], negative: bool) -> str:
    """What those of on_before_token_counter leave of a prompt whose tokens are about to be counted."""
    params = BeforeTokenCounterParams(prompt, 20, list(styles), is_positive=not negative)  # 20: the page's usual steps
    rooms.current().callbacks.call("before_token_counter", params)
    return params.prompt


def takes(callback: Callable[..., Any]) -> list[str]:
    """Names of a function's parameters."""
    return list(inspect.signature(callback).parameters)
