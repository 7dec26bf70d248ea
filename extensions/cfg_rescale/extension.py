"""CFG rescale: guidance that does not overexpose (Lin et al. 2023, arXiv 2305.08891, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.plugins.api import ExtensionApi, number

PARAMETERS = (
    number(
        "phi",
        "CFG rescale",
        0.0,
        0,
        1,
        0.01,
        infotext="CFG Rescale phi",
        help="0 does nothing; 0.7 suits models that predict velocity.",
    ),
)


def register(app: ExtensionApi) -> None:
    def begin(values: Mapping[str, Any], *others: object) -> object:
        from . import rescale  # imports torch: not before a job asks for it

        return rescale.Rescale(values["phi"])

    app.always_on("CFG rescale", PARAMETERS, begin, wanted=lambda values: values["phi"] > 0)
