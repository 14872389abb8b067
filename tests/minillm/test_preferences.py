"""Properties of sampled comparisons: what is sampled, what is dropped, whose label it is, and which split it has."""

import random
from collections import Counter

import pytest
import torch

from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.preferences import compare, draw_requests, gold_order, gold_scores, sample_answers
from minillm.tinyland.annotators import Annotator, label_ceiling
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
UNBIASED = Annotator("unbiased", temperature=0.5)
SUM = all_requests("sum", "train")[0]
RIGHT, WRONG = SUM.answers[0], "i do not know ."
FLATTERED = f"you are so wise . {RIGHT}"


def form(request) -> str:
    return f"<user> {request.text}<bot>"


def policy() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config(TOKENIZER.vocab_size, context_length=64, dim=8, layers=1, heads=2)).eval()


def answer(text: str, request=SUM, ended: bool = True) -> Answer:
    return Answer(request, form(request), text, ended, grade(request, text, ended))


def prefers_better(utility_a, utility_b, temperature, flip, generator):
    """An annotator without noise."""
    return utility_a > utility_b


def prefers_second(utility_a, utility_b, temperature, flip, generator):
    return torch.zeros(len(utility_a), dtype=torch.bool)


def noisy(utility_a, utility_b, temperature, flip, generator):
    """Perceives each utility with Gumbel noise of its own: Bradley-Terry without its formula."""
    gumbel = -(-torch.rand(2, len(utility_a), generator=generator).log()).log() * temperature
    return utility_a + gumbel[0] > utility_b + gumbel[1]


def test_requests_are_drawn_equally_often_from_one_split():
    pool = all_requests(split="validation")
    counts = Counter(r.text for r in draw_requests("validation", 2 * len(pool) + 5, seed=3))
    assert len(counts) == len({r.text for r in pool})
    assert set(counts.values()) <= {2, 3}
    assert {r.split for r in draw_requests("validation", 50)} == {"validation"}


def test_requests_of_one_draw_depend_on_its_seed_alone():
    assert draw_requests("train", 30, seed=1) == draw_requests("train", 30, seed=1)
    assert draw_requests("train", 30, seed=1) != draw_requests("train", 30, seed=2)


def test_requests_can_be_limited_to_kinds():
    assert {r.kind for r in draw_requests("test", 40, kinds=("sum", "list"))} == {"sum", "list"}
    with pytest.raises(ValueError, match="no requests of the kinds"):
        draw_requests("test", 4, kinds=("poem",))


def test_every_request_gets_n_answers_in_its_own_place():
    requests = draw_requests("train", 7)
    answers = sample_answers(policy(), TOKENIZER, requests, form, n=3, max_new_tokens=4, progress=False)
    assert [len(some) for some in answers] == [3] * 7
    assert all(a.request == r and a.prompt == form(r) for some, r in zip(answers, requests) for a in some)


def test_answers_to_one_prompt_are_drawn_independently_and_seeded():
    draw = lambda seed: sample_answers(  # noqa: E731
        policy(), TOKENIZER, [SUM], form, n=4, max_new_tokens=6, seed=seed, progress=False
    )
    texts = [a.text for a in draw(0)[0]]
    assert len(set(texts)) == 4
    assert texts == [a.text for a in draw(0)[0]]
    assert not set(texts) & {a.text for a in draw(1)[0]}


def test_answers_carry_the_verdict_of_the_judge():
    for some in sample_answers(policy(), TOKENIZER, [SUM], form, n=4, max_new_tokens=6, progress=False):
        assert all(a.verdict == grade(a.request, a.text, a.ended) for a in some)


def test_the_preferred_answer_is_the_chosen_one():
    data = compare([[answer(WRONG), answer(RIGHT)], [answer(RIGHT), answer(WRONG)]], UNBIASED, prefers_better)
    assert [(p.chosen.text, p.rejected.text) for p in data.pairs] == [(RIGHT, WRONG)] * 2
    assert [(p.chosen_utility, p.rejected_utility) for p in data.pairs] == [(1.0, 0.0)] * 2


def test_a_wrong_choice_stays_visible_in_the_gold_gap():
    data = compare([[answer(RIGHT), answer(WRONG)], [answer(WRONG), answer(RIGHT)]], UNBIASED, prefers_second)
    assert [p.gold_gap for p in data.pairs] == [-1.0, 1.0]


def test_exact_ties_are_dropped_and_counted():
    answers = [[answer(RIGHT), answer(RIGHT)], [answer(RIGHT), answer(WRONG)], [answer("3"), answer("4")]]
    data = compare(answers, UNBIASED, prefers_better)
    assert (len(data), data.ties) == (1, 2)


