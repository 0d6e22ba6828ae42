"""The types of arrays in annotations, with their shapes: `Float[Tensor, "batch rows columns"]`.

The tests check every shape with jaxtyping, which they load first. A program that runs does not
need the package: there the shapes are for the reader, and `Float[Tensor, ...]` is `Tensor`.
"""

import sys
from typing import TYPE_CHECKING, Any

__all__ = ["Bool", "Float", "Int", "UInt8"]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, UInt8
else:

    class _AnyShape:
        """Stands for a type of array with a shape, and is the type of array alone."""

        def __class_getitem__(cls, array_and_shape: tuple[Any, str]) -> Any:
            return array_and_shape[0]

    Bool = Float = Int = UInt8 = _AnyShape
