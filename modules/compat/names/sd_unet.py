"""A1111's `modules.sd_unet`."""

from typing import Any

__all__ = ["SdUnet", "SdUnetOption", "current_unet", "unet_options"]

unet_options: list[Any] = []
current_unet = None


class SdUnetOption:
    model_name = None
    label = None

    def create_unet(self):
        raise NotImplementedError


class SdUnet:
    def forward(self, x, timesteps, context, *args, **kwargs):
        raise NotImplementedError

    def activate(self):
        pass

    def deactivate(self):
        pass
