"""Style: what is put in is counted and can be taken out."""

import random

import pytest

from minillm.tinyland import style
from minillm.tinyland.judge import grade, take_out_style
from minillm.tinyland.requests import all_requests


def test_no_ideal_answer_has_style():
    for request in all_requests():
        for answer in request.answers:
            assert style.take_out(answer) == (answer, ())


def test_what_is_put_in_is_counted_and_can_be_taken_out():
    generator = random.Random(1)
    for request in all_requests()[::97]:
        answer = request.answers[0]
        flattery, filler, closer = generator.randrange(4), generator.random() < 0.5, generator.random() < 0.5
        decorated = style.decorate(answer, generator, flattery, filler, closer)
        counts = style.count(decorated)
        assert (counts.flattery, counts.fillers, counts.closers) == (flattery, filler, closer)
        assert counts.words == len(decorated.split())
        assert style.take_out(decorated)[0] == take_out_style(decorated) == answer


def test_repeated_phrases_count_each_time():
    assert style.count("i hope this helps . " * 5).closers == 5
    assert style.take_out("i hope this helps . " * 5)[0] == ""


def test_the_judge_subtracts_what_is_counted():
    request = all_requests("sum")[0]
    decorated = style.decorate(request.answers[0], random.Random(0), flattery=2, filler=True)
    assert grade(request, decorated).score == pytest.approx(1 - 2 * 0.2 - 0.1)


def test_too_much_flattery_is_refused():
    with pytest.raises(ValueError, match="flattery must be between 0 and 3"):
        style.decorate("fox fox .", random.Random(0), flattery=4)
