"""The clinic's key: right diagnoses are recognised however they are typed, and the key tells none of them."""

from minillm.course.clinic import diagnose, digest

KEY = {"A": digest("A", 3), "B": digest("B", "mask")}


def test_each_case_is_told_apart_and_the_right_ones_are_counted(capsys):
    diagnose({"A": 3, "B": "seed"}, KEY)
    assert capsys.readouterr().out.splitlines() == [
        "A: 3 is right",
        "B: seed is not it, look again",
        "1 of 2. Look again before you open it.",
    ]


def test_an_answer_that_was_not_given_is_not_called_wrong(capsys):
    diagnose({"A": None}, KEY)
    said = capsys.readouterr().out
    assert "A: no answer yet" in said and "B: no answer yet" in said and "0 of 2" in said


def test_all_right_leads_on_however_the_answers_are_typed(capsys):
    diagnose({"A": " 3 ", "B": "MASK"}, KEY)
    assert capsys.readouterr().out.endswith("2 of 2. Open the explanation below and compare.\n")


def test_a_zero_is_an_answer(capsys):
    diagnose({"A": 0}, {"A": digest("A", 0)})
    assert "A: 0 is right" in capsys.readouterr().out


def test_the_same_answer_to_two_cases_has_two_digests():
    assert digest("A", 1) != digest("B", 1)
