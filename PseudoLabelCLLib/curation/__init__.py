"""What a person does to a project: add and check cases, review, plan, export; no torch."""
