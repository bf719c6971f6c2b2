"""How DiT is named: as published, SiT too, and by diffusers."""

from typing import NamedTuple

from diffx_core import CheckpointError, ConfigError, ForeignWeights

UNET = "input_blocks.0.0.weight"
"""A tensor of the U-Nets of guided-diffusion."""
LAYOUTS = ("dit", "sit", "diffusers")


class Names(NamedTuple):
    """How a layout names its layers."""

    stem: str
    noise: tuple[str, str]
    classes: str
    block: str
    modulation: str
    qkv: tuple[str, ...]
    attended: str
    mlp: tuple[str, str]
    last: tuple[str, str]


PUBLISHED = Names(
    stem="x_embedder.proj",
    noise=("t_embedder.mlp.0", "t_embedder.mlp.2"),
    classes="y_embedder.embedding_table.weight",
    block="blocks",
    modulation="adaLN_modulation.1",
    qkv=("attn.qkv",),
    attended="attn.proj",
    mlp=("mlp.fc1", "mlp.fc2"),
    last=("final_layer.adaLN_modulation.1", "final_layer.linear"),
)
EMBEDDERS = "norm1.emb."
FIRST = f"transformer_blocks.0.{EMBEDDERS}"
DIFFUSERS = Names(
    stem="pos_embed.proj",
    noise=(f"{FIRST}timestep_embedder.linear_1", f"{FIRST}timestep_embedder.linear_2"),
    classes=f"{FIRST}class_embedder.embedding_table.weight",
    block="transformer_blocks",
    modulation="norm1.linear",
    qkv=("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    attended="attn1.to_out.0",
    mlp=("ff.net.0.proj", "ff.net.2"),
    last=("proj_out_1", "proj_out_2"),
)


def layout_of(foreign: ForeignWeights) -> str:
    """The layout that was told, or that the names are of; DiT and SiT have the same."""
    if foreign.layout is not None:
        if foreign.layout not in LAYOUTS:
            raise ConfigError(f"dit takes the layouts {', '.join(LAYOUTS)}, not {foreign.layout}")
        return foreign.layout
    for layout, names in (("dit", PUBLISHED), ("diffusers", DIFFUSERS)):
        if f"{names.stem}.weight" in foreign.tensors:
            return layout
    first = ", ".join(list(foreign.tensors)[:3])
    is_unet = foreign.config.get("_class_name") == "UNet2DModel" or UNET in foreign.tensors
    hint = "; it is a U-Net: take it with --backbone ddpm_unet" if is_unet else ""
    raise CheckpointError(
        f"{foreign.path}: is no DiT or SiT as published, and none of diffusers: there is no"
        f" {PUBLISHED.stem}.weight and no {DIFFUSERS.stem}.weight, but {first}, ...{hint}"
    )
