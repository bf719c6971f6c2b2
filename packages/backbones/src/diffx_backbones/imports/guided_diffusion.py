"""How guided-diffusion names the layers of its U-Net.

    input_blocks.0.0                the first convolution
    input_blocks.i.0 .1             a block, attention; or a step to a lower level
    middle_block.0 .1 .2            a block, attention, a block
    output_blocks.i.0 .1 .2         a block, attention, and after the last of a level a step up

Rows of qkv belong to one head after another, or in its newer order (use_new_attention_order) to q,
k and v. The names are the same.
"""

from functools import partial
from typing import Any

from einops import rearrange
from torch import Tensor

from diffx_backbones.imports.moves import count_of, shape_of
from diffx_backbones.imports.unet_names import AttentionNames, BlockNames, Found, Places, flat
from diffx_core import CheckpointError, ConfigError, ForeignWeights

BLOCK = BlockNames(
    norm1="in_layers.0",
    conv1="in_layers.2",
    modulation="emb_layers.1",
    norm2="out_layers.0",
    conv2="out_layers.3",
    skip="skip_connection",
)


def found_in(foreign: ForeignWeights) -> Found:
    """The U-Net of a file.

    Raises:
        ConfigError: the file does not say how many heads there are, and nobody else did.
        CheckpointError: it is none.
    """
    channels, classes = shape_of(foreign, "input_blocks.0.0.weight", 4)[1], "label_emb.weight"
    has_classes = classes in foreign.tensors
    places, options = _places(foreign)
    heads, head_width = (foreign.options.get(name) for name in ("heads", "head_width"))
    if places.attentions and heads is None and head_width is None:
        raise ConfigError(
            f"{foreign.path}: does not say how many heads: give --backbone.heads or"
            " --backbone.head_width"
        )
    return Found(
        foreign=foreign,
        options=options,
        side=None,
        channels=channels,
        said=shape_of(foreign, "out.2.weight", 4)[0],
        num_classes=shape_of(foreign, classes, 2)[0] if has_classes else None,
        layers={
            "stem": "input_blocks.0.0",
            "condition.noise.hidden": "time_embed.0",
            "condition.noise.out": "time_embed.2",
            "norm": "out.0",
        },
        places=places,
        out="out.2",
        classes=classes if has_classes else None,
        block=BLOCK,
        attention=AttentionNames(
            norm="norm",
            qkv=("qkv",),
            out="proj_out",
            change=(
                flat
                if foreign.layout == "guided_diffusion_new"
                else partial(_by_part, heads=heads or 1, head_width=head_width)
            ),
        ),
    )


def _places(foreign: ForeignWeights) -> tuple[Places, dict[str, Any]]:
    levels, blocks = _counts(foreign)
    last, places = levels - 1, Places()
    channels, attention, index = [], [], 1
    for level in range(levels):
        is_attended = f"input_blocks.{index}.1.norm.weight" in foreign.tensors
        channels.append(shape_of(foreign, f"input_blocks.{index}.0.{BLOCK.conv2}.weight", 4)[0])
        attention += [level] if is_attended else []
        for i in range(blocks):
            places.cell(f"down.{level}.{i}", f"input_blocks.{index}", is_attended=is_attended)
            index += 1
        if level < last:
            places.step(f"fall.{level}", f"input_blocks.{index}.0", "op", foreign)
            index += 1
    places.blocks |= {"middle.0": "middle_block.0", "middle.1": "middle_block.2"}
    places.attentions["middle_attention"] = "middle_block.1"
    for i in range(levels * (blocks + 1)):
        up, place = divmod(i, blocks + 1)
        is_attended = last - up in attention
        places.cell(f"up.{up}.{place}", f"output_blocks.{i}", is_attended=is_attended)
        if place == blocks and up < last:
            places.step(f"rise.{up}", f"output_blocks.{i}.{1 + is_attended}", "conv", foreign)
    told = shape_of(foreign, f"input_blocks.1.0.{BLOCK.modulation}.weight", 2)[0]
    return places, {
        "channels": tuple(channels),
        "blocks": blocks,
        "attention": tuple(attention),
        "resample": "conv" if places.convolved else "block",
        "padding": "both",
        "modulation": "scale_shift" if told == 2 * channels[0] else "shift",
        "noise_features": shape_of(foreign, "time_embed.0.weight", 2)[1],
    }


def _counts(foreign: ForeignWeights) -> tuple[int, int]:
    """How many levels there are, and blocks in each on the way down."""
    count = {kind: count_of(foreign, kind) for kind in ("input_blocks", "output_blocks")}
    ends = ("conv.weight", "in_layers.0.weight")  # of a step up, which is not the first of its kind
    rising = {
        name.split(".")[1]
        for name in foreign.tensors
        if name.startswith("output_blocks.")
        and name.partition(".")[2].partition(".")[2].partition(".")[2] in ends
        and name.split(".")[2] != "0"
    }
    levels, blocks = len(rising) + 1, count["output_blocks"] // (len(rising) + 1) - 1
    if blocks < 1 or {*count.values()} != {levels * (blocks + 1)}:
        raise CheckpointError(
            f"{foreign.path}: {count['input_blocks']} input_blocks and {count['output_blocks']}"
            f" output_blocks do not make {levels} levels with as many blocks each"
        )
    return levels, blocks


def _by_part(rows: Tensor, *, heads: int, head_width: int | None) -> Tensor:
    """Rows (heads, 3, width) as (3, heads, width)."""
    count = len(rows) // 3 // head_width if head_width else heads
    return flat(rearrange(rows, "(h k d) ... -> (k h d) ...", h=count, k=3))
