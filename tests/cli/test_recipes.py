"""Recipes: listed, printed, and read under what files and flags say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffx_cli.commands import COMMANDS, demo
from diffx_cli.line.resolve import resolve
from diffx_cli.recipes import recipe, recipes
from diffx_core.config import read_yaml
from diffx_core.plugins import Registry
from published_formats import (
    cifar_files,
    stl_files,
    write_celeba,
    write_folder,
    write_mnist,
    write_tar,
)

TRAIN = COMMANDS["train"]
NAMES = ["celeba64", "cifar10", "digits", "latents", "mnist", "stl10_96"]


def shown(diffx, *flags):
    result = diffx("train", *flags, "--dry-run", "--json")
    assert result.rc == 0, result.err
    return json.loads(result.out)


def test_all_recipes_are_listed_with_a_line_each(diffx):
    lines = [line.split(maxsplit=1) for line in diffx("recipes").out.splitlines()]
    assert [name for name, _ in lines] == NAMES
    assert all(text.endswith("steps") for _, text in lines)
    assert json.loads(diffx("recipes", "--json").out) == dict(lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_printed_as_the_file_that_it_is(diffx, name):
    Path("mine.yaml").write_text(diffx("recipes", name).out)
    values = {key: one.value for key, one in read_yaml(recipe(name)).items()}
    assert {key: one.value for key, one in read_yaml(Path("mine.yaml")).items()} == values
    assert len(values) > 8


def test_a_recipe_as_json_has_the_keys_of_flags(diffx):
    values = json.loads(diffx("recipes", "digits", "--json").out)
    assert (values["backbone"], values["train.steps"]) == ("unet", 800)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_says_how_many_steps_there_are(name):
    steps = read_yaml(recipe(name))["train.steps"].value
    assert recipes()[name].endswith(f": {steps} steps")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_whose_values_it_has(name):
    comment = "".join(
        line for line in recipe(name).read_text().splitlines() if line.startswith("#")
    )
    assert "arXiv:" in comment


@pytest.mark.parametrize("command", [("recipes",), ("train", "--recipe")], ids=" ".join)
def test_an_unknown_recipe_is_answered_with_those_that_there_are(diffx, command):
    result = diffx(*command, "cifar")
    assert result.rc == 2
    assert "unknown recipe 'cifar'" in result.err
    assert ", ".join(NAMES) in result.err
    assert result.err.count("\n") == 1


def test_the_recipe_of_digits_is_what_the_demo_trains():
    registry = Registry.load()
    ours = resolve(TRAIN, {"recipe": "digits"}, registry)
    demos = resolve(TRAIN, demo.TRAINED, registry)
    assert ours.sections == demos.sections
    for kind, one in ours.components.items():
        assert one.registered == demos.components[kind].registered
        assert one.options == demos.components[kind].options


def write_latents(root):
    root.mkdir()
    latents = torch.randn(8, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    shard = {"latents": latents, "label": torch.arange(8)}
    save_file(shard, root / "latents-00000.safetensors")


FILES = {
    "celeba64": write_celeba,
    "cifar10": lambda root: write_tar(
        root / "cifar-10-python.tar.gz", "cifar-10-batches-py", cifar_files()[0]
    ),
    "digits": None,
    "latents": write_latents,
    "mnist": write_mnist,
    "stl10_96": lambda root: write_folder(root / "stl10_binary", stl_files()[0]),
}
"""What writes a few examples in the format of each recipe's data."""
PARAMETERS = {"celeba64": 62e6, "cifar10": 56e6, "latents": 130e6}
"""Of the published networks, in tables of the papers that the recipes name."""


