"""Tensors as bytes without pickle: safetensors, and beside it the tree that the tensors hang in.

A file holds numbers, texts and tensors and nothing that could run. What an earlier version wrote
with `torch.save` is read as well, by a PyTorch whose reader is safe; it is never written.
"""

import io
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.torch_version import refuse_old_torch
from PseudoLabelCLLib.storage.files.atomic_files import storage_error, write_bytes
from PseudoLabelCLLib.storage.files.regular_files import opened_regular, read_regular
from PseudoLabelCLLib.storage.project.safetensors_header import TensorFileError, checked_metadata

# The widest network that can be set up has a checkpoint of some gigabytes.
MAX_FILE_BYTES = 2**34
_ZIP_MARK = b"PK\x03\x04"
# What the tree is called among the texts that a safetensors file may hold.
_TREE = "tree"


def write_tensor_file(path: Path, content: dict[str, Any]) -> None:
    """Write what `tensor_bytes` makes of the content.

    Raises:
        StorageError: The disk refuses.
    """
    write_bytes(path, tensor_bytes(content))


def read_tensor_file(path: Path, device: torch.device) -> Any:
    """Return the content of a file that `write_tensor_file`, or an earlier version, wrote.

    Raises:
        ValueError: It is not such a file, or damaged.
        StorageError: The disk refuses, or it is not a regular file.
        PackageError: It is of an earlier version and PyTorch is too old to open that.
    """
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    return tensors_of(data, device)


def is_of_earlier_version(path: Path) -> bool:
    """Return whether `torch.save` of an earlier version wrote a file.

    Raises:
        StorageError: The disk refuses, or it is not a regular file.
    """
    try:
        with opened_regular(path) as file:
            return file.read(len(_ZIP_MARK)) == _ZIP_MARK
    except OSError as error:
        raise storage_error(path, error, action="read") from error


def tensor_bytes(content: dict[str, Any]) -> bytes:
    """Return the bytes of a safetensors file.

    Args:
        content: Tensors by their names; or dicts (names or whole numbers as keys), lists and tuples
            of tensors, numbers, texts and None.

    Raises:
        TypeError: Something else is in it.
    """
    tensors: dict[str, Tensor] = {}
    tree = _tree_of(content, "", tensors)
    if content.keys() == tensors.keys():  # plain weights: any program can read them
        return safetensors.torch.save(tensors)
    return safetensors.torch.save(tensors, {_TREE: json.dumps(tree)})


def tensors_of(data: bytes, device: torch.device) -> Any:
    """Return what `tensor_bytes` was given, or `torch.save` of an earlier version.

    Every tensor is contiguous in the memory order that it had, and has memory of its own.

    Raises:
        ValueError: It is neither, or damaged.
        PackageError: It is of an earlier version and PyTorch is too old to open that.
    """
    if data.startswith(_ZIP_MARK):
        return _content_of_earlier_version(data, device)
    try:
        told = checked_metadata(data).get(_TREE)
        tree = None if told is None else json.loads(told)
        tensors = {
            name: one.to(device, copy=True) for name, one in safetensors.torch.load(data).items()
        }
        return tensors if tree is None else _content_of(tree, tensors)
    except (
        safetensors.SafetensorError, KeyError, TypeError, AttributeError, RuntimeError,
    ) as error:  # fmt: skip
        raise TensorFileError(Text("it is damaged: {error}", error=error)) from error


def _tree_of(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        if name in tensors:
            raise TypeError(f"two tensors are called {name!r}")
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name, "channels_last": _is_channels_last(value)}
    if isinstance(value, dict):
        parts = value.items()
        return {"dict": [[_key(k), _tree_of(v, _joined(name, k), tensors)] for k, v in parts]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_tree_of(v, _joined(name, n), tensors) for n, v in enumerate(value)]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored: {value!r}")


def _content_of(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        tensor = tensors[tree["tensor"]]
        order = _channels_last(tensor) if tree["channels_last"] else torch.contiguous_format
        return tensor.contiguous(memory_format=order)
    if "dict" in tree:
        return {key: _content_of(value, tensors) for key, value in tree["dict"]}
    if "list" in tree:
        return [_content_of(value, tensors) for value in tree["list"]]
    return tuple(_content_of(value, tensors) for value in tree["tuple"])


def _content_of_earlier_version(data: bytes, device: torch.device) -> Any:
    refuse_old_torch()
    try:
        content = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except Exception as error:  # torch's reader raises whatever it meets
        raise TensorFileError(Text("it is damaged: {error}", error=type(error).__name__)) from error
    tensors = list(_tensors_in(content))
    # a stride of 0 makes a few bytes look like any number of them
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if num_bytes > len(data) or not all(map(_is_dense, tensors)):
        raise TensorFileError(Text("its tensors claim more than the file holds"))
    return content


def _tensors_in(content: Any) -> "list[Tensor]":
    if isinstance(content, Tensor):
        return [content]
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list | tuple):
        return [tensor for part in content for tensor in _tensors_in(part)]
    return []


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and (tensor.is_contiguous() or _is_channels_last(tensor))


def _is_channels_last(tensor: Tensor) -> bool:
    return (
        tensor.dim() in (4, 5)
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=_channels_last(tensor))
    )


def _channels_last(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last_3d if tensor.dim() == 5 else torch.channels_last


def _joined(name: str, key: object) -> str:
    return f"{name}/{key}" if name else str(key)


def _key(key: object) -> str | int:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise TypeError(f"{key!r} cannot be a name")
    return key
