"""The network: tensors in, tensors out; knows no project."""
