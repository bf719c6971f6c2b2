"""The page about the hooks tells of every hook and variable, and its examples work together."""

import inspect
import re
from pathlib import Path

import pytest

from diffx_core.plugins import HOOK_OF_KIND, KINDS, Hooks, Registry
from diffx_core.plugins.discovery import ALLOW, DISABLE
from diffx_core.plugins.registry import STRICT

PAGE = (Path(__file__).parents[3] / "docs" / "plugins" / "hooks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
HOOKS = [name for name in vars(Hooks) if name.startswith("diffx_")]
EXAMPLES = re.findall(r"```python\n# (\w+)/(\w+)\.py\n(.*?)```", PAGE, re.DOTALL)


def signature(hook):
    function = getattr(Hooks, hook)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    written = ", ".join(str(parameter) for parameter in parameters)
    returns = inspect.get_annotations(function)["return"]
    return f"def {hook}({written}) -> {str(returns).replace('diffx_core.plugins.component.', '')}"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_section_with_its_signature(hook):
    assert f"@hookimpl\n{signature(hook)}: ..." in SECTIONS[hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_section_says_what_the_specification_says(hook):
    assert inspect.getdoc(getattr(Hooks, hook)) in " ".join(SECTIONS[hook].split())


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example(hook):
    assert any(f"def {hook}(" in source for _, module, source in EXAMPLES if module == "plugin")


def test_every_kind_has_a_documented_hook():
    assert sorted(HOOK_OF_KIND.values()) == sorted(HOOKS)
    assert all(
        f"| [`{HOOK_OF_KIND[kind]}`](#{HOOK_OF_KIND[kind]}) | {kind} |" in PAGE for kind in KINDS
    )


@pytest.mark.parametrize("variable", [ALLOW, DISABLE, STRICT])
def test_every_variable_is_documented(variable):
    assert f"| `{variable}` |" in PAGE


@pytest.fixture
def example_classes(fake_distribution):
    packages = {package: {} for package, _, _ in EXAMPLES}
    for package, module, source in EXAMPLES:
        packages[package][module] = source
    for package, files in packages.items():
        fake_distribution(package.replace("_", "-"), files)
    registry = Registry.load({"DIFFX_PLUGINS": ",".join(packages)})
    return {registered.kind: registered.load() for registered in registry.all()}


def test_the_examples_make_a_model_that_samples(example_classes):
    import torch

    from diffx_core import PREDICTIONS, NetworkDenoiser, NoiseSource, sample

    data = example_classes["dataset"](size=64)
    batch = data.batch(torch.arange(8))
    denoiser = NetworkDenoiser(
        example_classes["backbone"](data.spec, width=8),
        example_classes["scheduler"](rate=3.0),
        PREDICTIONS["edm"],
        data.spec.sigma_data,
    )
    with torch.no_grad():
        x = sample(
            example_classes["sampler"](steps=3),
            denoiser,
            data.spec.shape,
            noise=NoiseSource(0, range(8)),
            cond=batch.cond,
        )
    assert x.shape == batch.x.shape
    assert x.isfinite().all()


def test_the_example_of_a_network_obeys_every_law(example_classes):
    from diffx_core.testing import BACKBONE_LAWS

    affine = example_classes["backbone"]
    unmeasured = [str(law) for law in BACKBONE_LAWS if not law.check(affine).measured]
    assert unmeasured == [
        "context tokens that are there matter, and no others, or they are refused",
        "the image beside x matters, or is refused",
    ]
    assert f"{len(BACKBONE_LAWS)} laws" in PAGE.replace("sixteen", "16")


def test_the_example_of_a_dataset_obeys_every_law(example_classes):
    from diffx_core.testing import DATASET_LAWS

    ring = example_classes["dataset"](size=64)
    unmeasured = [str(law) for law in DATASET_LAWS if not law.check(ring).measured]
    assert unmeasured == ["values stay within their range", "values are at their levels"]
    assert f"{len(DATASET_LAWS)} laws" in PAGE.replace("nineteen", "19")


def test_the_example_of_a_text_encoder_obeys_every_law(example_classes):
    from diffx_core.testing import TEXT_LAWS

    assert all(law.check(example_classes["text"]()).measured for law in TEXT_LAWS)
    assert f"{len(TEXT_LAWS)} laws" in SECTIONS["diffx_text_encoders"].replace(
        "ten laws", "10 laws"
    )


def test_the_example_of_a_metric_obeys_every_law(example_classes):
    from diffx_core.testing import METRIC_LAWS

    assert all(law.check(example_classes["metric"]()).measured for law in METRIC_LAWS)
    assert f"{len(METRIC_LAWS)} laws" in SECTIONS["diffx_metrics"].replace("ten laws", "10 laws")


def test_the_example_of_a_logger_obeys_every_law_and_writes_what_it_is_told(
    example_classes, tmp_path
):
    import torch

    from diffx_core.testing import LOGGER_LAWS

    lines = example_classes["logger"]
    assert all(law.check(lines()).measured for law in LOGGER_LAWS)
    assert f"{len(LOGGER_LAWS)} laws" in SECTIONS["diffx_loggers"].replace("ten laws", "10 laws")
    logger = lines(digits=2)
    logger.start(tmp_path, {}, 4)
    logger.scalars(5, {"loss": 0.125, "lr": 1e-4})
    logger.images(5, torch.zeros(3, 1, 2, 2, dtype=torch.uint8))
    logger.finish("finished")
    written = (tmp_path / "figures.txt").read_text()
    assert written == "from step 4\n5: loss 0.12, lr 0.0001\n5: 3 images were drawn\nfinished\n"
