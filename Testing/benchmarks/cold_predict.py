"""From the call of `predict` to one segmentation on disk, with this version and an earlier one.

    python Testing/benchmarks/cold_predict.py EARLIER MODEL IMAGE [--times 3]

EARLIER is a folder with the earlier version's sources. The two take turns, each time in a new
process; before the first of each, one run that does not count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[2]


def seconds(sources: Path, model: Path, image: Path) -> float:
    """Return how long one call took, from its start to its end."""
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "PseudoLabelCLLib", "predict", str(model), str(image)]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--output", folder],
            env=environment, cwd=sources, check=True, capture_output=True,
        )  # fmt: skip
        return time.perf_counter() - start


def main() -> None:
    """Print both times of every turn, and the ratio of their sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    model, image = arguments.model.absolute(), arguments.image.absolute()
    versions = (arguments.earlier.absolute(), HERE)
    for sources in versions:
        seconds(sources, model, image)
    turns = [[seconds(one, model, image) for one in versions] for _ in range(arguments.times)]
    for earlier, now in turns:
        print(f"earlier {earlier:.1f} s, now {now:.1f} s")
    print(f"ratio {sum(now for _, now in turns) / sum(earlier for earlier, _ in turns):.2f}")


if __name__ == "__main__":
    main()
