"""The contrastive arms of the benchmark, against slow loops over single pixels."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from contrast_arms import ARMS, Embedded, Step
from contrast_memory import KEEP, UNKNOWN, Memory

SIZE, CLASSES, SIDE = 5, 3, 14


def unit(rows):
    rows = np.asarray(rows, float)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def blocks(seed):
    """A slice with two nested structures, some pixels unknown."""
    classes = torch.zeros((SIDE, SIDE), dtype=torch.long)
    classes[2:13, 1:12] = 1
    classes[4:11, 5:12] = 2
    classes[torch.rand((SIDE, SIDE), generator=torch.Generator().manual_seed(seed)) < 0.05] = (
        UNKNOWN
    )
    return classes


def embedded(seed, num_slices=3):
    generator = torch.Generator().manual_seed(seed)
    return Embedded(
        torch.randn((num_slices, SIZE, SIDE, SIDE), generator=generator, requires_grad=True),
        torch.stack([blocks(seed + n) for n in range(num_slices)]),
        torch.tensor([0, 1, 2])[:num_slices],
        torch.tensor([0, 0, 1])[:num_slices],
    )


def a_step(done=0.5):
    generator = torch.Generator().manual_seed(9)
    truth, unlabelled = embedded(0), embedded(5)
    memory = Memory(CLASSES, SIZE, torch.device("cpu"))
    memory.take(truth.embeddings, truth.classes, truth.thirds, generator)
    sure = 5 * torch.nn.functional.one_hot(unlabelled.classes.clamp(min=0), CLASSES)
    noise = torch.rand((3, SIDE, SIDE, CLASSES), generator=generator)
    teacher = (sure + noise).softmax(dim=-1).movedim(-1, 1)
    student = (noise * 3).softmax(dim=-1).movedim(-1, 1)
    return Step(truth, unlabelled, teacher, student, done, memory, generator)


def array(tensor):
    return tensor.detach().double().numpy()


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_moves_the_embeddings_and_is_a_number(name):
    step = a_step()
    loss = ARMS[name]().loss(step)
    assert loss.ndim == 0
    assert loss.item() > 0
    loss.backward()
    moved = [part.embeddings.grad for part in (step.truth, step.unlabelled)]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in moved)
    assert all(grad is None or grad.isfinite().all() for grad in moved)


def test_prototypes_are_running_means_of_each_third():
    memory = Memory(CLASSES, SIZE, torch.device("cpu"))
    first, second = embedded(0), embedded(3)
    generator = torch.Generator()
    for part in (first, second):
        memory.take(part.embeddings, part.classes, part.thirds, generator)
    for third in range(3):
        for number in range(CLASSES):
            means = [
                unit(array(part.embeddings[third]).reshape(SIZE, -1).T)[
                    part.classes[third].numpy().ravel() == number
                ].mean(axis=0)
                for part in (first, second)
            ]
            expected = KEEP * means[0] + (1 - KEEP) * means[1]
            np.testing.assert_allclose(memory.prototypes[third, number], expected, atol=1e-5)


def test_a_class_unknown_in_a_third_is_that_of_the_others():
    memory = Memory(2, SIZE, torch.device("cpu"))
    part = embedded(0, 1)
    memory.take(part.embeddings, part.classes.clamp(max=1), part.thirds, torch.Generator())
    found, is_known = memory.near(torch.tensor([0, 2]))
    assert is_known.all()
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def log_softmax(scores, index):
    scores = np.asarray(scores)
    return scores[index] - np.log(np.exp(scores - scores.max()).sum()) - scores.max()


def test_agreement_is_the_cross_entropy_with_prototypes_each_class_alike():
    step = a_step()
    of_class = {number: [] for number in range(CLASSES)}
    prototypes = unit(array(step.memory.prototypes))
    for n in range(3):
        for i, j in np.ndindex(SIDE, SIDE):
            number = int(step.truth.classes[n, i, j])
            if number != UNKNOWN:
                pixel = unit(array(step.truth.embeddings[n, :, i, j]))
                of_class[number].append(-log_softmax(prototypes[n] @ pixel / 0.1, number))
    expected = np.mean([np.mean(terms) for terms in of_class.values()])
    assert ARMS["prototype-agreement"]().loss(step).item() == pytest.approx(expected, rel=1e-4)


def test_agreement_believes_the_nearest_prototype():
    step = a_step()
    part = step.unlabelled
    believed = ARMS["prototype-agreement"]().believes(part.embeddings, part.thirds, step.memory)
    prototypes = unit(array(step.memory.prototypes))
    for n, i, j in ((0, 3, 3), (1, 7, 8), (2, 13, 0)):
        pixel = unit(array(part.embeddings[n, :, i, j]))
        assert int(believed[n, i, j]) == int((prototypes[n] @ pixel).argmax())
    empty = Memory(CLASSES, SIZE, torch.device("cpu"))
    arm = ARMS["prototype-agreement"]()
    assert arm.believes(part.embeddings, part.thirds, empty) is None


def test_centroids_of_a_case_go_to_the_prototypes_of_truth():
    step = a_step(done=0.5)
    teacher, prototypes = array(step.teacher), array(step.memory.prototypes)
    terms = []
    for case in (0, 1):
        own = [n for n in range(3) if int(step.unlabelled.cases[n]) == case]
        sums, mass = np.zeros((CLASSES, SIZE)), np.zeros(CLASSES)
        for n in own:
            for i, j in np.ndindex(SIDE, SIDE):
                if teacher[n, :, i, j].max() >= 0.9:
                    pixel = unit(array(step.unlabelled.embeddings[n, :, i, j]))
                    sums += teacher[n, :, i, j][:, None] * pixel
                    mass += teacher[n, :, i, j]
        near = unit(prototypes[own].mean(axis=0))
        for number in range(CLASSES):
            if mass[number] >= 64:
                scores = near @ unit(sums[number]) / 0.2
                terms.append(-log_softmax(scores, number))
    assert len(terms) > 1
    found = ARMS["centroid-alignment"]().loss(step).item()
    assert found == pytest.approx(np.mean(terms), rel=1e-4)
    assert ARMS["centroid-alignment"]().loss(a_step(done=0.0)).item() == 0


def test_boundary_anchors_lie_in_the_band_and_positives_inside():
    """One structure in the middle of a slice: the band is two pixels on either side."""
    classes = torch.zeros((1, 12, 24), dtype=torch.long)
    classes[:, :, 12:] = 1
    embeddings = torch.zeros((1, 2, 12, 24))
    embeddings[0, 0, :, :12], embeddings[0, 1, :, 12:] = 1, 1
    part = Embedded(embeddings, classes, torch.tensor([0]), torch.tensor([0]))
    empty = Embedded(embeddings[:0], classes[:0], part.thirds[:0], part.cases[:0])
    step = Step(
        part, empty, torch.zeros(0), torch.zeros(0), 0.5, Memory(2, 2, torch.device("cpu")),
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    # 24 pixels lie in the band on the other side: cosine 0, the own mean has 1
    expected = -log_softmax([10.0] + [0.0] * 24, 0)
    assert ARMS["boundary-band"]().loss(step).item() == pytest.approx(expected, rel=1e-3)


def test_published_loss_pairs_slices_of_the_same_third():
    step = a_step()
    thirds = step.unlabelled.thirds[[2, 0, 1]]
    shuffled = Embedded(
        step.unlabelled.embeddings[[2, 0, 1]], step.unlabelled.classes[[2, 0, 1]], thirds,
        step.unlabelled.cases,
    )  # fmt: skip
    arm = ARMS["published-loss"]()
    one = arm.loss(a_step())
    step.generator.set_state(a_step().generator.get_state())
    other = Step(step.truth, shuffled, step.teacher, step.student, 0.5, step.memory, step.generator)
    assert arm.loss(other).item() == pytest.approx(one.item(), rel=1e-5)


def test_hard_queries_are_those_of_which_only_the_teacher_is_sure():
    step = a_step()
    arm = ARMS["hard-queries"]()
    arm.loss(step).backward()
    touched = step.unlabelled.embeddings.grad.abs().sum(dim=1) > 0
    own = step.student.gather(1, step.unlabelled.classes.clamp(min=0)[:, None])[:, 0]
    may_be = (step.unlabelled.classes != UNKNOWN) & (own < 0.97)
    assert touched.any()
    assert not (touched & ~may_be).any()
    assert ARMS["hard-queries-weak"]().weight == 0.01
