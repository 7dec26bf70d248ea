"""The rectified-flow transformers among the families: marks, latent spaces, builders. Imports nothing heavy."""

from __future__ import annotations

from modules.loading.family import Family, Latent, Scene

Rows = tuple[tuple[float, float, float], ...]

_SD3_PREVIEW: Rows = (
    (-0.0524, 0.0325, 0.0749), (-0.0581, 0.0076, 0.0573), (0.1614, 0.0127, -0.0377), (0.1442, 0.0846, 0.1594),
    (0.0489, 0.0056, -0.0669), (0.0519, 0.1922, 0.0626), (0.1539, 0.0482, 0.0710), (-0.0860, 0.0901, 0.1089),
    (-0.1240, -0.0677, 0.0034), (-0.0440, 0.0783, 0.0226), (0.0310, 0.0638, 0.0775), (-0.0132, 0.0855, -0.0877),
    (0.0646, 0.0591, 0.1326), (-0.0786, -0.0226, -0.1276), (-0.0992, -0.0801, -0.0626), (-0.0339, -0.0804, -0.0608),
)  # fmt: skip
_FLUX_PREVIEW: Rows = (
    (-0.0412, 0.0149, 0.0521), (0.0056, 0.0291, 0.0768), (0.0342, -0.0681, -0.0427), (-0.0258, 0.0092, 0.0463),
    (0.0863, 0.0784, 0.0547), (-0.0017, 0.0402, 0.0158), (0.0501, 0.1058, 0.1152), (-0.0209, -0.0218, -0.0329),
    (-0.0314, 0.0083, 0.0896), (0.0851, 0.0665, -0.0472), (-0.0534, 0.0238, -0.0024), (0.0452, -0.0026, 0.0048),
    (0.0892, 0.0831, 0.0881), (-0.1117, -0.0304, -0.0789), (0.0027, -0.0479, -0.0043), (-0.1146, -0.0827, -0.0598),
)  # fmt: skip
_FLUX2_PREVIEW: Rows = (
    (0.0058, 0.0113, 0.0073), (0.0495, 0.0443, 0.0836), (-0.0099, 0.0096, 0.0644), (0.2144, 0.3009, 0.3652),
    (0.0166, -0.0039, -0.0054), (0.0157, 0.0103, -0.0160), (-0.0398, 0.0902, -0.0235), (-0.0052, 0.0095, 0.0109),
    (-0.3527, -0.2712, -0.1666), (-0.0301, -0.0356, -0.0180), (-0.0107, 0.0078, 0.0013), (0.0746, 0.0090, -0.0941),
    (0.0156, 0.0169, 0.0070), (-0.0034, -0.0040, -0.0114), (0.0032, 0.0181, 0.0080), (-0.0939, -0.0008, 0.0186),
    (0.0018, 0.0043, 0.0104), (0.0284, 0.0056, -0.0127), (-0.0024, -0.0022, -0.0030), (0.1207, -0.0026, 0.0065),
    (0.0128, 0.0101, 0.0142), (0.0137, -0.0072, -0.0007), (0.0095, 0.0092, -0.0059), (0.0000, -0.0077, -0.0049),
    (-0.0465, -0.0204, -0.0312), (0.0095, 0.0012, -0.0066), (0.0290, -0.0034, 0.0025), (0.0220, 0.0169, -0.0048),
    (-0.0332, -0.0457, -0.0468), (-0.0085, 0.0389, 0.0609), (-0.0076, 0.0003, -0.0043), (-0.0111, -0.0460, -0.0614),
)  # fmt: skip
_QWEN_PREVIEW: Rows = (
    (-0.1299, -0.1692, 0.2932), (0.0671, 0.0406, 0.0442), (0.3568, 0.2548, 0.1747), (0.0372, 0.2344, 0.1420),
    (0.0313, 0.0189, -0.0328), (0.0296, -0.0956, -0.0665), (-0.3477, -0.4059, -0.2925), (0.0166, 0.1902, 0.1975),
    (-0.0412, 0.0267, -0.1364), (-0.1293, 0.0740, 0.1636), (0.0680, 0.3019, 0.1128), (0.0032, 0.0581, 0.0639),
    (-0.1251, 0.0927, 0.1699), (0.0060, -0.0633, 0.0005), (0.3477, 0.2275, 0.2950), (0.1984, 0.0913, 0.1861),
)  # fmt: skip
SD3_LATENT = Latent(channels=16, scale=1.5305, shift=0.0609, preview=_SD3_PREVIEW, tiny="taesd3")
FLUX_LATENT = Latent(channels=16, scale=0.3611, shift=0.1159, preview=_FLUX_PREVIEW, tiny="taef1")
FLUX2_LATENT = Latent(
    channels=32, scale=1.0, preview=_FLUX2_PREVIEW, preview_base=(-0.0329, -0.0718, -0.0851), tiny="taef2"
)
QWEN_LATENT = Latent(
    channels=16, scale=1.0, preview=_QWEN_PREVIEW, preview_base=(-0.1835, -0.0868, -0.3360), tiny="taew2_1"
)
"""Its VAE is that of Wan 2.1."""


