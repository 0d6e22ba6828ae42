"""A part of a day at the GPU, in the process that is its own."""

import argparse
import importlib

import torch
from gpu_day_pack import use_carried_packages
from gpu_day_rows import Asked, Rows


def measure(arguments: argparse.Namespace, module: str, function: str) -> None:
    """Measure a part and keep its rows.

    Args:
        arguments: Of `gpu_day.py run`.
        module: Whose function measures it.
        function: Takes what is asked and the rows.
    """
    asked = Asked(arguments.pack, arguments.device, arguments.tiny)
    use_carried_packages(arguments.pack, arguments.results / "packages")
    where = f"CPU, {torch.get_num_threads()} threads"
    if asked.on_gpu:
        where = torch.cuda.get_device_name()
    head = {
        "asked": {"device": asked.device, "tiny": asked.tiny},
        "where": f"{where}, torch {torch.__version__}" + (", tiny sizes" if asked.tiny else ""),
    }
    rows = Rows(arguments.results / f"{arguments.part}.json", head)
    getattr(importlib.import_module(module), function)(asked, rows)
    rows.finish()
