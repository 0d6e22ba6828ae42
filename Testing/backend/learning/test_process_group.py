"""Two processes train as one does: the same gradients, averages and curve from half a batch each.

The processes start once, do everything that is looked at here, and end.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from forked_group import run_in_group
from learning_doubles import (
    CPU,
    CrowdedNetwork,
    Listener,
    make_generator,
    make_network,
    round_data,
    training_config,
)
from torch import nn

from PseudoLabelCLLib.distributed.rank import is_loss
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.method_config import CopyPasteConfig
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.checkpoint import read_checkpoint, restore, save_checkpoint
from PseudoLabelCLLib.learning.networks.shared_batch_norm import share_batch_norm
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.learning.training.training import (
    SmallerPartsError,
    Trainer,
    start_training,
)
from PseudoLabelCLLib.pipeline.processes.shared_work import shared_out

# Neither the batch nor the pairs' views can be divided by two.
BATCH_SIZE = 5
STAGE = Text("Doing")


@dataclass(frozen=True)
class Run:
    """A training of some steps, which may be the first or last of more."""

    joint: bool
    num_steps: int
    of_steps: int = 0
    num_parts: int = 1
    has_adam: bool = False
    rounding: float = 0.0


def trained(group, run, path=None, *, resumes=False):
    """Return curve, weights and running average; the checkpoint is taken up or written.

    Plain gradient descent shows a wrong gradient in the weights after one step; Adam would show
    its sign alone, where weights have no gradient but rounding.
    """
    config = training_config(num_steps=run.of_steps or run.num_steps, batch_size=BATCH_SIZE)
    config = replace(config, copy_paste=CopyPasteConfig(weight=1.0))
    data, stage = round_data(joint=run.joint), config.joint if run.joint else config.supervised
    network = make_network()
    with torch.no_grad():
        for weight in network.parameters():
            noise = torch.randn(weight.shape, generator=make_generator(9))
            weight.mul_(1 + run.rounding * noise)
    state = start_training(network, stage, CPU, 5)
    if not run.has_adam:
        state.optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    trainer = Trainer(state, data, config, CPU, replace(group, num_parts=run.num_parts))
    if resumes:
        restore(read_checkpoint(path, torch.device("cpu")), state, path)
    curve = []
    for step in trainer.steps():
        curve.append(list(step.losses.values()))
        if state.step == run.num_steps:
            break
    if path is not None and not resumes and group.is_first:
        save_checkpoint(path, state, {})
    return torch.tensor(curve), weights_of(state.network), weights_of(state.average)


def weights_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


RUNS = {
    "supervised step": Run(joint=False, num_steps=1),
    "joint step": Run(joint=True, num_steps=1),
    "joint step in parts": Run(joint=True, num_steps=1, num_parts=2),
}
BEGUN = Run(joint=True, num_steps=2, of_steps=4)
WHOLE = Run(joint=True, num_steps=4)
CURVES = {
    "supervised": Run(joint=False, num_steps=50, has_adam=True),
    "joint": Run(joint=True, num_steps=50, has_adam=True),
}


def normalised(kind, images, group):
    """Return outputs, gradients and averages of a layer on this process's share of images."""
    network = nn.Sequential(kind(3, momentum=0.3))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor((0.5, 1.0, 2.0)))
    if group.size > 1:
        share_batch_norm(network, group, torch.device("cpu"))
    own = images[group.own_share(len(images))].clone().requires_grad_()
    outputs = network(own)
    (outputs**3).sum().backward()
    gradients = torch.stack((network[0].weight.grad, network[0].bias.grad))
    group.add_up(gradients)
    return outputs.detach(), own.grad, gradients, weights_of(network)


def blocks():
    generator = make_generator(3)
    return {
        "2-D": (nn.BatchNorm2d, 5 + 3 * torch.randn((5, 3, 4, 4), generator=generator)),
        "3-D": (nn.BatchNorm3d, torch.randn((3, 3, 2, 4, 4), generator=generator)),
        "one image": (nn.BatchNorm2d, torch.randn((1, 3, 4, 4), generator=generator)),
        "no image": (nn.BatchNorm2d, torch.randn((0, 3, 4, 4), generator=generator)),
    }


def shared_items(group):
    """Return what the first process got and was told of items that both have done."""
    listener = Listener()

    def double(item, report):
        report.notice(Text("Item {item}", item=item))
        return group.rank, 2 * item

    results = shared_out(STAGE, range(7), double, group, listener)
    return results, sorted(str(text) for text, _ in listener.notices), listener.steps


def refused_item(group):
    def refuse(item, _report):
        if item == 3:
            raise VolumeError(Text("Item {item} is bad.", item=item))
        return item

    try:
        shared_out(Text("Refusing"), range(6), refuse, group, Listener())
    except VolumeError as error:
        return str(error)
    return ""


def run_out_of_memory(group):
    """The second process has room for no share of a whole batch."""
    config = training_config(num_steps=2, batch_size=BATCH_SIZE)
    network = CrowdedNetwork(1 if group.rank else 100)
    state = start_training(network, config.supervised, CPU, 5)
    trainer = Trainer(state, round_data(joint=False), config, CPU, group)
    try:
        list(trainer.steps())
    except SmallerPartsError as error:
        return error.num_parts, str(error)
    except RuntimeError as error:
        return is_loss(error)
    return None


