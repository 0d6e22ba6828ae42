"""Two processes with gloo, forked from the tests' own: they begin in no time."""

import multiprocessing
import os
import pickle
import sys
import traceback
import warnings
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed

from PseudoLabelCLLib.learning.process_group import ProcessGroup

PATIENCE_S = 120
# Elsewhere a forked process may not use what its parent has loaded.
CONTEXT = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def run_in_group(work, folder, size=2):
    """Return what `work(group, folder)` returned in each process; None where it ended without."""
    folder.mkdir()
    start_both(_begin, [(work, folder, rank, size) for rank in range(size)])
    found = [folder / f"result-{rank}" for rank in range(size)]
    failed = [path.read_text() for path in folder.glob("error-*")]
    assert not failed, "\n".join(failed)
    return [pickle.loads(path.read_bytes()) if path.exists() else None for path in found]


def start_both(work, arguments):
    """Run `work` in processes, each with arguments of its own, until all have ended."""
    processes = [CONTEXT.Process(target=work, args=own) for own in arguments]
    with warnings.catch_warnings():
        # the threads of the tests wait for work, and hold nothing that the new process needs
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in processes:
            process.start()
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()


def _begin(work, folder, rank, size):
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    torch.set_num_threads(1)
    try:
        store = torch.distributed.FileStore(str(folder / "store"), size)
        torch.distributed.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=60)
        )
        group = ProcessGroup(
            rank, size, folder=folder, control=torch.distributed.new_group(backend="gloo"),
            store=torch.distributed.PrefixStore("work", store),
        )  # fmt: skip
        result = work(group, folder)
        (folder / f"result-{rank}").write_bytes(pickle.dumps(result))
    except BaseException:  # noqa: BLE001 - the tests tell of it
        Path(folder / f"error-{rank}").write_text(traceback.format_exc())
    finally:
        os._exit(0)  # nothing of the tests' own process is ended here
