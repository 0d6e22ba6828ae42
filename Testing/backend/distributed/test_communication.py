"""What several GPUs exchange, beside figures worked out by hand."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from communication import (
    Link,
    Step,
    joint_step,
    rows_of,
    seconds_of_gather,
    seconds_of_step,
    seconds_of_sum,
)

from PseudoLabelCLLib.domain.config import Profile

SLOW = Link("slow", 1000.0, 0.5)


def test_ring_sends_each_part_around_twice_for_a_sum_and_once_for_a_gather():
    # 4 GPUs, 400 bytes: parts of 100 bytes take 0.1 s and the delay 0.5 s, 6 or 3 times
    assert seconds_of_sum(400, 4, SLOW) == pytest.approx(3.6)
    assert seconds_of_gather(400, 4, SLOW) == pytest.approx(1.8)


def test_step_adds_up_what_it_exchanges():
    step = Step(8, 400, 400, num_sums=3, sum_bytes=1000, operations=0.0)
    # small sums: 2 doublings there and back, 2 s each
    assert seconds_of_step(step, 4, SLOW) == pytest.approx(3.6 + 1.8 + 3 * 2.0 + 1.0)


def test_sizes_are_those_of_the_profile():
    step = joint_step(Profile.PAPER, 64)
    # 20 slices with truth and 10 pairs; logits of 4 classes, embeddings of 16, in bfloat16
    assert step.num_slices == 40
    assert step.output_bytes == 64 * 64 * 2 * (20 * 4 + 20 * 16)
    assert step.num_sums % 2 == 0
    assert step.gradient_bytes > 4_000_000


def test_time_to_compute_goes_by_the_process_with_the_most_slices():
    step = Step(10, 0, 0, 0, 0, operations=10e12)
    computing = [float(row[-1]) for row in rows_of(step, tflops=1.0)]
    assert computing == [3000.0, 2000.0, 1000.0]
