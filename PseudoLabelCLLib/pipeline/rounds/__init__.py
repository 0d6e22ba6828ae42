"""A round: pre-training, training, pseudo-labels, ranking for the review."""
