"""What holds for every network of the package."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from diffx_core import Condition


def told(inputs, **changes):
    """The output's inputs, with some of them changed."""
    return inputs._replace(**changes)


def test_a_new_network_says_zero(case, inputs):
    assert not case.network()(*inputs).any()


def test_the_output_has_the_shape_and_the_dtype_of_x(trained, inputs):
    y = trained(*inputs)
    assert (y.shape, y.dtype) == (inputs.x.shape, inputs.x.dtype)


def test_every_parameter_takes_part_from_the_first_step(case, inputs):
    network = case.network()
    network(*inputs).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("num_classes", [3, None], ids=["classes", "no-classes"])
def test_every_parameter_gets_a_gradient(case, inputs, train, num_classes):
    network = train(case.network(num_classes))
    network(*inputs).square().sum().backward()
    assert [name for name, p in network.named_parameters() if not p.grad.any()] == []


def test_a_permuted_batch_gives_the_permuted_output(trained, inputs):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = told(
        inputs,
        x=inputs.x[order],
        noise_label=inputs.noise_label[order],
        cond=Condition(label=inputs.cond.label[order]),
    )
    assert_close(trained(*permuted), trained(*inputs)[order])


def test_no_example_sees_another(trained, inputs):
    x = inputs.x.requires_grad_()
    (gradient,) = torch.autograd.grad(trained(*inputs)[0].square().sum(), x)
    assert gradient[0].any()
    assert not gradient[1:].any()


def test_every_value_of_an_example_reaches_every_other(trained, inputs):
    x = inputs.x.requires_grad_()
    (gradient,) = torch.autograd.grad(trained(*inputs)[0].flatten()[0], x)
    assert gradient[0].all()


def test_the_noise_level_is_respected(trained, inputs):
    other = told(inputs, noise_label=inputs.noise_label + 1)
    change = (trained(*other) - trained(*inputs)).flatten(1)
    assert change.any(dim=1).all()


def test_the_class_is_respected(trained, inputs):
    other = told(inputs, cond=Condition(label=(inputs.cond.label + 1) % 3))
    change = (trained(*other) - trained(*inputs)).flatten(1)
    assert change.any(dim=1).all()


def test_forgotten_labels_equal_no_labels(trained, inputs):
    forgotten = trained(*told(inputs, cond=inputs.cond.forgotten()))
    assert torch.equal(forgotten, trained(*told(inputs, cond=Condition())))


def test_without_classes_labels_are_ignored(case, inputs, train):
    network = train(case.network(num_classes=None))
    assert torch.equal(network(*inputs), network(*told(inputs, cond=Condition())))


def test_without_classes_there_is_no_table(case):
    assert not any(isinstance(m, nn.Embedding) for m in case.network(num_classes=None).modules())


@pytest.mark.parametrize("label", [3, -2])
def test_a_label_that_is_no_class_is_an_error(trained, inputs, label):
    with pytest.raises(IndexError):
        trained(*told(inputs, cond=Condition(label=torch.full((6,), label))))


def test_bf16_autocast_stays_near_float32(trained, inputs):
    network = trained.float()
    single = told(inputs, x=inputs.x.float(), noise_label=inputs.noise_label.float())
    exact = network(*single)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(*single)
    # bf16 keeps 8 bits, and some ten roundings follow each other
    assert_close(rounded.float(), exact, atol=0.05 * exact.abs().max().item(), rtol=0)


def test_training_under_bf16_autocast_is_finite(trained, inputs):
    network = trained.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = network(inputs.x.float(), inputs.noise_label.float(), inputs.cond)
    y.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_the_graph_has_no_breaks_forward_or_backward(trained, inputs):
    found = []
    for network in (trained, torch.compile(trained, fullgraph=True, backend="aot_eager")):
        trained.zero_grad()
        y = network(*inputs)
        y.square().sum().backward()
        found.append([y, *(p.grad for p in trained.parameters())])
    for plain, compiled in zip(*found, strict=True):
        assert_close(compiled, plain)


def test_no_value_is_read_on_the_way(trained, inputs):
    on_meta = told(
        inputs,
        x=inputs.x.to("meta"),
        noise_label=inputs.noise_label.to("meta"),
        cond=inputs.cond.to("meta"),
    )
    assert trained.to("meta")(*on_meta).shape == inputs.x.shape


def test_no_random_number_is_drawn_on_the_way(trained, inputs):
    before = torch.get_rng_state()
    trained(*inputs)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_weights_are_all_of_the_state(case, trained, inputs):
    other = case.network()
    other.load_state_dict(trained.state_dict())
    assert trained.state_dict().keys() == dict(trained.named_parameters()).keys()
    assert torch.equal(other(*inputs), trained(*inputs))
