"""Copy-paste: what is exchanged, and where."""

import numpy as np
import torch
from learning_doubles import make_generator

from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch
from PseudoLabelCLLib.learning.training.copy_paste import draw_boxes, exchange


def batch(value, number=3, shape=(8, 10)):
    targets = torch.zeros(number, 2, *shape)
    targets[:, int(value)] = 1
    return AugmentedBatch(torch.full((number, 1, *shape), float(value)), targets)


def test_exchange_takes_every_pixel_from_one_of_the_two_and_its_target_with_it():
    boxes = torch.rand((3, 1, 8, 10), generator=make_generator()) < 0.3
    mixed = exchange(batch(1), batch(0), boxes)
    for n in range(3):
        for r in range(8):
            for c in range(10):
                inside = bool(boxes[n, 0, r, c])
                assert mixed.images[n, 0, r, c] == (1 if inside else 0)
                assert mixed.images[3 + n, 0, r, c] == (0 if inside else 1)
    torch.testing.assert_close(mixed.targets[:, 1:], mixed.images)
    assert (mixed.targets.sum(dim=1) == 1).all()


def test_boxes_are_rectangles_of_the_asked_size_that_lie_anywhere_inside():
    boxes = draw_boxes(400, (20, 30), 0.4, make_generator(2)).numpy()[:, 0]
    assert boxes.shape == (400, 20, 30)
    for box in boxes:
        rows, columns = np.nonzero(box.any(axis=1))[0], np.nonzero(box.any(axis=0))[0]
        assert len(rows) == 8
        assert len(columns) == 12
        assert box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert box.sum() == 8 * 12
    # 13 x 19 places; in 400 draws each first row and column comes up
    assert {int(box.any(axis=1).argmax()) for box in boxes} == set(range(13))
    assert {int(box.any(axis=0).argmax()) for box in boxes} == set(range(19))
