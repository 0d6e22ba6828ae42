"""The ACDC benchmark: which method is worth what, on which recipe, with how many labelled volumes.

    python Testing/benchmarks/acdc.py --data FOLDER --output FOLDER \\
        --labelled 1 2 --combination c1 c2 c3 --method baseline inter default \\
        --recipe paper strong --profile quick --seed 0
    python Testing/benchmarks/acdc_table.py FOLDER

`FOLDER` of the data holds `images/` and `labels/` with names such as patient002.nii.gz. Every cell
of the product that exists is run, seed by seed and combination by combination, through the
command line that a person uses. Stop it at any time: the same call goes on where it stood, and
leaves alone what is finished. Round 0 and the pre-training are shared by the cells that have them
in common; their time counts in each. The test volumes are measured once, after all rounds, and
select nothing. `acdc_protocol.py` tells what the methods and recipes are.
"""

import argparse
import itertools
import signal
import sys
import time
from pathlib import Path

from acdc_protocol import COMBINATIONS, Cell, ProtocolError, Recipe, cells_of, parse_method
from acdc_run import Bench, run_cell, say
from acdc_stages import StageFailedError, require_data

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError


def main() -> int:
    """Run every cell that was asked for and return how many failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped; the same call goes on."))
    arguments = _arguments()
    cells, bench = _wanted_cells(arguments), _bench(arguments)
    deadline = time.monotonic() + 60 * arguments.minutes
    failed = 0
    for number, cell in enumerate(cells, start=1):
        if time.monotonic() > deadline:
            say(f"The {arguments.minutes:g} minutes are over; the same call goes on from here.")
            break
        say(f"{number} of {len(cells)}: {cell.name}")
        try:
            run_cell(bench, cell)
        except (StageFailedError, PseudoLabelCLError) as error:
            failed += 1
            say(f"  FAILED: {error}")
    return failed


def _wanted_cells(arguments: argparse.Namespace) -> list[Cell]:
    """Every cell of the product that exists.

    Raises:
        SystemExit: There is none.
    """
    recipes = [Recipe(text) for text in arguments.recipe]
    profile = Profile(arguments.profile)
    try:
        methods = [parse_method(text) for text in arguments.method]
        choices = (arguments.labelled, arguments.combination, methods, recipes, arguments.seed)
        cells = list(
            cells_of(
                methods, recipes, profile,
                labelled=arguments.labelled,
                combinations=arguments.combination,
                seeds=arguments.seed,
            )
        )  # fmt: skip
        if not cells:  # the first says why
            number, combination, method, recipe, seed = next(itertools.product(*choices))
            Cell(number, combination, method, recipe, profile, seed)
    except ProtocolError as error:
        raise SystemExit(f"{error.message} {error.remedy}") from error
    left_out = len(list(itertools.product(*choices))) - len(cells)
    if left_out:
        say(f"{left_out} cells of the product do not exist and are left out.")
    return cells


def _bench(arguments: argparse.Namespace) -> Bench:
    data = arguments.data.absolute()
    require_data(data)
    profile = Profile(arguments.profile)
    try:
        config = config_from_arguments(profile.value, arguments.set)
    except PseudoLabelCLError as error:
        raise SystemExit(f"{error.message} {error.remedy}") from error
    output = arguments.output.absolute()
    (output / "results").mkdir(parents=True, exist_ok=True)
    return Bench(
        data,
        output,
        tuple(arguments.set),
        arguments.rounds or 1 + config.training.num_joint_rounds,
        arguments.equal_time,
        arguments.device,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Methods: baseline, self-training, intra, inter, consistency, inter+consistency, "
        "default, upper-bound; before each may stand a pre-training, as in global+local:inter or "
        "positional:baseline.",
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--labelled", type=int, nargs="+", choices=[*COMBINATIONS], default=[1])
    parser.add_argument(
        "--combination", nargs="+", choices=[*COMBINATIONS[1]], default=[*COMBINATIONS[1]]
    )
    parser.add_argument("--method", nargs="+", required=True, metavar="METHOD")
    parser.add_argument(
        "--recipe", nargs="+", choices=[recipe.value for recipe in Recipe], required=True
    )
    parser.add_argument("--profile", choices=[p.value for p in Profile], default="quick")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rounds", type=int, help="round 0 included (default: the profile's)")
    parser.add_argument(
        "--equal-time", type=float, metavar="FACTOR",
        help="steps of the baseline for one joint step (default: counts slices)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="begin no cell after so long"
    )
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
