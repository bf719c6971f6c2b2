"""How diffusers names the layers of its UNet2DModel, and which of them `ddpm_unet` can be.

down_blocks.l.resnets.i  .attentions.i  .downsamplers.0
mid_block.resnets.0 .1   .attentions.0
up_blocks.u.resnets.i    .attentions.i  .upsamplers.0
"""

from typing import Any

from attrs import evolve

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.moves import count_of, is_size, shape_of, unknown
from diffx_backbones.imports.unet_names import AttentionNames, BlockNames, Found, Places
from diffx_core import CheckpointError, ConfigError, ForeignWeights

BLOCK = BlockNames(
    norm1="norm1",
    conv1="conv1",
    modulation="time_emb_proj",
    norm2="norm2",
    conv2="conv2",
    skip="conv_shortcut",
)
ATTENTION = AttentionNames(norm="group_norm", qkv=("to_q", "to_k", "to_v"), out="to_out.0")
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""How attention was named in older files."""
ONLY = {
    "_class_name": ("UNet2DModel",),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "time_embedding_dim": (None,),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1, 1.0),
    "act_fn": ("silu", "swish"),
    "class_embed_type": (None,),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "downsample_padding": (0, 1),
}
"""What the options of a UNet2DModel may be."""
CHECKED = (
    "sample_size",
    "in_channels",
    "out_channels",
    "freq_shift",
    "flip_sin_to_cos",
    "down_block_types",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "downsample_type",
    "upsample_type",
    "dropout",
    "attention_head_dim",
    "norm_num_groups",
    "attn_norm_num_groups",
    "norm_eps",
    "add_attention",
    "num_class_embeds",
    "num_train_timesteps",
)
"""Its other options: what the tensors say too, what is checked, what is for training alone."""
KINDS = {
    "DownBlock2D": (False, "conv"),
    "AttnDownBlock2D": (True, "conv"),
    "ResnetDownsampleBlock2D": (False, "resnet"),
    "UpBlock2D": (False, "conv"),
    "AttnUpBlock2D": (True, "conv"),
    "ResnetUpsampleBlock2D": (False, "resnet"),
}
"""Whether a kind of level has attention, and how it changes the sides."""


def found_in(foreign: ForeignWeights) -> Found:
    """The U-Net of a file.

    Raises:
        ConfigError: there is no config.json beside it.
        CheckpointError: `ddpm_unet` cannot be it.
    """
    if not foreign.config:
        raise ConfigError(f"{foreign.path}: there is no config.json beside it: give the folder")
    foreign = evolve(foreign, tensors={_new(name): one for name, one in foreign.tensors.items()})
    config, classes = foreign.config, "class_embedding.weight"
    options = _options(foreign)
    size = config.get("sample_size")
    has_classes = classes in foreign.tensors
    return Found(
        foreign=foreign,
        options=options,
        side=size if is_size(size) else None,
        channels=shape_of(foreign, "conv_in.weight", 4)[1],
        said=shape_of(foreign, "conv_out.weight", 4)[0],
        num_classes=shape_of(foreign, classes, 2)[0] if has_classes else None,
        layers={
            "stem": "conv_in",
            "condition.noise.hidden": "time_embedding.linear_1",
            "condition.noise.out": "time_embedding.linear_2",
            "norm": "conv_norm_out",
        },
        places=places_of(foreign, options),
        out="conv_out",
        classes=classes if has_classes else None,
        block=BLOCK,
        attention=ATTENTION,
        sine_first=not config.get("flip_sin_to_cos", True),
    )


def _options(foreign: ForeignWeights) -> dict[str, Any]:
    _check(foreign)
    config = foreign.config
    channels = tuple(config["block_out_channels"])
    attention, resample = _levels(foreign)
    half = channels[0] // 2
    return {
        "channels": channels,
        "blocks": config.get("layers_per_block", 2),
        "attention": attention,
        "heads": 1,
        "head_width": config.get("attention_head_dim", 8),
        "middle_attention": config.get("add_attention", True),
        "resample": resample,
        "padding": "both" if config.get("downsample_padding", 1) else "after",
        "modulation": (
            "shift"
            if config.get("resnet_time_scale_shift", "default") == "default"
            else "scale_shift"
        ),
        "norm_groups": config.get("norm_num_groups", 32),
        "norm_eps": config.get("norm_eps", 1e-5),
        "noise_features": channels[0],
        "noise_period": MAX_PERIOD ** (half / (half - config.get("freq_shift", 0))),
    }


def _check(foreign: ForeignWeights) -> None:
    """Refuse options that no UNet2DModel has, and more blocks than there are tensors for."""
    config = foreign.config
    levels: Any = config.get("block_out_channels")
    head = config.get("attention_head_dim", 8)
    classes = config.get("num_class_embeds")
    blocks, made = config.get("layers_per_block", 2), "down_blocks.0.resnets"
    rules = {
        "block_out_channels": _are(levels, int) and min(levels or [0]) > 3,
        "down_block_types": _are(config.get("down_block_types"), str),
        "up_block_types": _are(config.get("up_block_types"), str),
        "layers_per_block": isinstance(blocks, int) and blocks == count_of(foreign, made),
        "attention_head_dim": head is None or is_size(head),
        "norm_num_groups": is_size(config.get("norm_num_groups", 32)),
        "norm_eps": isinstance(config.get("norm_eps", 1e-5), float),
        "freq_shift": config.get("freq_shift", 0) in (0, 1),
        "num_class_embeds": (classes is not None) == ("class_embedding.weight" in foreign.tensors),
        "downsample_type": config.get("downsample_type", "conv") in ("conv", "resnet"),
        "upsample_type": config.get("upsample_type", "conv") in ("conv", "resnet"),
        "add_attention": isinstance(config.get("add_attention", True), bool),
    }
    wrong = [name for name, is_right in rules.items() if not is_right]
    if not wrong and not (
        len(levels) == len(config["down_block_types"]) == len(config["up_block_types"])
    ):
        wrong = ["block_out_channels, down_block_types and up_block_types"]
    if wrong:
        raise CheckpointError(
            *(f"{foreign.path}: config.json: {one}: is not that of these weights" for one in wrong)
        )


def _are(values: Any, kind: type) -> bool:  # noqa: ANN401  # of JSON
    return isinstance(values, list | tuple) and all(type(one) is kind for one in values)


def _levels(foreign: ForeignWeights) -> tuple[tuple[int, ...], str]:
    """The levels with attention, and how sides change, if all is as `ddpm_unet` has it."""
    config = foreign.config
    down, up = config["down_block_types"], config["up_block_types"]
    problems = [
        f"{name} is {config[name]!r}, and ddpm_unet has {' or '.join(map(repr, known))} only"
        for name, known in ONLY.items()
        if config.get(name, known[0]) not in known
    ]
    if config.get("attn_norm_num_groups") not in (None, config.get("norm_num_groups", 32)):
        problems.append("attention has norms of other groups than the rest")
    others = {*down, *up} - {*KINDS}
    problems += [f"ddpm_unet has no {kind}" for kind in sorted(others)]
    if not others:
        shown = [KINDS[kind][0] for kind in down]
        if [KINDS[kind][0] for kind in reversed(up)] != shown:
            problems.append("attention is at other levels on the way up than on the way down")
        steps = {_step(config, kind) for kind in (*down[:-1], *up[:-1])}
        if len(steps) > 1:
            problems.append("some levels change sides by convolution and some by residual blocks")
    lines = [f"{foreign.path}: {one}" for one in problems]
    if lines := [*lines, *unknown(foreign, (*ONLY, *CHECKED))]:
        raise CheckpointError(*lines)
    attention = tuple(level for level, is_attended in enumerate(shown) if is_attended)
    return attention, "block" if steps == {"resnet"} else "conv"


def _step(config: Any, kind: str) -> str:  # noqa: ANN401  # of JSON
    """How the sides change after a level: those with attention leave it to an option."""
    if not kind.startswith("Attn"):
        return KINDS[kind][1]
    option = "downsample_type" if "Down" in kind else "upsample_type"
    return str(config.get(option, "conv"))


def places_of(foreign: ForeignWeights, options: dict[str, Any]) -> Places:
    """Where blocks, attentions and the steps between levels are, of these options."""
    places, last = Places(), len(options["channels"]) - 1
    for level in range(last + 1):
        is_attended = level in options["attention"]
        for i in range(options["blocks"]):
            places.pair(f"down.{level}.{i}", f"down_blocks.{level}", i, is_attended=is_attended)
        for i in range(options["blocks"] + 1):
            up = last - level
            places.pair(f"up.{up}.{i}", f"up_blocks.{up}", i, is_attended=is_attended)
    for i in range(last):
        places.step(f"fall.{i}", f"down_blocks.{i}.downsamplers.0", "conv", foreign)
        places.step(f"rise.{i}", f"up_blocks.{i}.upsamplers.0", "conv", foreign)
    places.blocks |= {f"middle.{i}": f"mid_block.resnets.{i}" for i in range(2)}
    if options["middle_attention"]:
        places.attentions["middle_attention"] = "mid_block.attentions.0"
    return places


def _new(name: str) -> str:
    """The name of today."""
    owner, _, last = name.rpartition(".")
    start, _, part = owner.rpartition(".")
    return f"{start}.{OLD[part]}.{last}" if "attentions" in start and part in OLD else name
