"""The results of the ACDC benchmark in one compact file, which `acdc_table.py` reads as well.

    python Testing/benchmarks/acdc_pack.py FOLDER FILE

FOLDER is an output of `acdc.py`. Settings that runs have in common are written once, under their
hash; measures have five digits,
and those of single volumes are lists in the order of the structures.
"""

import argparse
import hashlib
import json
import statistics
from pathlib import Path
from typing import Any

_DIGITS = 5
# What many runs have in common.
_SHARED = ("config", "roles", "hidden_truth")
_TESTS = ("test", "test_once")


def pack(results: Path) -> dict[str, Any]:
    """Return the results in a folder as one document."""
    shared: dict[str, Any] = {}
    runs = []
    for path in sorted(results.glob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        for name in _SHARED:
            text = json.dumps(run[name], sort_keys=True)
            key = hashlib.sha256(text.encode()).hexdigest()[:12]
            shared[key] = run[name]
            run[name] = key
        for test in _tests_of(run):
            test["volumes"] = {
                volume: [told["structures"].get(name) for name in test["structures"]]
                for volume, told in test["volumes"].items()
            }
        runs.append(_rounded(run))
    return {"shared": shared, "runs": runs}


def unpack(packed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results in a document, each as its own file had it."""
    shared = packed["shared"]
    runs = [{**run, **{name: shared[run[name]] for name in _SHARED}} for run in packed["runs"]]
    for run in runs:
        for test in _tests_of(run):
            test["volumes"] = {
                volume: _of_structures(dict(zip(test["structures"], dice, strict=True)))
                for volume, dice in test["volumes"].items()
            }
    return runs


def _tests_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [one[name] for one in run["rounds"] for name in _TESTS if name in one]


def _of_structures(dice: dict[str, float | None]) -> dict[str, Any]:
    found = {name: value for name, value in dice.items() if value is not None}
    return {"mean": statistics.fmean(found.values()), "structures": found}


def write(packed: dict[str, Any], file: Path) -> None:
    """Write a document with one line for each run and each set of settings."""
    parts = [
        '{"shared": {\n',
        ",\n".join(f'"{key}": {_line(value)}' for key, value in packed["shared"].items()),
        '\n}, "runs": [\n',
        ",\n".join(_line(run) for run in packed["runs"]),
        "\n]}\n",
    ]
    file.write_text("".join(parts), encoding="utf-8")


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def main() -> None:
    """Pack the results of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    write(pack(arguments.folder / "results"), arguments.file)


if __name__ == "__main__":
    main()
