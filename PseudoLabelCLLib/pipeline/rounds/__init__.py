"""A round: pre-training, training, pseudo-labels."""
