"""The training loop: which slices a step sees, how they are changed, what is minimised."""