@pytest.fixture
def flags_of(tmp_path, monkeypatch):
    """The flags that train a recipe, on a few examples in the format of its data."""
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))

    def flags(name):
        if FILES[name] is None:
            return ["--recipe", name]
        FILES[name](tmp_path / "files")
        return ["--recipe", name, "--dataset.root", str(tmp_path / "files")]

    return flags


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_resolves_on_files_of_the_real_format(diffx, flags_of, name):
    facts = shown(diffx, *flags_of(name))
    for key, one in read_yaml(recipe(name), named=TRAIN.components).items():
        section, dot, option = key.partition(".")
        found = facts["config"][section]
        if not dot:
            assert found["name"].endswith(f":{one.value}")
        else:
            assert found[option] == one.value
    if name in PARAMETERS:
        assert facts["parameters"] == pytest.approx(PARAMETERS[name], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_takes_a_step_saves_and_draws_with_a_tiny_network(diffx, flags_of, name):
    few = ["--preset", "tiny", "--train.steps", "1", "--train.batch-size", "2", "--out", "run"]
    is_drawn = "preview.every" in read_yaml(recipe(name))
    if is_drawn:
        few += ["--preview.every", "1", "--preview.n", "1", "--preview.nfe", "2"]
    result = diffx("train", *flags_of(name), *few, "--device", "cpu")
    assert result.rc == 0, result.err
    weights = load_file("run/checkpoints/step-00000001/model.safetensors")
    assert all(one.isfinite().all() for one in weights.values())
    assert Path("run/samples/step-00000001.png").exists() == is_drawn


@pytest.mark.slow
def test_the_recipe_of_digits_trains(diffx):
    few = ("--train.steps", "40", "--device", "cpu")
    result = diffx("train", "--recipe", "digits", *few, "--out", "run")
    assert result.rc == 0, result.err
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    # A network that says nothing has loss 1 under this objective: the target has unit variance.
    assert losses[0] == pytest.approx(1, abs=0.1)
    assert losses[-1] < 0.85
    weights = load_file("run/checkpoints/step-00000040/model.safetensors")
    assert all(one.isfinite().all() for one in weights.values())


def test_a_file_wins_over_a_recipe_and_a_flag_over_both(diffx):
    Path("run.yaml").write_text("recipe: digits\ntrain: {lr: 0.1, warmup: 7}\n")
    config = shown(diffx, "--config", "run.yaml", "--train.warmup", "9")["config"]
    found = [config["train"][key] for key in ("steps", "lr", "warmup")]
    assert found == [800, 0.1, 9]
    assert config["ema"]["decay"] == 0.99


def test_a_component_that_takes_the_place_of_the_recipes_takes_none_of_its_options(diffx):
    result = diffx("train", "--recipe", "digits", "--backbone", "dit", "--dry-run", "--json")
    assert "--backbone dit replaces unet, so its options in the recipe are not used" in result.err
    assert json.loads(result.out)["config"]["backbone"]["preset"] == "tiny/4"


def test_a_file_may_take_the_place_of_a_recipes_component(diffx):
    Path("run.yaml").write_text("backbone: dit\n")
    result = diffx(*["train", "--recipe", "digits", "--config", "run.yaml", "--dry-run", "--json"])
    assert "run.yaml:1: backbone dit replaces unet" in result.err
    assert json.loads(result.out)["config"]["backbone"]["preset"] == "tiny/4"


def test_an_option_of_a_recipe_that_is_in_the_way_is_named_and_can_be_taken_back(diffx):
    flags = ("--recipe", "digits", "--ema.kind", "power")
    result = diffx("train", *flags, "--dry-run")
    assert result.rc == 2
    line = recipe("digits").read_text().splitlines().index("  decay: 0.99") + 1
    assert result.err.startswith(f"diffx: error: recipe digits:{line}: ema.decay: decay is 0.99")
    assert shown(diffx, *flags, "--ema.decay", "none")["config"]["ema"]["kind"] == "power"


def test_mistakes_beside_a_recipe_are_reported_together(diffx):
    result = diffx("train", "--recipe", "nope", "--train.lrr", "1", "--seed", "x")
    assert result.rc == 2
    assert len(result.err.splitlines()) == 3


def test_a_command_without_recipes_refuses_one(diffx):
    result = diffx("sample", "--recipe", "digits")
    assert result.rc == 2
    assert "--recipe: unknown option" in result.err
