"""A job on several processes: started with PyTorch's elastic launch, by the worker or by others."""
