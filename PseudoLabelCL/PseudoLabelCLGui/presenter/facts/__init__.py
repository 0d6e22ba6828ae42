"""What the presenter knows: of the project, the cases, the training, the review, the results."""
