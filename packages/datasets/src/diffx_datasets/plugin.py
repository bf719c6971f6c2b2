"""The datasets of this package, as records: nothing here imports torch."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_datasets() -> list[Component]:
    """Every dataset that this distribution offers."""
    return [
        Component("celeba", "diffx_datasets.celeba:CelebA", "Faces, 178x218, with attributes"),
        Component("cifar10", "diffx_datasets.cifar10:CIFAR10", "Photographs of 10 kinds, 32x32"),
        Component("digits", "diffx_datasets.digits:Digits", "1797 handwritten digits, bundled"),
        Component("fashion_mnist", "diffx_datasets.mnist:FashionMNIST", "Clothing in grey, 28x28"),
        Component(
            "huggingface",
            "diffx_datasets.huggingface:HuggingFace",
            "Images in a table of Hugging Face datasets",
        ),
        Component(
            "image_folder",
            "diffx_datasets.image_folder:ImageFolder",
            "A folder of images, with a sub-folder for each class",
        ),
        Component("latents", "diffx_datasets.latents:Latents", "Images encoded beforehand"),
        Component("mnist", "diffx_datasets.mnist:MNIST", "Handwritten digits in grey, 28x28"),
        Component("npz", "diffx_datasets.npz:Npz", "Images in a NumPy file"),
        Component("patches", "diffx_datasets.patches:Patches", "Random patches of photographs"),
        Component("stl10", "diffx_datasets.stl10:STL10", "Photographs of 10 kinds, 96x96"),
        Component("toy2d", "diffx_datasets.toy2d:Toy2D", "Points in the plane, generated"),
        Component(
            "webdataset",
            "diffx_datasets.webdataset:WebDataset",
            "Images in tar shards, with texts",
        ),
    ]
