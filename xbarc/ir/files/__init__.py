"""Programs as folders, and files that are whole or not there.

`programs` writes and reads a program; `schema` is its `program.json`, `arrays` its arrays, each
defined once; `records` goes between a step's parts and the schema; `manifest` seals, `views` maps
arrays into memory. `folder` and `partial` replace a folder or a file in one step, `npz` reads data.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
