"""The review: proposals, verdicts, corrections, and what of them counts as human truth."""
