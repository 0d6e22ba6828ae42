"""The networks: backbones, heads, and how their probabilities are smoothed."""
