"""The datasets of this package, as records: nothing here imports torch."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_datasets() -> list[Component]:
    """Every dataset that this distribution offers."""
    return [
        Component("digits", "diffx_datasets.digits:Digits", "1797 handwritten digits, bundled"),
        Component(
            "image_folder",
            "diffx_datasets.image_folder:ImageFolder",
            "A folder of images, with a sub-folder for each class",
        ),
        Component("npz", "diffx_datasets.npz:Npz", "Images in a NumPy file"),
        Component("toy2d", "diffx_datasets.toy2d:Toy2D", "Points in the plane, generated"),
    ]
