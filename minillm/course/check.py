"""check("rms_norm"): the tests of an exercise, run on the function as it lives in the notebook."""

from typing import Any


def check(*names: str) -> Any:
    """Run the tests of an exercise on the function that the calling notebook defines."""
    raise NotImplementedError
