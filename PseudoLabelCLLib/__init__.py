"""Backend of PseudoLabelCL: from a few annotated volumes to reviewed pseudo-labels and a model.

The packages, from the ground up: `domain` holds words and rules, `storage` the files, `curation`
what a person does to a project, `learning` the network, `pipeline` the steps between volumes in
and segmentations out, `process` the bridge between a user interface and its worker.
"""

__version__ = "0.1.0"
