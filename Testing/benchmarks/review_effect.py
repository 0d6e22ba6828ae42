"""What review is worth: test Dice after each round as a function of the corrected slices.

    python Testing/benchmarks/review_effect.py --dataset acdc --data FOLDER --output FOLDER

A simulated clinician knows the truth of a pool of unlabelled volumes and reviews their proposals
with `pseudolabelcl review`; then the next round trains. All strategies go on from the same round 0.
Calling it again with the same arguments goes on where it was interrupted and skips what is
finished; a longer list of seeds, budgets or strategies adds to it. The test volumes are
measured after all rounds of a strategy; nothing is selected on them.

On the hippocampus half of the development test volumes are the pool and only the other half is
tested on, so these figures compare strategies with each other, not with other benchmarks.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from review_effect_data import acdc, hippocampus, write_case_tables
from review_effect_plot import write_plot, write_table
from simulated_clinician import (
    Choice,
    Effort,
    Proposal,
    Strategy,
    choose,
    corrected_file,
    counted,
    good_enough,
    mean_dice,
    slice_list,
    within_budget,
)
from whole_loop import Dataset

from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

# About one and two volumes of the data set.
BUDGETS = {"acdc": [10, 20], "hippocampus": [36, 72]}


@dataclass(frozen=True)
class Benchmark:
    """What all runs have in common; a folder belongs to one of these.

    Args:
        name: Of the data set.
        dataset: Files and roles; `unlabelled` holds the pool and what has no truth.
        pool: Volumes whose truth the clinician knows.
        profile: Of the project.
        settings: NAME=VALUE beside it.
        num_joint_rounds: Rounds after round 0, a review before each.
        accept_threshold: Hidden Dice from which on `accept-good` accepts.
    """

    name: str
    dataset: Dataset
    pool: tuple[int, ...]
    profile: str
    settings: tuple[str, ...]
    num_joint_rounds: int
    accept_threshold: float


@dataclass(frozen=True)
class Run:
    """One strategy from the shared round 0 to the last round."""

    seed: int
    strategy: Strategy
    budget: int | None

    @property
    def name(self) -> str:
        """Of its project and of its result."""
        budget = "" if self.budget is None else f"-{self.budget}"
        return f"seed{self.seed}-{self.strategy.value}{budget}"


@dataclass(frozen=True)
class Service:
    """What is measured, where everything lies, and which device trains."""

    benchmark: Benchmark
    data: Path
    output: Path
    device: str

    def project(self, name: str) -> Path:
        """All projects are neighbours, so a copy finds its images by the same relative paths."""
        return self.output / "projects" / name

    def result(self, name: str) -> Path:
        return self.output / "runs" / f"{name}.json"


def main() -> None:
    # so that the command under way ends too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = _arguments()
    data = arguments.data.absolute()
    if arguments.dataset == "acdc":
        dataset, pool = acdc(arguments.extra_unlabelled)
    else:
        dataset, pool = hippocampus(data, arguments.extra_unlabelled)
    benchmark = Benchmark(
        arguments.dataset, dataset, pool, arguments.profile, tuple(arguments.set),
        arguments.rounds, arguments.accept_threshold,
    )  # fmt: skip
    service = Service(benchmark, data, arguments.output.absolute(), arguments.device)
    _claim(service)
    budgets = arguments.budgets or BUDGETS[arguments.dataset]
    strategies = [Strategy(name) for name in arguments.strategies]
    for run in planned_runs(arguments.seeds, budgets, strategies):
        if not service.result(run.name).exists():
            print(f"\n=== {run.name}", flush=True)
            _carry_out(service, run)
        results = sorted((service.output / "runs").glob("seed*.json"))
        records = [json.loads(path.read_text()) for path in results]
        _write_json(service.output / "results.json", records)
        write_table(service.output / "review_effect.md", records)
        write_plot(service.output / "review_effect.png", records, benchmark.name)
    print((service.output / "review_effect.md").read_text())


def planned_runs(
    seeds: list[int], budgets: list[int], strategies: list[Strategy]
) -> tuple[Run, ...]:
    """Every run once, seed by seed, `doubt-cases` before those that keep to its pace.

    It is added where it is missing and one of those is asked for.
    """
    wanted = set(strategies)
    if any(strategy.corrects for strategy in wanted):
        wanted.add(Strategy.DOUBT_CASES)
    in_order = [strategy for strategy in Strategy if strategy in wanted]
    return tuple(
        run
        for seed in dict.fromkeys(seeds)
        for run in (
            *(Run(seed, strategy, None) for strategy in in_order if not strategy.corrects),
            *(
                Run(seed, strategy, budget)
                for budget in dict.fromkeys(budgets)
                for strategy in in_order
                if strategy.corrects
            ),
        )
    )


def _claim(service: Service) -> None:
    """Keep results of other data or settings out of the folder."""
    file = service.output / "benchmark.json"
    told = json.loads(json.dumps(asdict(service.benchmark)))
    if file.exists() and json.loads(file.read_text()) != told:
        raise SystemExit(f"'{service.output}' holds results of other settings; name a new folder.")
    (service.output / "projects").mkdir(parents=True, exist_ok=True)
    (service.output / "runs").mkdir(exist_ok=True)
    _write_json(file, told)
    write_case_tables(service.output, service.benchmark.dataset, service.data)


def _carry_out(service: Service, run: Run) -> None:
    """Bring a run from wherever it stands to its result."""
    start = _start(service, run.seed)
    root = service.project(run.name)
    if not root.exists():
        passing = root.with_name(f".copying-{root.name}")
        shutil.rmtree(passing, ignore_errors=True)
        shutil.copytree(start, passing)
        passing.replace(root)
    project = load_project(root)
    while not _is_done(project, service.benchmark.num_joint_rounds):
        if project.rounds[-1].state is RoundState.IN_REVIEW:
            review_round(service, run, project)
        _command("train", root, "--device", service.device)
        project = load_project(root)
    joint_rounds = list(range(1, service.benchmark.num_joint_rounds + 1))
    dice = _test_dice(service, start, [0]) | _test_dice(service, root, joint_rounds)
    _write_json(service.result(run.name), _record(service, run, project, dice))


def _start(service: Service, seed: int) -> Path:
    """The project after round 0, which all strategies of a seed share."""
    root = service.project(f"seed{seed}-start")
    if not root.exists():
        settings = (*service.benchmark.settings, f"training.seed={seed}")
        _command(
            "create", root, "--table", service.output / "cases.csv",
            "--labels", service.benchmark.dataset.labels, "--profile", service.benchmark.profile,
            *(word for setting in settings for word in ("--set", setting)),
        )  # fmt: skip
    if not _is_done(load_project(root), 0):
        _command("train", root, "--device", service.device)
    return root


def _is_done(project: Project, num_joint_rounds: int) -> bool:
    latest = project.latest_round
    return (
        latest is not None
        and latest.index == num_joint_rounds
        and latest.state is RoundState.IN_REVIEW
    )


def review_round(service: Service, run: Run, project: Project) -> None:
    """Review the newest round; the same again where an interrupted review is repeated."""
    root, index = service.project(run.name), project.rounds[-1].index
    proposals = list(_proposals(service, run, project, index))
    if run.strategy is Strategy.ACCEPT_GOOD:
        accepted = good_enough(proposals, service.benchmark.accept_threshold)
        if accepted:
            _command("review", root, *accepted, "--accept", *_named(root, project, accepted))
        return
    if run.budget is None:
        return
    if run.strategy is Strategy.DOUBT_CASES:
        effort = within_budget(proposals, run.budget)
    else:
        effort = _pace(service, run, index)
    rng = np.random.default_rng([run.seed, run.budget, index])
    _correct(service, run, project, choose(run.strategy, proposals, effort, rng))


def _pace(service: Service, run: Run, index: int) -> Effort:
    """What `doubt-cases` of the same seed and budget took on in this review."""
    pace_setter = replace(run, strategy=Strategy.DOUBT_CASES)
    record = json.loads(service.result(pace_setter.name).read_text())
    learned = record["rounds"][index + 1]
    return Effort(learned["new_cases"], learned["new_slices"])


def _correct(service: Service, run: Run, project: Project, choice: Choice) -> None:
    root, index = service.project(run.name), project.rounds[-1].index
    for case_id, slices in choice.items():
        proposal = _read(ProjectLayout(root).proposal(index, case_id), project)
        truth = _read(service.benchmark.dataset.label(service.data, int(case_id)), project)
        axis = array_axis(project.slicing_axis_of(case_id))
        file = service.output / "corrections" / run.name / f"round{index}-{case_id}.seg.nrrd"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_segmentation(file, corrected_file(proposal, truth, slices, axis), project.schema)
        named = _named(root, project, [case_id])
        _command("review", root, case_id, "--correct", file, "--slices", slice_list(slices), *named)


def _named(root: Path, project: Project, case_ids: Iterable[str]) -> list[str]:
    """How a command names the newest proposals of cases."""
    found = [newest_proposal(root, project, case_id) for case_id in case_ids]
    return ["--proposal", *(f"{one.round_index}:{one.fingerprint}" for one in found)]


def _proposals(service: Service, run: Run, project: Project, index: int) -> Iterator[Proposal]:
    """The pool's proposals of a round, as they were before anybody reviewed them."""
    layout = ProjectLayout(service.project(run.name))
    for number in service.benchmark.pool:
        case_id = f"{number:03d}"
        path = layout.proposal(index, case_id)
        if not path.exists():
            continue
        truth = _read(service.benchmark.dataset.label(service.data, number), project)
        doubt = json.loads(layout.doubt(index, case_id).read_text())
        yield Proposal(
            case_id,
            doubt["doubt"],
            tuple(doubt["doubt_per_slice"]),
            open_slices(project, case_id, index),
            mean_dice(_read(path, project), truth, project.schema.values),
        )


