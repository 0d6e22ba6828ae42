"""Contrastive pre-training: views, batches, stages, and the weights it leaves."""
