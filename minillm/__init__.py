"""minillm: a tiny language model, the toy world it reads, and a course that aligns it.

Importing the package is free: torch is loaded only by the modules that need it.
"""

__version__ = "0.1.0"
