"""The moment of a step in which weights change."""

import torch


class HalfDoneStepError(torch.OutOfMemoryError):
    """Memory ran out while weights were changed: some have taken the step, others have not.

    Neither can the step be done again, nor may such weights be kept.
    """


def take_step(optimizer: torch.optim.Optimizer) -> None:
    """Change the weights by their gradients.

    Raises:
        HalfDoneStepError: Memory ran out.
    """
    try:
        optimizer.step()
    except torch.OutOfMemoryError as error:
        raise HalfDoneStepError(str(error)) from None
