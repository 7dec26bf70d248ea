"""Tiny autoencoders: files in the original layout give what their layers say; the checkpoint's own file comes first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.core.errors import EaselError
from modules.generate.request import Txt2Img
from modules.loading.families import TABLE
from modules.loading.tiny import TinyFiles
from tests.generate.test_run import SMALL, far
from tests.studio import Bench, Silent

SD1 = next(row for row in TABLE if row.id == "sd1")
CPU = torch.device("cpu")


class Block(nn.Module):
    """TAESD's residual block, written as its authors lay it out."""

    def __init__(self, *, pool: bool = False) -> None:
        super().__init__()
        wide = (nn.Conv2d(64, 256, 1, bias=False), nn.GroupNorm(4, 256), nn.ReLU(), nn.Conv2d(256, 64, 1, bias=False))
        self.pool = nn.Sequential(*wide) if pool else None
        layers = [nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
        self.conv = nn.Sequential(*layers, nn.Conv2d(64, 64, 3, padding=1))
        self.fuse = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.pool is None else x + self.pool(x)
        fused: Tensor = self.fuse(self.conv(x) + x)
        return fused


class Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int, outputs: int, **options: bool | int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def original_decoder(channels: int = 4, *, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [Clamp(), _conv(channels, 64), nn.ReLU()]
    for number in range(3):
        layers += [Block(pool=pool and not number), Block(pool=pool and not number), Block(pool=pool and not number)]
        layers += [nn.Upsample(scale_factor=2), _conv(64, 64, bias=False)]
    return nn.Sequential(*layers, Block(), _conv(64, 3))


def original_encoder(channels: int = 4) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, 64), Block()]
    for _ in range(3):
        layers += [_conv(64, 64, stride=2, bias=False), Block(), Block(), Block()]
    return nn.Sequential(*layers, _conv(64, channels))


