"""Text without a question that is not about facts: sums, opposites and very short stories."""

from .requests import all_requests
from .sources import Distribution, uniform
from .words import OBJECTS, SUBJECTS


def sums() -> Distribution:
    """ "2 plus 3 is 5 ."."""
    return uniform(request.answers[0] for request in all_requests("sum"))


def opposites() -> Distribution:
    """ "the opposite of hot is cold ."."""
    return uniform(request.answers[0] for request in all_requests("opposite"))


def stories() -> Distribution:
    """Two animals, a place and a thing; each is named twice, so that reading pays for looking back."""
    animals = tuple(SUBJECTS["animal"])[::2]
    return uniform(
        f"the {a} and the {b} went to the {place} . the {a} lost a {thing} . the {b} found the {thing} ."
        for a in animals
        for b in animals
        if a != b
        for place in SUBJECTS["place"]
        for thing in OBJECTS["toys"] + OBJECTS["valuables"]
    )