def open_slices(project: Project, case_id: str, index: int) -> tuple[int, ...]:
    """Slices of a case that no review of a round before `index` confirms."""
    confirmed: set[int] = set()
    for review in project.truth_reviews_of(case_id):
        if review.round_index < index:
            confirmed.update(_slices_of(project, review))
    return tuple(n for n in range(project.num_slices_of(case_id)) if n not in confirmed)


def _slices_of(project: Project, review: Review) -> tuple[int, ...]:
    if review.truth_slices is not None:
        return review.truth_slices
    return tuple(range(project.num_slices_of(review.case_id)))


def corrections_of(project: Project, round_index: int) -> Choice:
    """What was corrected of a round's proposals."""
    return {
        review.case_id: _slices_of(project, review)
        for review in project.reviews
        if review.round_index == round_index and review.verdict is Verdict.CORRECTED
    }


def _record(
    service: Service,
    run: Run,
    project: Project,
    dice: dict[int, dict[str, float]],
) -> dict[str, object]:
    rounds, slices_in_all = [], 0
    for index in range(service.benchmark.num_joint_rounds + 1):
        new = counted(corrections_of(project, index - 1))
        slices_in_all += new.num_slices
        accepted = [
            review.case_id
            for review in project.reviews
            if review.round_index == index - 1 and review.verdict is Verdict.ACCEPTED
        ]
        rounds.append(
            {
                "round": index,
                "new_cases": new.num_cases,
                "new_slices": new.num_slices,
                "slices_in_all": slices_in_all,
                "accepted": accepted,
                "mean_dice": float(np.mean(list(dice[index].values()))),
                "dice": dice[index],
                "proposals": {
                    proposal.case_id: {"doubt": proposal.doubt, "dice": proposal.dice}
                    for proposal in _proposals(service, run, project, index)
                },
            }
        )
    return {
        "seed": run.seed,
        "strategy": run.strategy.value,
        "budget": run.budget,
        "rounds": rounds,
    }