def everything(group, folder):
    found = {name: trained(group, run) for name, run in RUNS.items()}
    found["begun"] = trained(group, BEGUN, folder / "checkpoint")
    group.any(flag=True)  # the checkpoint of the first is there
    found["resumed"] = trained(group, WHOLE, folder / "checkpoint", resumes=True)
    for name, (kind, images) in blocks().items():
        found[name] = normalised(kind, images, group)
    found["any"] = group.any(flag=group.rank == 1), group.any(flag=False)
    found["everyones"] = group.everyones([group.rank, "x"])
    found["first"] = group.as_first_has(f"of {group.rank}")
    found["items"] = shared_items(group)
    found["refused"] = refused_item(group)
    found["memory"] = run_out_of_memory(group)  # the last: one of them is lost in it
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("group") / "two"
    return *run_in_group(everything, folder), folder


def assert_close(ours, theirs, tolerance):
    far = [
        name
        for name, value in ours.items()
        if not torch.allclose(value.double(), theirs[name].double(), rtol=tolerance, atol=tolerance)
    ]
    assert not far


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_have_the_losses_weights_and_averages_of_one(both, name):
    curve, weights, average = trained(ALONE, RUNS[name])
    for found_curve, found_weights, found_average in (both[0][name], both[1][name]):
        assert torch.allclose(found_curve, curve, rtol=1e-6)
        assert_close(found_weights, weights, 1e-6)
        assert_close(found_average, average, 1e-6)


def test_the_processes_stay_the_same_to_the_last_bit(both):
    for name in (*RUNS, "resumed"):
        ours, theirs = both[0][name][1], both[1][name][1]
        assert all(torch.equal(ours[part], theirs[part]) for part in ours)


def test_another_number_of_processes_continues_from_the_checkpoint(both):
    curve, weights, _ = trained(ALONE, WHOLE)
    begun, resumed = both[0]["begun"], both[0]["resumed"]
    assert torch.allclose(torch.cat((begun[0], resumed[0])), curve, rtol=1e-5)
    rest, found, _ = trained(ALONE, WHOLE, both[2] / "checkpoint", resumes=True)
    assert torch.allclose(rest, curve[BEGUN.num_steps :], rtol=1e-5)
    assert_close(found, weights, 1e-3)


def curves(group, _folder):
    return {name: trained(group, run)[0] for name, run in CURVES.items()}


@pytest.mark.long
def test_curve_of_fifty_steps_is_that_of_one_process_up_to_what_rounding_does(tmp_path):
    found, _ = run_in_group(curves, tmp_path / "two")
    for name, run in CURVES.items():
        curve, _, _ = trained(ALONE, run)
        # training blows rounding up, with one process as well: so much for one more in a start
        rounded, _, _ = trained(ALONE, replace(run, rounding=torch.finfo(torch.float32).eps))
        assert torch.allclose(found[name][:3], curve[:3], atol=1e-5)
        assert (found[name] - curve).abs().max() < 3 * (rounded - curve).abs().max()


@pytest.mark.parametrize("name", blocks())
def test_batch_normalisation_sees_the_images_of_all_processes(both, name):
    kind, images = blocks()[name]
    outputs, into, gradients, weights = normalised(kind, images, ALONE)
    found = [one[name] for one in both[:2]]
    assert torch.allclose(torch.cat([one[0] for one in found]), outputs, atol=1e-5)
    assert torch.allclose(torch.cat([one[1] for one in found]), into, atol=1e-3, rtol=1e-4)
    assert torch.allclose(found[0][2], gradients, rtol=1e-4, atol=1e-3)
    assert_close(found[0][3], weights, 1e-6)


def test_what_one_process_wants_or_has_reaches_all(both):
    for one in both[:2]:
        assert one["any"] == (True, False)
        assert one["everyones"] == [0, "x", 1, "x"]
        assert one["first"] == "of 0"


def test_items_are_done_once_each_and_told_by_the_first_process(both):
    results, told, steps = both[0]["items"]
    assert [doubled for _, doubled in results] == [0, 2, 4, 6, 8, 10, 12]
    assert told == [f"Item {item}" for item in range(7)]
    assert steps[-1] == (STAGE, 7, 7)
    assert both[1]["items"] == ([], [], [])


def test_item_that_cannot_be_done_is_refused_by_the_first_process_whoever_met_it(both):
    assert both[0]["refused"] == "Item 3 is bad."


def test_process_without_memory_asks_for_smaller_parts_and_the_other_sees_it_gone(both):
    num_parts, words = both[1]["memory"]
    assert num_parts == 2
    assert words.startswith("The memory of the device of process 2 of 2 is too small")
    assert both[0]["memory"] is True


@pytest.mark.parametrize(("number", "size"), [(5, 2), (1, 4), (0, 3), (12, 3), (7, 5)])
def test_shares_are_even_and_cover_everything_once(number, size):
    shares = [ProcessGroup(rank, size).own_share(number) for rank in range(size)]
    assert [n for share in shares for n in range(number)[share]] == list(range(number))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == ProcessGroup(0, size).shares(number)


def test_process_alone_exchanges_nothing():
    values = torch.arange(3.0)
    assert ALONE.gathered(values, 3) is values
    ALONE.add_up(values)
    assert torch.equal(values, torch.arange(3.0))
    assert ALONE.any(flag=True)
    assert ALONE.everyones([1]) == [1]
    assert ALONE.as_first_has("own") == "own"
