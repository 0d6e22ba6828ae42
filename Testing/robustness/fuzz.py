"""Change files that a stranger may send, read them, and count what comes of it.

    python Testing/robustness/fuzz.py --json 10000 --models 2000 --headers 2000 --lines 3000

A trial changes a file of a project, a model, the header of an image or a line of a protocol, and
lets the program read it. Every trial must end in an answer or in a sentence: no other exception, no
trial of more than 5 s of computing or five minutes of waiting, no file changed, no death of the
process, no more than a gigabyte of memory.

Trials run in children. A child that dies is counted by the kind of its death, and the next one goes
on behind that trial; neither the bytes nor the number of such a trial is kept or shown, since the
libraries that it ends in are others'. With --own, only our own readers see the files: then nothing
may die. Children are forks, which Windows does not have; `trial` runs anywhere.
"""

import argparse
import contextlib
import gc
import gzip
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "backend"))
from judging import accept, correct
from learning_doubles import make_network, model_card
from small_projects import GRID, drawn, make_project, put_in_review, write_drawing, write_image

from PseudoLabelCLLib.curation.cases.label_schema_file import read_label_schema, write_label_schema
from PseudoLabelCLLib.curation.export.model_card import read_model_card
from PseudoLabelCLLib.curation.review.plan_round import leave_out_doubtful, plan_next_round
from PseudoLabelCLLib.curation.review.verdict_history import replaced_verdicts
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.messages.job_messages import (
    Cancel,
    JobFailed,
    Line,
    decode_line,
    encode_line,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.messages.requests import Accept, OpenProject, ShowCase
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    ServiceReady,
    decode_message,
    decode_request,
    encode_message,
    encode_request,
)
from PseudoLabelCLLib.pipeline.learning_curve import (
    CurvePoint,
    read_learning_curve,
    write_learning_curve,
)
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model, write_model
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.process.job_files import read_job, write_job
from PseudoLabelCLLib.project_service.view_project import view_of
from PseudoLabelCLLib.storage.images.itk_files import check_header
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import foreign_parts, load_project
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

LONGEST_S = 5.0
LONGEST_WAIT_S = 300.0
MOST_MORE_BYTES = 2**30
KINDS = ("json", "models", "headers", "lines")
ODD_VALUES = (
    None, True, -1, 0, 2**63, 1e308, 1e-320, "", "..", "../../x", "/etc/x", "\x00", "\x1b[2J",
    "C:\\x", "\\\\server\\share", "a" * 5000, [], {}, [[]] * 50, {"schema_version": 99}, "con",
)  # fmt: skip
ODD_BYTES = (
    b"\x00",
    b"\xff",
    b"\n",
    b"\x1b",
    b"-1",
    b"99999999999",
    b"nan",
    b"1e999",
    b"../",
    b"{",
)


@dataclass
class Zoo:
    """What is changed: a project, models, images, lines; each as it was."""

    folder: Path
    root: Path
    json_files: tuple[Path, ...]
    models: tuple[Path, ...]
    images: tuple[Path, ...]
    lines: tuple[bytes, ...]
    originals: dict[Path, bytes] = field(default_factory=dict)

    @staticmethod
    def made(folder: Path) -> "Zoo":
        """Make it in an empty folder."""
        root, images = folder / "project", folder / "images"
        write_json_files(root)
        models = folder / "models"
        models.mkdir()
        write_model(models / "model.plcl", make_network(4), model_card())
        for name in ("a.nrrd", "a.nii", "a.nii.gz", "a.mha"):
            write_image(images / name)
        write_drawing(images / "a.seg.nrrd")
        write_volume(images / "b.nrrd", Volume(np.ones(GRID.array_shape, np.int16), GRID))
        suffixes = (".json", ".jsonl")
        files = sorted(path for path in root.rglob("*") if path.suffix in suffixes)
        zoo = Zoo(
            folder, root, tuple(files), tuple(models.iterdir()), tuple(sorted(images.iterdir())),
            made_lines(root),
        )  # fmt: skip
        zoo.originals = {p: p.read_bytes() for p in (*zoo.json_files, *zoo.models, *zoo.images)}
        return zoo


