"""What all tests share: they run side by side, so a thread that waits must let go of its core."""

import os

from PseudoLabelCLLib.process.process_tree import short_waits

# before any test imports torch, whose OpenMP library looks here once
os.environ.update(short_waits(os.environ))
