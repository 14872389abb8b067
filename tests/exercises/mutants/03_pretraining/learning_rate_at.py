"""Wrong solutions of learning_rate_at: what students write, and the word that the message must hold."""

from math import cos, pi

from minillm.course.testing import mutant


@mutant("learning_rate_at", names="not step + 1")
def step_counted_from_zero(step, steps, peak, warmup, floor=0.0):
    if step < warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / (steps - warmup))
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * progress))


@mutant("learning_rate_at", names="no warm-up")
def no_warmup(step, steps, peak, warmup, floor=0.0):
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * min(1.0, (step + 1) / steps)))


@mutant("learning_rate_at", names="over all steps")
def cosine_over_all_steps(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * min(1.0, (step + 1) / steps)))


@mutant("learning_rate_at", names="floor is forgotten")
def no_floor(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup))))


@mutant("learning_rate_at", names="on top")
def floor_on_top(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + 0.5 * peak * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup))))


@mutant("learning_rate_at", names="lower limit")
def floor_as_maximum(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return max(floor, 0.5 * peak * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup)))))


@mutant("learning_rate_at", names="starts at the floor")
def warmup_from_the_floor(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return floor + (peak - floor) * (step + 1) / warmup
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup))))


@mutant("learning_rate_at", names="quarter turn")
def half_the_angle(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step + 1 - warmup) / (steps - warmup))
    return floor + 0.5 * (peak - floor) * (1 + cos(0.5 * pi * progress))


@mutant("learning_rate_at", names="rises again")
def no_clamp(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * (step + 1 - warmup) / (steps - warmup)))


@mutant("learning_rate_at", names="straight line")
def linear_decay(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * (1 - min(1.0, (step + 1 - warmup) / (steps - warmup)))


@mutant("learning_rate_at", names="falls to 0")
def zero_afterwards(step, steps, peak, warmup, floor=0.0):
    if step >= steps:
        return 0.0
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * (step + 1 - warmup) / (steps - warmup)))


@mutant("learning_rate_at", names="zerodivisionerror")
def divides_by_a_warmup_of_zero(step, steps, peak, warmup, floor=0.0):
    rise = (step + 1) / warmup
    progress = min(1.0, max(0.0, (step + 1 - warmup) / (steps - warmup)))
    return min(rise, 1.0) * (floor + 0.5 * (peak - floor) * (1 + cos(pi * progress)))


@mutant("learning_rate_at", names="halved")
def without_the_half(step, steps, peak, warmup, floor=0.0):
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup))))


@mutant("learning_rate_at", names="one step late")
def decay_one_step_late(step, steps, peak, warmup, floor=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * min(1.0, (step - warmup) / (steps - warmup))))


@mutant("learning_rate_at", names="warmup + 1")
def warmup_plus_one(step, steps, peak, warmup, floor=0.0):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * min(1.0, (step + 1 - warmup) / (steps - warmup))))