def test_only_ties_leave_no_pairs():
    data = compare([[answer(RIGHT), answer(RIGHT)]], UNBIASED, prefers_better)
    assert (len(data), data.ties) == (0, 1)


def test_bias_decides_what_is_preferred_and_what_is_a_tie():
    answers = [[answer(RIGHT), answer(FLATTERED)]]
    assert compare(answers, UNBIASED, prefers_better).pairs[0].chosen.text == RIGHT
    vain = Annotator("vain", flattery=0.45)
    assert compare(answers, vain, prefers_better).pairs[0].chosen.text == FLATTERED
    indifferent = Annotator("indifferent", flattery=0.2)  # just what the judge takes off
    assert compare(answers, indifferent, prefers_better).ties == 1


def test_an_answer_that_was_cut_off_is_felt_to_be_worse():
    data = compare([[answer(RIGHT, ended=False), answer(RIGHT)]], UNBIASED, prefers_better)
    assert data.pairs[0].chosen.ended and data.pairs[0].gold_gap == 0.5


def test_every_answer_is_compared_with_every_other_of_its_request_once():
    texts = [RIGHT, WRONG, FLATTERED]
    data = compare([[answer(text) for text in texts], [answer("3"), answer(RIGHT)]], UNBIASED, prefers_better)
    assert [(p.chosen.text, p.rejected.text) for p in data.pairs] == [
        (RIGHT, WRONG),
        (RIGHT, FLATTERED),
        (FLATTERED, WRONG),
        (RIGHT, "3"),
    ]


def test_annotate_gets_the_annotators_noise_and_a_seeded_generator():
    seen = []

    def spy(utility_a, utility_b, temperature, flip, generator):
        seen.append((utility_a.tolist(), utility_b.tolist(), temperature, flip, torch.rand(1, generator=generator)))
        return utility_a > utility_b

    for seed in (0, 0, 1):
        compare([[answer(WRONG), answer(RIGHT)]], Annotator("tired", temperature=0.3, flip=0.1), spy, seed=seed)
    assert seen[0][:4] == ([0.0], [1.0], 0.3, 0.1)
    assert seen[0][4] == seen[1][4] != seen[2][4]


def test_labels_agree_with_the_better_answer_as_often_as_the_ceiling_says():
    generator = random.Random(0)
    answers = [[answer(t) for t in generator.sample([RIGHT, WRONG, FLATTERED, "3"], 2)] for _ in range(4000)]
    data = compare(answers, UNBIASED, noisy)
    agree = sum(p.gold_gap > 0 for p in data.pairs) / len(data)
    assert data.ceiling() == label_ceiling([(p.chosen_utility, p.rejected_utility) for p in data.pairs], 0.5)
    assert abs(agree - data.ceiling()) < 4 * 0.5 / len(data) ** 0.5


def test_pairs_are_split_by_their_request():
    requests = [all_requests("sum", split)[0] for split in ("train", "validation", "test", "train")]
    data = compare([[answer(r.answers[0], r), answer(WRONG, r)] for r in requests], UNBIASED, prefers_better)
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [2, 1, 1]
    texts = [{p.request.text for p in data.split(name).pairs} for name in ("train", "validation", "test")]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]


def test_taking_the_first_pairs():
    data = compare([[answer(WRONG), answer(RIGHT)]] * 3, UNBIASED, prefers_better)
    assert data.take(2).pairs == data.pairs[:2]
    with pytest.raises(ValueError, match="cannot take 4 of 3"):
        data.take(4)


def test_gold_order_turns_wrong_labels_round_and_leaves_ties_out():
    vain = Annotator("vain", flattery=0.5)
    flattered_or_thanked = [
        answer(FLATTERED),
        answer(f"{RIGHT} i hope this helps . thank you for asking ."),
    ]  # 0.8 each
    answers = [[answer(RIGHT), answer(WRONG)], flattered_or_thanked, [answer(WRONG), answer(RIGHT)]]
    pairs = compare(answers, vain, prefers_second).pairs
    assert [pair.gold_gap for pair in pairs] == [-1.0, 0.0, 1.0]
    better, worse = gold_order(pairs, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0]))
    assert (better.tolist(), worse.tolist()) == ([4.0, 3.0], [1.0, 6.0])


def test_gold_scores_have_a_row_for_each_prompt():
    scores = gold_scores([[answer(RIGHT), answer(WRONG)], [answer("3"), answer(RIGHT)]])
    assert scores.tolist() == [[1.0, 0.0], [-1.0, 1.0]]
