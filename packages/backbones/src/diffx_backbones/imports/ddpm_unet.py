"""The U-Nets of guided-diffusion (and so of ADM) and of diffusers, into `ddpm_unet`."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from diffx_backbones.imports import guided_diffusion, unet2d
from diffx_backbones.imports.moves import (
    Move,
    agreed,
    carry,
    data_spec,
    halved,
    image_shape,
    layer,
    shapes_of,
)
from diffx_backbones.imports.process import process_of
from diffx_backbones.imports.unet_names import with_no_class
from diffx_core import CheckpointError, ConfigError, ForeignWeights, ImportedModel

LAYOUTS = ("guided_diffusion", "guided_diffusion_new", "diffusers")


def import_ddpm_unet(network: Callable[..., nn.Module], foreign: ForeignWeights) -> ImportedModel:
    """The weights of a layout; see `LAYOUTS`."""
    layout = layout_of(foreign)
    found = (unet2d if layout == "diffusers" else guided_diffusion).found_in(foreign)
    options = agreed(foreign, found.options)
    channels, said = found.channels, found.said
    shape = image_shape(foreign, channels, found.side)
    if foreign.num_classes not in (None, found.num_classes):
        raise ConfigError(
            f"{foreign.path}: has {found.num_classes or 'no'} classes, not {foreign.num_classes}"
        )
    spec = data_spec(shape, found.num_classes)
    notes = halved(said, channels, foreign)
    moves = [
        *found.moves(),
        *layer("out", found.out, change=partial(_first, said=said, channels=channels)),
    ]
    if found.classes is not None:
        moves.append(Move("condition.classes.table.weight", (found.classes,), with_no_class))
        notes += ("it was told a class in all of training, so it cannot be guided by classes",)
    process = process_of(foreign)
    return ImportedModel(
        layout=layout,
        spec=spec,
        options=options,
        weights=carry(found.foreign, moves, shapes_of(network, spec, options)),
        scheduler=process.scheduler,
        scheduler_options=process.options,
        prediction=process.prediction,
        notes=notes,
    )


def layout_of(foreign: ForeignWeights) -> str:
    """The layout that was told, or that the names are of."""
    if foreign.layout is not None:
        if foreign.layout not in LAYOUTS:
            names = ", ".join(LAYOUTS)
            raise ConfigError(f"ddpm_unet takes the layouts {names}, not {foreign.layout}")
        return foreign.layout
    marks = {"guided_diffusion": "input_blocks.0.0.weight", "diffusers": "conv_in.weight"}
    for layout, mark in marks.items():
        if mark in foreign.tensors:
            return layout
    first = ", ".join(list(foreign.tensors)[:3])
    raise CheckpointError(
        f"{foreign.path}: is no U-Net of guided-diffusion or of diffusers: there is no"
        f" {' and no '.join(marks.values())}, but {first}, ..."
    )


def _first(rows: Tensor, *, said: int, channels: int) -> Tensor:
    if rows.shape[:1] != (said,):
        raise ValueError(f"should have {said} rows")
    return rows[:channels]