def guidance_ids(scene: Scene) -> tuple[float, ...]:
    """What a model distilled at many guidance scales is told."""
    return (scene.guidance,)


ROWS: tuple[Family, ...] = (
    Family(
        id="sd3",
        title="Stable Diffusion 3",
        marks=("*joint_blocks.",),
        latent=SD3_LATENT,
        build="modules.loading.mmdit.sd3:build",
        prediction="flow",
        native_size=1024,
    ),
    Family(
        id="chroma",
        title="Chroma",
        marks=("*double_blocks.", "*single_blocks.", "*distilled_guidance_layer."),
        latent=FLUX_LATENT,
        build="modules.loading.mmdit.chroma:build",
        prediction="flow",
        native_size=1024,
        wide=True,
    ),
    Family(
        id="flux2",
        title="Flux.2",
        marks=("*double_blocks.", "*single_blocks.", "*double_stream_modulation_img."),
        latent=FLUX2_LATENT,
        build="modules.loading.mmdit.flux2:build",
        autoencoder="modules.loading.mmdit.flux2:autoencoder",
        prediction="flow",
        ids=guidance_ids,
        notes={"Distilled CFG Scale": "distilled_cfg_scale"},
        native_size=1024,
        wide=True,
    ),
    Family(
        id="flux",
        title="Flux.1",
        marks=("*double_blocks.0.img_attn.norm.", "*single_blocks.", "*vector_in.", "*txt_in.weight"),
        latent=FLUX_LATENT,
        build="modules.loading.mmdit.flux:build",
        prediction="flow",
        ids=guidance_ids,
        notes={"Distilled CFG Scale": "distilled_cfg_scale"},
        native_size=1024,
        wide=True,
    ),
    Family(
        id="z-image",
        title="Z-Image",
        marks=("*cap_embedder.", "*context_refiner.", "*layers.0.adaLN_modulation.0."),
        latent=FLUX_LATENT,
        build="modules.loading.mmdit.nextdit:build_z",
        prediction="flow",
        native_size=1024,
        wide=True,
    ),
    Family(
        id="lumina2",
        title="Lumina Image 2",
        marks=("*cap_embedder.", "*context_refiner.", "*layers.0.adaLN_modulation.1."),
        latent=FLUX_LATENT,
        build="modules.loading.mmdit.nextdit:build_lumina",
        prediction="flow",
        native_size=1024,
        wide=True,
    ),
    Family(
        id="qwen-image",
        title="Qwen-Image",
        marks=("*transformer_blocks.0.img_mod.", "*txt_norm.", "*img_in."),
        latent=QWEN_LATENT,
        build="modules.loading.mmdit.qwen:build",
        autoencoder="modules.loading.mmdit.qwen:autoencoder",
        prediction="flow",
        native_size=1328,
        wide=True,
    ),
)
