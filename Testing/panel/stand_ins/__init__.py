"""Stand-ins for Qt as PythonQt gives it, for CTK, and for Slicer's widgets and application."""

import ctypes

# PySide6 6.12 gives references to True and None away with every signal that Python emits; before
# Python 3.12 the interpreter would end with an error once all of them are gone.
for _ in range(100_000):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(True))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
