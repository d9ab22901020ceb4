"""What looks at data while a network runs: statistics for calibration, placement and reports.

Nothing here executes a layer; engines do, and a tap of theirs shows vectors or sums to an
instrument. A new statistic is a file with a class that takes vectors and gives a plain value:

    class Largest:
        def __init__(self, step: CrossbarStep) -> None:
            self.codes = np.zeros((step.groups, step.inputs), dtype=np.int64)

        def add(self, vectors: IntArray) -> None:
            np.maximum(self.codes, vectors.max(axis=0, initial=0), out=self.codes)

    largest = {step.name: Largest(step) for step in program.crossbar_steps}
    runner = StepRunner(taps={name: own.add for name, own in largest.items()})
    for feeds in batches:
        run_steps(program.steps, dict(feeds), runner)

What is made of the value (bits, ranges, places) is a pure function elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