def write_json_files(root: Path) -> None:
    """Make a project with a file of every kind that it holds as JSON."""
    make_project(root)
    put_in_review(root, 0)
    array = drawn(shift=1)
    array[2, 1, 1:5] = 1
    file = write_drawing(root.parent / "drawn.seg.nrrd", array)
    project = accept(root, load_project(root), "other-1")
    project = correct(root, project, "other-1", file, extent=TruthExtent.CHANGED_VOXELS)
    preprocess_plan(root, project)
    layout = ProjectLayout(root)
    points = tuple(CurvePoint(n, {"total": 1 / (n + 1)}, 0.5) for n in range(3))
    write_learning_curve(layout.learning_curve(0), points)
    write_job(layout.job_folder("one"), TrainJob(str(root), 1, DeviceChoice.CPU))
    write_label_schema(root / "labels.json", project.schema)


def made_lines(root: Path) -> tuple[bytes, ...]:
    """Return lines of both protocols, in both directions."""
    view = view_of(root, load_project(root))
    shown = ProposalIdentity("other-1", 0, "0f" * 32)
    return (
        encode_line(Line("job", 1, Cancel())),
        encode_line(Line("job", 2, Progress("training", 1, 2, 3.5))),
        encode_line(Line("job", 3, JobFailed("Error", "m", "r", "t"))),
        encode_request(1, OpenProject("/a")),
        encode_request(2, ShowCase("a", 3, with_image=False)),
        encode_request(3, Accept((shown,), (1,))),
        encode_message(ServiceReady(1, 7)),
        encode_message(Answered(4, view)),
    )