def _test_dice(service: Service, root: Path, rounds: list[int]) -> dict[int, dict[str, float]]:
    """Mean Dice over the structures of each test volume, round by round, measured once."""
    file = service.output / "runs" / f".test-{root.name}.json"
    if not file.exists():
        _command(
            "evaluate", root, "--table", service.output / "test.csv", "--rounds", *rounds,
            "--output", file, "--device", service.device,
        )  # fmt: skip
    models = json.loads(file.read_text())["models"]
    return {
        index: {case["id"]: _mean(case["quality"]["classes"]) for case in model["cases"]}
        for index, model in zip(rounds, models, strict=True)
    }


def _mean(classes: list[dict]) -> float:
    return float(np.mean([quality["dice"] for quality in classes if quality["dice"] is not None]))


def _read(path: Path, project: Project) -> LabelVolume:
    return read_segmentation(path, project.schema)[0]


def _command(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "PseudoLabelCLLib", *map(str, words)], check=False)
    if done.returncode:
        raise SystemExit(f"'{words[0]}' failed, as told above; call again to go on from there.")


def _write_json(path: Path, value: object) -> None:
    passing = path.with_name(f"{path.name}.part")
    passing.write_text(json.dumps(value, indent=1))
    passing.replace(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=list(BUDGETS), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="a new folder, or to go on with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--budgets", type=int, nargs="+", help="slices for one review (default: 10 20 or 36 72)"
    )
    parser.add_argument(
        "--strategies", nargs="+", default=[s.value for s in Strategy], metavar="STRATEGY",
        choices=[s.value for s in Strategy], help="default: all of %(choices)s",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=2, help="joint rounds after round 0")
    parser.add_argument("--accept-threshold", type=float, default=0.85, metavar="DICE")
    parser.add_argument("--extra-unlabelled", type=int, default=0, metavar="N")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
