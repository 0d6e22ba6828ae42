"""Slicer's .seg.nrrd written and read byte by byte, without the program or its libraries."""

import gzip

import numpy as np

TYPES = {"unsigned char": np.uint8, "short": np.int16, "int": np.int32}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


def write_nrrd(path, array, fields):
    """Write voxels of shape (k, j, i), or (k, j, i, layers), with key/value pairs."""
    several = array.ndim == 4
    sizes = array.shape[::-1]
    header = [
        "NRRD0005",
        f"type: {NAMES[array.dtype]}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {'none ' if several else ''}(1.5,0,0) (0,1.5,0) (0,0,6)",
        f"kinds: {'list ' if several else ''}domain domain domain",
        "endian: little",
        "encoding: gzip",
        "space origin: (-48,-42,-40)",
        *(f"{key}:={text}" for key, text in fields.items()),
    ]
    path.write_bytes("\n".join(header).encode() + b"\n\n" + gzip.compress(array.tobytes()))
    return path


def read_nrrd(path):
    """Return the voxels, (k, j, i), and the key/value pairs of a file of one layer."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    lines = head.decode().splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line and ":=" not in line)
    pairs = dict(line.split(":=", 1) for line in lines if ":=" in line)
    data = gzip.decompress(body) if fields["encoding"] in ("gz", "gzip") else body
    shape = tuple(int(n) for n in fields["sizes"].split())[::-1]
    return np.frombuffer(data, TYPES[fields["type"]]).reshape(shape), pairs


def masks_of(path):
    """Return the voxels of each named segment of a file of one layer."""
    array, pairs = read_nrrd(path)
    names = {key[:-5]: name for key, name in pairs.items() if key.endswith("_Name")}
    return {name: array == int(pairs[f"{key}_LabelValue"]) for key, name in names.items()}
