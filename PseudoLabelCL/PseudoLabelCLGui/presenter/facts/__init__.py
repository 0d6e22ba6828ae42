"""What the presenter knows: of the project, the review, the training, the export."""