def changed_bytes(data: bytes, rng: random.Random, most: int) -> bytes:
    """Return bytes with a few changes among the first `most`."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(max(1, min(len(found), most)))
        piece = slice(at, at + rng.choice((1, 1, 2, 4, 16, 100)))
        rng.choice(CHANGES)(found, piece, rng)
    return bytes(found)


def _put(found: bytearray, piece: slice, rng: random.Random) -> None:
    found[piece] = rng.choice(ODD_BYTES)


def _insert(found: bytearray, piece: slice, rng: random.Random) -> None:
    found[piece.start : piece.start] = rng.choice(ODD_BYTES) * rng.choice((1, 1, 3, 200))


def _repeat(found: bytearray, piece: slice, _: random.Random) -> None:
    found[piece.start : piece.start] = found[piece]


def _delete(found: bytearray, piece: slice, _: random.Random) -> None:
    del found[piece]


def _cut(found: bytearray, piece: slice, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del found[piece.start :]


def _flip(found: bytearray, piece: slice, rng: random.Random) -> None:
    if found:
        found[piece.start] ^= 1 << rng.randrange(8)


def _noise(found: bytearray, piece: slice, rng: random.Random) -> None:
    if found:
        found[piece.start] = rng.randrange(256)


CHANGES = (_put, _insert, _repeat, _delete, _cut, _flip, _noise)


def changed_value(value: object, rng: random.Random) -> object:
    """Return a JSON value with an odd one somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        if rng.random() < 0.1:
            return {**value, rng.choice(("new", "", name.upper())): rng.choice(ODD_VALUES)}
        return {**value, name: changed_value(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        changed = [*value[:at], changed_value(value[at], rng), *value[at + 1 :]]
        return changed * rng.choice((1, 1, 1, 1, 2))
    return rng.choice(ODD_VALUES)


def changed_json(data: bytes, rng: random.Random) -> bytes:
    """Return JSON that is damaged, or whole with odd values."""
    way = rng.random()
    if way < 0.3:
        return changed_bytes(data, rng, len(data))
    if way < 0.33:
        return b"[" * 10_000 + b"]" * 10_000
    lines = data.splitlines() if data.count(b"\n{") else [data]
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = changed_value(value, rng)
    lines[at] = json.dumps(value).encode()
    return b"\n".join(lines)


def changed_model(data: bytes, rng: random.Random, folder: Path) -> bytes:
    """Return a model file that is damaged, or whole with an odd card or odd tensors."""
    import zipfile  # noqa: PLC0415 - of models alone

    if rng.random() < 0.4:
        places = (200, 2000, len(data))
        return changed_bytes(data, rng, rng.choice(places))
    source, target = folder / "source.zip", folder / "target.zip"
    source.write_bytes(data)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        card, weights = old.read("model.json"), old.read("weights.safetensors")
        if rng.random() < 0.6:
            card = changed_json(card, rng)
        else:
            weights = changed_bytes(weights, rng, rng.choice((8, 2000, len(weights))))
        names = rng.choice((("model.json", "weights.safetensors"),) * 9 + (("../x", "weights.pt"),))
        new.writestr(names[0], card, zipfile.ZIP_DEFLATED)
        new.writestr(names[1], weights, rng.choice((0, 0, 0, zipfile.ZIP_DEFLATED)))
    changed = target.read_bytes()
    source.unlink()
    target.unlink()
    return changed


def changed_image(path: Path, data: bytes, rng: random.Random) -> bytes:
    """Return an image with a damaged header, or with damaged packed voxels."""
    if path.name.endswith(".gz") and rng.random() < 0.8:
        return gzip.compress(changed_bytes(gzip.decompress(data), rng, 352), 1)
    if path.suffix in (".nii", ".gz"):
        return changed_bytes(data, rng, 352)
    end = max(data.find(b"\n\n"), data.find(b"ElementDataFile")) + 40
    return changed_bytes(data, rng, end if rng.random() < 0.9 else len(data))


def read_project(zoo: Zoo) -> Iterator[Callable[[], object]]:
    """Yield the ways in which the JSON files of a project are read."""
    root, layout = zoo.root, ProjectLayout(zoo.root)
    yield lambda: view_of(root, load_project(root))
    yield lambda: foreign_parts(root, load_project(root))
    yield lambda: [replaced_verdicts(layout, one) for one in load_project(root).reviews]
    yield lambda: leave_out_doubtful(root, load_project(root), plan_next_round(load_project(root)))
    yield lambda: settled_preprocess(root, load_project(root))
    yield lambda: read_learning_curve(layout.learning_curve(0))
    yield lambda: read_job(layout.job_folder("one") / "job.json")
    yield lambda: read_label_schema(root / "labels.json")


def changes_and_readings(
    zoo: Zoo, kind: str, rng: random.Random, *, own: bool
) -> tuple[Path | None, bytes, list[Callable[[], object]]]:
    """Return a file of the zoo, what becomes of it, and how it is read."""
    if kind == "lines":
        line = changed_bytes(rng.choice(zoo.lines), rng, 4000)
        ways = (decode_line, decode_request, decode_message)
        return None, line, [lambda way=way: way(line) for way in ways]
    if kind == "json":
        path = rng.choice(zoo.json_files)
        return path, changed_json(zoo.originals[path], rng), list(read_project(zoo))
    if kind == "models":
        path = rng.choice(zoo.models)
        data = changed_model(zoo.originals[path], rng, zoo.folder)
        ways = [lambda: read_model_card(path)]
        return path, data, ways if own else [*ways, lambda: read_model(path)]
    path = rng.choice(zoo.images)
    data = changed_image(path, zoo.originals[path], rng)
    return path, data, [lambda: check_header(path) if own else read_volume(path)]


def trial(zoo: Zoo, kind: str, seed: int, number: int, *, own: bool) -> str:
    """Run one trial and return what came of it: "read", "refused", or a fault in words."""
    rng = random.Random(f"{seed} {kind} {number}")
    path, data, ways = changes_and_readings(zoo, kind, rng, own=own)
    if path is not None:
        path.write_bytes(data)
    before, started = _contents(zoo), time.process_time()
    outcomes = [_outcome_of(way) for way in ways]
    faults = [one for one in outcomes if one not in ("read", "refused")]
    outcome = faults[0] if faults else max(outcomes)
    if time.process_time() - started > LONGEST_S:
        outcome = "too slow"
    if _contents(zoo) != before:
        outcome = "changed a file by reading"
        shutil.rmtree(zoo.root)
        write_json_files(zoo.root)
    if path is not None:
        path.write_bytes(zoo.originals[path])
    return outcome


def _outcome_of(way: Callable[[], object]) -> str:
    try:
        way()
    except PseudoLabelCLError as error:
        return "refused" if str(error).strip() else "refused without a word"
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
    return "read"


def _contents(zoo: Zoo) -> dict[str, str]:
    return {
        str(path): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in (zoo.folder).rglob("*")
        if path.is_file()
    }


def run(zoo: Zoo, kind: str, seed: int, total: int, *, own: bool) -> Counter[str]:
    """Run trials in children, each new one behind the trial in which the last one died."""
    outcomes: Counter[str] = Counter()
    done = 0
    while done < total:
        heard, death = _run_child(zoo, kind, seed, range(done, total), own=own)
        outcomes.update(heard)
        done += len(heard)
        if death:
            outcomes[death] += 1
            done += 1
            for path, data in zoo.originals.items():
                path.write_bytes(data)
    return outcomes


def _run_child(
    zoo: Zoo, kind: str, seed: int, numbers: range, *, own: bool
) -> tuple[list[str], str]:
    """Run trials in a fork; return what came of those it lived through, and how it died, if so."""
    reading, writing = os.pipe()
    gc.collect()
    child = os.fork()
    if not child:
        os.close(reading)
        _be_child(zoo, kind, seed, numbers, writing, own=own)
    os.close(writing)
    heard, text, death = [], b"", ""
    while True:
        # the child tells its own slow trials, by what it computes, since others may take the
        # processor from it; one that hangs tells nothing
        if not select.select([reading], [], [], LONGEST_WAIT_S)[0]:
            os.kill(child, signal.SIGKILL)
            death = "hung"
            break
        chunk = os.read(reading, 65_536)
        if not chunk:
            break
        text += chunk
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    heard = text.decode().splitlines()
    if not death and os.WIFSIGNALED(status):
        death = f"died of {signal.Signals(os.WTERMSIG(status)).name}"
    elif not death and os.WEXITSTATUS(status):
        death = f"ended with {os.WEXITSTATUS(status)}"
    return heard, death


def _be_child(zoo: Zoo, kind: str, seed: int, numbers: range, writing: int, *, own: bool) -> None:
    import resource  # noqa: PLC0415 - Windows has neither it nor forks

    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)  # libraries print past every setting
    if kind == "models" and not own:
        read_model(zoo.models[0])  # what is loaded at first use is no trial's time
    most = _peak_bytes(resource) + MOST_MORE_BYTES
    with contextlib.suppress(BrokenPipeError):
        for number in numbers:
            outcome = trial(zoo, kind, seed, number, own=own)
            if _peak_bytes(resource) > most:
                outcome, most = "took more than a gigabyte", _peak_bytes(resource)
            os.write(writing, f"{outcome}\n".encode())
    os._exit(0)


def _peak_bytes(resource: object) -> int:
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # type: ignore[attr-defined]
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> int:
    """Run the trials that are asked for and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="TRIALS")
    parser.add_argument("--seed", type=int, default=None, help="by default another one every time")
    parser.add_argument("--own", action="store_true", help="only our own readers see the files")
    arguments = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if arguments.seed is None else arguments.seed
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        zoo = Zoo.made(Path(folder))
        for kind in KINDS:
            started = time.monotonic()
            outcomes = run(zoo, kind, seed, getattr(arguments, kind), own=arguments.own)
            told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
            print(f"{kind}: {told or 'none'} ({time.monotonic() - started:.0f} s)", flush=True)
            is_good &= set(outcomes) <= {"read", "refused"}
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
