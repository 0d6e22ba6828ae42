"""What this machine reaches at its best: convolution and matrix product, in both precisions.

    python Testing/benchmarks/machine_peak.py [--device cuda] [--threads N]

The second convolution has as few channels as the network's full-resolution levels.
"""

import json

import torch
from own_process import common_arguments, measure_rows, print_table, seconds_of

BATCH = 16
MATRIX_SIDE = 4096
NUM_CALLS = 10
ROWS = {
    f"{what}, {precision}": (what, precision)
    for precision in ("float32", "bfloat16")
    for what in ("convolution 64 to 64", "convolution 16 to 16", "matrix product")
}
BEST = "convolution 64 to 64"


def flops_per_second(what: str, precision: str, arguments) -> dict[str, float]:
    """Time one operation on random numbers, and say how many operations a second that is."""
    dtype, device = getattr(torch, precision), arguments.device
    with torch.inference_mode():
        call, flops = _matrix_product(dtype, device) if what == "matrix product" else (
            _convolution(int(what.rsplit(maxsplit=1)[-1]), arguments.side, dtype, device)
        )  # fmt: skip
        timing = seconds_of(call, NUM_CALLS, arguments)
    return timing | {"flops_per_second": flops / timing["seconds"]}


def _matrix_product(dtype, device):
    a, b = (torch.randn((MATRIX_SIDE, MATRIX_SIDE), dtype=dtype, device=device) for _ in range(2))
    return lambda: a @ b, 2 * MATRIX_SIDE**3


def _convolution(channels, side, dtype, device):
    convolution = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    convolution.to(device=device, dtype=dtype, memory_format=torch.channels_last)
    images = torch.randn((BATCH, channels, side, side), dtype=dtype, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    return lambda: convolution(images), 2 * BATCH * side**2 * channels**2 * 9


def main() -> None:
    arguments = common_arguments(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.row:
        measured = flops_per_second(*ROWS[arguments.row], arguments)
        print(json.dumps(measured))
        return
    names = arguments.only or list(ROWS)
    # fresh pages for every result are no part of what the machine can do
    best = measure_rows(names, arguments.repeats, lambda _: True)
    print(f"{arguments.device}, {arguments.threads} threads, {BATCH} x {arguments.side}^2 pixels, "
          f"matrices {MATRIX_SIDE}^2.")  # fmt: skip
    print_table(
        ("operation", "GFLOP/s"),
        [(name, f"{best[name]['flops_per_second'] / 1e9:.0f}") for name in names],
    )


if __name__ == "__main__":
    main()
