"""The networks and text encoders of this package, as records: nothing here imports torch."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_backbones() -> list[Component]:
    """Every backbone that this distribution offers."""
    return [
        Component("mlp", "diffx_backbones.mlp:MLP", "Residual MLP for vectors"),
        Component("unet", "diffx_backbones.unet:UNet", "Convolutional U-Net for images"),
        Component(
            "ddpm_unet", "diffx_backbones.ddpm_unet:DDPMUNet", "U-Net for images (as published)"
        ),
        Component("edm2", "diffx_backbones.edm2:EDM2", "U-Net for images (magnitude-preserving)"),
        Component("uvit", "diffx_backbones.uvit:UViT", "Transformer for images (long skips)"),
        Component("dit", "diffx_backbones.dit:DiT", "Transformer for images (adaLN-zero)"),
        Component("timm", "diffx_backbones.trunk:Trunk", "Vision transformer of timm, by its name"),
    ]


@hookimpl
def diffx_text_encoders() -> list[Component]:
    """Every text encoder that this distribution offers."""
    return [
        Component("bytes", "diffx_backbones.text.bytes:Bytes", "Bytes of a text, without weights"),
        Component("clip", "diffx_backbones.text.pretrained:CLIP", "The text encoder of a CLIP"),
        Component("t5", "diffx_backbones.text.pretrained:T5", "The encoder of a T5"),
    ]