def written(network: nn.Module, path: Path) -> nn.Module:
    path.parent.mkdir(exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return network


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_layers_are_read_in_their_places(tmp_path: Path, ending: str) -> None:
    torch.manual_seed(0)
    files = TinyFiles(tmp_path)
    decoder = written(original_decoder(), tmp_path / f"taesd_decoder{ending}")
    encoder = written(original_encoder(), tmp_path / f"taesd_encoder{ending}")
    latent, pixels = torch.randn(4, 8, 6), torch.rand(3, 64, 48)
    with torch.inference_mode():
        decode, encode = files.decode_with(SD1, "any", CPU), files.encode_with(SD1, "any", CPU)
        assert decode is not None
        assert encode is not None
        assert decode(latent).shape == (3, 64, 48)
        torch.testing.assert_close(decode(latent), decoder(latent[None])[0].clamp(0, 1))
        torch.testing.assert_close(encode(pixels), encoder(pixels[None])[0], atol=1e-5, rtol=1e-4)


def test_one_file_may_hold_both_under_diffusers_names(tmp_path: Path) -> None:
    """As Flux.2's is published, whose middle blocks have a pool."""
    torch.manual_seed(0)
    flux2 = next(row for row in TABLE if row.id == "flux2")
    decoder, encoder = original_decoder(32, pool=True), original_encoder(32)
    weights = {f"encoder.layers.{name}": tensor for name, tensor in encoder.state_dict().items()}
    for name, tensor in decoder.state_dict().items():
        place, _, rest = name.partition(".")
        weights[f"decoder.layers.{int(place) - 1}.{rest}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, tmp_path / "taef2.safetensors")
    files, latent, pixels = TinyFiles(tmp_path), torch.randn(32, 4, 6), torch.rand(3, 32, 16)
    with torch.inference_mode():
        decode, encode = files.decode_with(flux2, "any", CPU), files.encode_with(flux2, "any", CPU)
        assert decode is not None
        assert encode is not None
        torch.testing.assert_close(decode(latent), decoder(latent[None])[0].clamp(0, 1))
        torch.testing.assert_close(encode(pixels), encoder(pixels[None])[0], atol=1e-5, rtol=1e-4)


class Remembering(nn.Module):
    """TAEHV's block: a moment and the one before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [_conv(2 * width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        made: Tensor = self.conv(torch.cat([x, past], 1)) + x
        return made.relu()


class Moments(nn.Module):
    """One moment becomes several (TGrow), or several become one (TPool)."""

    def __init__(self, width: int, grow: int = 1, pool: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width * pool, width * grow, 1, bias=False)
        self.grow, self.pool = grow, pool


def original_video(channels: int) -> nn.ModuleDict:
    """taew2_1's layers and their places, narrower: time doubles twice, at the second and third enlargement."""
    decoder: list[nn.Module] = [Clamp(), _conv(channels, 16), nn.ReLU()]
    for width, after, grow in ((16, 8, 1), (8, 4, 2), (4, 4, 2)):
        decoder += [Remembering(width), Remembering(width), Remembering(width), nn.Upsample(scale_factor=2)]
        decoder += [Moments(width, grow=grow), _conv(width, after, bias=False)]
    encoder: list[nn.Module] = [_conv(3, 4), nn.ReLU()]
    for pool in (2, 2, 1):
        encoder += [Moments(4, pool=pool), _conv(4, 4, stride=2, bias=False)]
        encoder += [Remembering(4), Remembering(4), Remembering(4)]
    whole = [nn.Sequential(*encoder, _conv(4, channels)), nn.Sequential(*decoder, nn.ReLU(), _conv(4, 3))]
    return nn.ModuleDict(dict(zip(("encoder", "decoder"), whole, strict=True)))


def played(layers: nn.Module, moments: list[Tensor]) -> list[Tensor]:
    """A video through a network, moment by moment."""
    for layer in layers.children():
        if isinstance(layer, Remembering):
            before = [torch.zeros_like(moments[0]), *moments[:-1]]
            moments = [layer(now, past) for now, past in zip(moments, before, strict=True)]
        elif isinstance(layer, Moments):
            groups = [moments[start : start + layer.pool] for start in range(0, len(moments), layer.pool)]
            moments = [part for group in groups for part in layer.conv(torch.cat(group, 1)).chunk(layer.grow, 1)]
        else:
            moments = [layer(now) for now in moments]
    return moments


def test_qwen_images_is_one_of_videos_of_which_a_picture_is_the_last_moment(tmp_path: Path) -> None:
    torch.manual_seed(0)
    qwen = next(row for row in TABLE if row.id == "qwen-image")
    network = original_video(qwen.latent.channels)
    assert set(network["decoder"].state_dict()) >= {"1.bias", "3.conv.0.weight", "7.conv.weight", "22.weight"}
    torch.save(network.state_dict(), tmp_path / "taew2_1.pth")
    files, latent, pixels = TinyFiles(tmp_path), torch.randn(16, 4, 6), torch.rand(3, 32, 16)
    with torch.inference_mode():
        decode, encode = files.decode_with(qwen, "any", CPU), files.encode_with(qwen, "any", CPU)
        assert decode is not None
        assert encode is not None
        *earlier, last = played(network["decoder"], [latent[None]])
        assert (len(earlier), decode(latent).shape) == (3, (3, 32, 48))
        torch.testing.assert_close(decode(latent), last[0].clamp(0, 1))
        assert not torch.allclose(decode(latent), earlier[-1][0].clamp(0, 1), atol=1e-3)
        (still,) = played(network["encoder"], [pixels[None]] * 4)
        torch.testing.assert_close(encode(pixels), still[0], atol=1e-5, rtol=1e-4)


def test_every_family_has_a_tiny_autoencoder() -> None:
    xl = {"playground", "cosxl", "sdxl", "sdxl-refiner"}
    flux = {"flux", "chroma", "lumina2", "z-image"}
    kinds = {row.id: row.latent.tiny for row in TABLE}
    others = {"sd3": "taesd3", "flux2": "taef2", "qwen-image": "taew2_1"}
    assert kinds == {
        **dict.fromkeys(("sd1", "sd2", "sd2-depth", "sd2-unclip"), "taesd"),
        **dict.fromkeys(xl, "taesdxl"),
        **dict.fromkeys(flux, "taef1"),
        **others,
    }


def _rolled(picture: Tensor) -> Tensor:
    """By half, so that what was at the borders lies in the middle."""
    return picture.roll((picture.shape[-2] // 2, picture.shape[-1] // 2), dims=(-2, -1))


def test_a_seamless_picture_stays_seamless(tmp_path: Path) -> None:
    torch.manual_seed(0)
    files = TinyFiles(tmp_path)
    written(original_decoder(), tmp_path / "taesd_decoder.safetensors")
    written(original_encoder(), tmp_path / "taesd_encoder.safetensors")
    latent, pixels = torch.randn(4, 8, 6), torch.rand(3, 64, 48)
    with torch.inference_mode():
        for way, given in ((files.decode_with, latent), (files.encode_with, pixels)):
            off, on = way(SD1, "any", CPU), way(SD1, "any", CPU, seamless=True)
            assert off is not None
            assert on is not None
            torch.testing.assert_close(on(_rolled(given)), _rolled(on(given)), atol=1e-5, rtol=0)
            assert not torch.equal(off(given), on(given)), "one network serves both"


def test_the_checkpoints_own_file_wins(tmp_path: Path) -> None:
    for name in ("taesd_decoder.safetensors", "mine_decoder.pth"):
        written(original_decoder(), tmp_path / name)
    files = TinyFiles(tmp_path)
    assert files.find("decoder", SD1, "mine") == tmp_path / "mine_decoder.pth"
    assert files.find("decoder", SD1, "other") == tmp_path / "taesd_decoder.safetensors"
    nameless = dataclasses.replace(SD1, latent=dataclasses.replace(SD1.latent, tiny=""))
    assert files.find("decoder", nameless, "other") is None


def test_a_file_for_other_latents_is_no_decoder(tmp_path: Path) -> None:
    written(original_decoder(16), tmp_path / "taesd_decoder.safetensors")
    assert TinyFiles(tmp_path).decode_with(SD1, "any", CPU) is None


def test_previews_and_results_can_come_from_it(bench: Bench) -> None:
    asked, watching = Txt2Img(**SMALL), {"show_progress_type": "TAESD", "show_progress_every_n_steps": 1}
    with pytest.raises(EaselError, match="taesd_decoder"):
        bench.make(asked, sd_vae_decode_method="TAESD")
    path = bench.folder / "VAE-taesd" / "taesd_decoder.safetensors"
    written(original_decoder(), path)
    control = Silent(watching=True)
    bench.make(asked, control, **watching)
    assert {preview.size for preview in control.previews} == {(64, 64)}
    tiny = bench.make(asked, sd_vae_decode_method="TAESD")
    assert "VAE Decoder: TAESD" in tiny["info"]["infotexts"][0]
    assert far(bench.images(asked)[0], bench.images(asked, sd_vae_decode_method="TAESD")[0]) > 5
    path.unlink()
    small = Silent(watching=True)
    bench.make(asked, small, **watching)
    assert {preview.size for preview in small.previews} == {(8, 8)}
