"""What the panel in Slicer is made of; imports nothing by itself."""
