"""Properties of training on pairs: what a pair is made of, what soft labels mean, what training does."""

import pytest
import torch
import torch.nn.functional as F

from minillm.dpo import Pairs, expected_loss, implied_margins, price_pairs, score_batch, train_dpo
from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.preferences import Pair
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import DPORecipe
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
SUMS = all_requests("sum", "train")[:4]


def model(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(Config(TOKENIZER.vocab_size, context_length=64, dim=16, layers=1, heads=2)).eval()


def answer(request, text: str, ended: bool = True) -> Answer:
    return Answer(request, f"<user> {request.text}<bot>", text, ended, grade(request, text, ended))


def pair(request, chosen: str, rejected: str) -> Pair:
    a, b = answer(request, chosen), answer(request, rejected, ended=False)
    return Pair(request, a.prompt, a, b, 1.0, 0.0)


def pairs() -> list[Pair]:
    """Three pairs of one request, then one each of the others."""
    first = [pair(SUMS[0], "2 plus 3 is 5 .", text) for text in ("i do not know .", "no .", "2 plus 3 is 4 .")]
    return first + [pair(request, request.answers[0], "i can not help with that .") for request in SUMS[1:]]


def summed(logits, tokens, mask):
    nats = logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return (nats * mask[:, 1:]).sum(1)


def alone(policy: Transformer, said: Answer) -> tuple[float, int]:
    """The log-probability and length of one answer, computed by itself."""
    prompt = TOKENIZER.encode(said.prompt)
    ids = TOKENIZER.encode(f" {said.text}") + ([TOKENIZER.end] if said.ended else [])
    with torch.no_grad():
        nats = policy(torch.tensor([prompt + ids])).log_softmax(-1)[0]
    return sum(nats[len(prompt) + i - 1, token].item() for i, token in enumerate(ids)), len(ids)


def scored(policy: Transformer, reference: Transformer) -> Pairs:
    data = price_pairs(reference, TOKENIZER, pairs(), summed)
    with torch.no_grad():
        return score_batch(policy, data, TOKENIZER.pad, summed)


def test_a_pair_holds_the_log_probabilities_and_lengths_of_its_answers():
    policy, reference = model(1), model(2)
    got = scored(policy, reference)
    for i, each in enumerate(pairs()):
        for said, name in ((each.chosen, "chosen"), (each.rejected, "rejected")):
            nats, length = alone(policy, said)
            assert getattr(got, name)[i].item() == pytest.approx(nats, rel=1e-4)
            assert getattr(got, f"ref_{name}")[i].item() == pytest.approx(alone(reference, said)[0], rel=1e-4)
            assert getattr(got, f"{name}_lengths")[i].item() == length


def test_an_answer_in_several_pairs_is_read_once():
    data = price_pairs(model(), TOKENIZER, pairs(), summed)
    assert [len(each.texts) for each in data] == [4, 2, 2, 2]
    assert [len(each.order) for each in data] == [3, 1, 1, 1]


def test_a_soft_label_counts_the_pair_in_both_orders():
    got = scored(model(1), model(2))
    p = torch.tensor([0.9, 0.5, 0.2, 1.0, 0.0, 0.7])
    soft = Pairs(*got.sums, got.chosen_lengths, got.rejected_lengths, p)

    def loss(some: Pairs):
        return -F.logsigmoid(0.3 * ((some.chosen - some.ref_chosen) - (some.rejected - some.ref_rejected)))

    margin = 0.3 * ((got.chosen - got.ref_chosen) - (got.rejected - got.ref_rejected))
    by_hand = -(p * F.logsigmoid(margin) + (1 - p) * F.logsigmoid(-margin)).mean()
    assert expected_loss(soft, loss).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert expected_loss(got, loss).item() == pytest.approx(-F.logsigmoid(margin).mean().item(), rel=1e-5)


def test_preferences_go_with_their_pairs():
    data = price_pairs(model(), TOKENIZER, pairs(), summed, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [p for each in data for _, _, p in each.order] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize("labels", [[0.5], [0.5] * 7])
def test_another_number_of_preferences_than_pairs_is_refused(labels):
    with pytest.raises(ValueError, match="a preference for each pair"):
        price_pairs(model(), TOKENIZER, pairs(), summed, labels)


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="no pairs"):
        price_pairs(model(), TOKENIZER, [], summed)


def test_training_widens_the_margins_and_logs_what_the_field_logs():
    reference, policy = model(), model()
    data = price_pairs(reference, TOKENIZER, pairs(), summed)
    assert implied_margins(policy, TOKENIZER, data, summed).abs().max() < 1e-4

    def loss(some: Pairs):
        return -F.logsigmoid(0.5 * ((some.chosen - some.ref_chosen) - (some.rejected - some.ref_rejected)))

    recipe = DPORecipe(epochs=30, batch_size=4, peak=3e-3, warmup=2)
    history = train_dpo(policy, TOKENIZER, data, loss, summed, recipe, progress=False)
    margins = implied_margins(policy, TOKENIZER, data, summed)
    assert margins.min() > 1
    assert {"margin", "accuracy", "chosen", "rejected"} <= set(history.metrics)
    assert history.metrics["accuracy"][0] == 0.5 and history.metrics["accuracy"][-1] == 1
    assert history.metrics["margin"][-1] == pytest.approx(
        history.metrics["chosen"][-1] - history.metrics["rejected"][-1], rel=1e-3
    )


def test_the_same_seed_trains_the_same_policy():
    data = price_pairs(model(), TOKENIZER, pairs(), summed)
    recipe = DPORecipe(epochs=2, batch_size=2, peak=1e-3)
    trained = []
    for _ in range(2):
        policy = model()
        train_dpo(policy, TOKENIZER, data, lambda p: -p.chosen + p.rejected, summed, recipe, progress=False)
        trained.append(policy.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
