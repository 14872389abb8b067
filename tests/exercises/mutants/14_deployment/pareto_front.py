"""Wrong solutions of pareto_front."""

import torch

from minillm.course.testing import mutant


def checked(points):
    if points.isnan().any():
        raise ValueError("nan")
    return points


def front(points):
    own, other = checked(points)[:, None], points[None]
    return ~((other >= own).all(-1) & (other > own).any(-1)).any(1)


@mutant("pareto_front", names="see trap 1")
def better_everywhere(points):
    own, other = checked(points)[:, None], points[None]
    return ~(other > own).all(-1).any(1)


@mutant("pareto_front", names="equal points drop each other")
def equal_points_dropped(points):
    own, other = checked(points)[:, None], points[None]
    return ~((other >= own).all(-1) & ~torch.eye(len(points)).bool()).any(1)


@mutant("pareto_front", names="compared with itself")
def compares_with_itself(points):
    own, other = checked(points)[:, None], points[None]
    return ~(other >= own).all(-1).any(1)


@mutant("pareto_front", names="only the first is kept")
def first_of_equals(points):
    rows, on = points.tolist(), front(points).tolist()
    return torch.tensor([on[i] and rows[i] not in rows[:i] for i in range(len(rows))])


@mutant("pareto_front", names="only the last is kept")
def last_of_equals(points):
    rows, on = points.tolist(), front(points).tolist()
    return torch.tensor([on[i] and rows[i] not in rows[i + 1 :] for i in range(len(rows))])


@mutant("pareto_front", names="lower is better")
def lower_is_better(points):
    own, other = checked(points)[:, None], points[None]
    return ~((other <= own).all(-1) & (other < own).any(-1)).any(1)


@mutant("pareto_front", names="best in some column")
def best_of_a_column(points):
    return (checked(points) == points.amax(0)).any(1)


@mutant("pareto_front", names="best of each column is kept")
def best_of_a_column_on_the_front(points):
    return (points == points.amax(0)).any(1) & front(points)


@mutant("pareto_front", names="sum of all columns")
def largest_sum(points):
    sums = checked(points).double().sum(1)
    return sums == sums.max()


@mutant("pareto_front", names="convex hull")
def weighted_sums(points):
    if points.shape[1] != 2:
        return front(points)
    weights = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    sums = checked(points).double() @ torch.stack((weights, 1 - weights))
    return (sums >= sums.amax(0) - 1e-9).any(1)


@mutant("pareto_front", names="first two columns")
def two_columns(points):
    return front(points[:, :2])


@mutant("pareto_front", names="first two columns")
def sorted_sweep(points):
    """Right for two columns: from the best in the first, keep what is best so far in the second."""
    rows, on = checked(points).tolist(), [False] * len(points)
    best, kept = float("-inf"), None
    for i in sorted(range(len(rows)), key=lambda i: tuple(-x for x in rows[i][:2])):
        second = rows[i][1] if len(rows[i]) > 1 else 0.0
        if second > best or rows[i][:2] == kept:
            on[i], best, kept = True, second, rows[i][:2]
    return torch.tensor(on)


@mutant("pareto_front", names="turn it round")
def dominated(points):
    return ~front(points)


@mutant("pareto_front", names="one column in which another is better")
def better_somewhere(points):
    own, other = checked(points)[:, None], points[None]
    return ~(other > own).any(-1).any(1)


@mutant("pareto_front", names="with those before them")
def looks_back_only(points):
    own, other = checked(points)[:, None], points[None]
    beaten = (other >= own).all(-1) & (other > own).any(-1)
    return ~beaten.tril().any(1)


@mutant("pareto_front", names="with those after them")
def looks_ahead_only(points):
    own, other = checked(points)[:, None], points[None]
    beaten = (other >= own).all(-1) & (other > own).any(-1)
    return ~beaten.triu().any(1)


@mutant("pareto_front", names="turn it round")
def own_and_other_swapped(points):
    """True for points that dominate some other one."""
    own, other = checked(points)[:, None], points[None]
    return ((other >= own).all(-1) & (other > own).any(-1)).any(1)


@mutant("pareto_front", names=None)
def wrong_dimension(points):
    """Points that dominate none, the two dimensions mixed up."""
    own, other = checked(points)[:, None], points[None]
    return ~((other >= own).all(-1) & (other > own).any(-1)).any(0)


@mutant("pareto_front", names="numbers of the points are returned")
def indices(points):
    return front(points).nonzero().flatten()


@mutant("pareto_front", names="points themselves are returned")
def rows_of_the_front(points):
    return points[front(points)]


@mutant("pareto_front", names="dtype bool")
def zeros_and_ones(points):
    return front(points).long()


@mutant("pareto_front", names="float32")
def rounded(points):
    return front(points.float())


@mutant("pareto_front", names=None)
def with_a_tolerance(points):
    own, other = checked(points)[:, None], points[None]
    return ~((other >= own - 1e-6).all(-1) & (other > own + 1e-6).any(-1)).any(1)


@mutant("pareto_front", names="a point with nan should raise")
def nan_allowed(points):
    own, other = points[:, None], points[None]
    return ~((other >= own).all(-1) & (other > own).any(-1)).any(1)


@mutant("pareto_front", names="a point with nan should raise")
def nan_as_lowest(points):
    points = torch.where(points.isnan(), -torch.inf, points) if points.is_floating_point() else points
    return front(points)


@mutant("pareto_front", names=None)
def differences(points):
    """inf - inf is nan."""
    gap = checked(points)[None] - points[:, None]
    return ~((gap >= 0).all(-1) & (gap > 0).any(-1)).any(1)


@mutant("pareto_front", names="inf")
def inf_refused(points):
    if not points.isfinite().all():
        raise ValueError("inf")
    return front(points)


@mutant("pareto_front", names="changes its input")
def in_place(points):
    checked(points)
    points.neg_()
    own, other = points[:, None], points[None]
    return ~((other <= own).all(-1) & (other < own).any(-1)).any(1)
