#!/usr/bin/env bash
# On a CPU, the weight gradient of a 3-D convolution in bfloat16 is wrong where the volume is two voxels deep.
#
# Version: torch 2.13.0 (CPU wheel, oneDNN), on a processor with AVX512-BF16.
# Seen: Conv3d 16 -> 16, kernel 3, padding 1, input 4 x 16 x 2 x 4 x 4, channels last, under bfloat16 autocast. The same
# call on the same numbers gave up to 20 different weight gradients in 20 calls, of up to 1e35 times the size of the right one,
# some of them infinite: memory nobody wrote seems to be read. Output and input gradient are right; so are depths of 1
# and 4, the same convolution in 2-D, and float32. A U-Net in 3-D comes to a depth of two in its deepest level, and its
# loss is not a number after a few steps. On processors without AVX512-BF16 this is not seen, and the script says so.
# Fails if the gradients agree on a processor with AVX512-BF16.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.2.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn


def gradients(depth, dtype):
    torch.manual_seed(0)
    layer = nn.Conv3d(16, 16, 3, padding=1).to(memory_format=torch.channels_last_3d)
    images = torch.randn(4, 16, depth, 4, 4).contiguous(memory_format=torch.channels_last_3d)
    found = []
    for _ in range(20):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            said = layer(images)
        said.float().square().sum().backward()
        found.append(layer.weight.grad.clone())
    return found


def worst(depth):
    right = gradients(depth, torch.float32)[0]
    differences = [(own - right).abs().max() / right.abs().max() for own in gradients(depth, torch.bfloat16)]
    number = len({own.numpy().tobytes() for own in gradients(depth, torch.bfloat16)})
    return number, max(float(d.nan_to_num(nan=float("inf"))) for d in differences)


if not torch.backends.cpu.get_cpu_capability().startswith("AVX512") or "avx512_bf16" not in open("/proc/cpuinfo").read():
    print("This processor has no AVX512-BF16: nothing to see.")
    raise SystemExit
for depth in (1, 2, 4):
    number, difference = worst(depth)
    print(f"depth {depth}: {number} different gradients in 20 calls, largest error {difference:.3g} of the largest entry")
    assert (number > 1 and difference > 0.1) == (depth == 2)
PYTHON
