"""Properties of PPO and GRPO as runs: they learn, are the same again, continue, and say what happened."""

from dataclasses import fields, replace

import pytest
import torch

from minillm import grpo, ppo
from minillm.course.exercises import reference
from minillm.model import Config, Transformer
from minillm.policy_gradient import clip_fraction, explained_variance, statistics, updates
from minillm.rollouts import Collector, Policy
from minillm.snapshots import RunState, identity
from minillm.tinyland.recipe import GRPORecipe, PPORecipe
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
CONFIG = Config(TOKENIZER.vocab_size, context_length=40, dim=8, layers=1, heads=2)
ASKED = all_requests("sum", "train")[:8]
SHORT = PPORecipe(iterations=4, batch_size=16, minibatch=8, peak=2e-2, warmup=0)
GROUPS = GRPORecipe(iterations=4, groups=4, group=4, minibatch=8, peak=2e-2, warmup=0)


def functions() -> ppo.Functions:
    return ppo.Functions(**{field.name: reference(field.name) for field in fields(ppo.Functions)})


def group_functions(advantages: str = "group_advantages") -> grpo.Functions:
    names = ("token_logprobs", "kl_estimates", advantages, "grpo_loss")
    return grpo.Functions(*(reference(name) for name in names))


def start() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).eval()


def letters(answers) -> torch.Tensor:
    """A score that a policy can raise: how often an answer has the letter e."""
    return torch.tensor([float(answer.text.count("e")) for answer in answers])


def collector(recipe=SHORT, group: int = 1) -> Collector:
    count = recipe.batch_size if group == 1 else recipe.groups

    def form(request) -> str:
        return f"<user> {request.text}<bot>"

    return Collector(
        start(), TOKENIZER, ASKED, form, letters, reference("token_logprobs"), count, group, max_new_tokens=8
    )


def trained(recipe=SHORT, **told):
    policy = Policy.from_stage(start())
    history = ppo.train_ppo(policy, collector(), functions(), recipe, progress=False, **told)
    return policy, history


def test_ppo_raises_the_score_that_it_is_given():
    _, history = trained(replace(SHORT, iterations=12, beta=0.0))
    scores = history.metrics["score"]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 1.0


@pytest.mark.parametrize("advantages", ["group_advantages", "rloo_advantages"])
def test_grpo_raises_the_score_that_it_is_given(advantages):
    policy = Policy.from_stage(start(), critic=False)
    recipe = replace(GROUPS, iterations=12, beta=0.0)
    history = grpo.train_grpo(policy, collector(GROUPS, 4), group_functions(advantages), recipe, progress=False)
    scores = history.metrics["score"]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 1.0


def test_a_run_is_the_same_again():
    one, two = trained(), trained()
    assert one[1].metrics == two[1].metrics
    for name, weight in one[0].state_dict().items():
        assert torch.equal(weight, two[0].state_dict()[name]), name


def test_a_run_that_was_stopped_continues_to_the_same_weights(tmp_path):
    recipe = replace(SHORT, iterations=13, kl_target=0.5, horizon=100)
    whole, history = trained(recipe)

    def stops(history):
        if len(history.losses) == 11:  # after the snapshot of iteration 10
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        trained(recipe, snapshot=tmp_path / "ppo.snapshot", watch=stops)
    again, continued = trained(recipe, snapshot=tmp_path / "ppo.snapshot")
    assert continued.metrics == history.metrics
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name]), name


def test_a_snapshot_of_other_functions_or_another_recipe_is_not_continued(tmp_path, capsys):
    def stops(history):
        if len(history.losses) == 11:
            raise RuntimeError("power cut")

    path = tmp_path / "ppo.snapshot"
    recipe = replace(SHORT, iterations=12)
    for changed in ({"recipe": replace(recipe, beta=0.7)}, {"functions": replace(functions(), gae=no_gae)}):
        with pytest.raises(RuntimeError):
            trained(recipe, snapshot=path, watch=stops)
        told = {"recipe": recipe, "functions": functions()} | changed
        policy = Policy.from_stage(start())
        ppo.train_ppo(policy, collector(), progress=False, snapshot=path, **told)
        assert "starts anew" in capsys.readouterr().out


def no_gae(rewards, values, mask, gamma, lam):
    return rewards, rewards


def test_the_penalty_holds_the_policy_back():
    gentle = replace(SHORT, iterations=12, peak=5e-3)
    far, near = (trained(replace(gentle, beta=beta))[1].metrics["kl"] for beta in (0.0, 5.0))
    assert sum(near[-4:]) < 0.8 * sum(far[-4:])


def test_beta_follows_the_kl_and_is_part_of_the_policy():
    policy, history = trained(replace(SHORT, kl_target=1e-3, horizon=32))
    betas = history.metrics["beta"]
    assert betas[0] == pytest.approx(SHORT.beta) and len(set(betas)) > 1
    assert float(policy.state_dict()["beta"]) != betas[-1]  # already that of the next iteration
    _, fixed = trained()
    assert fixed.metrics["beta"] == [SHORT.beta] * SHORT.iterations


def test_the_statistics_of_the_field_are_there_for_every_iteration():
    seen = []
    _, history = trained(watch=lambda history: seen.append(len(history.losses)))
    wanted = {"score", "kl", "entropy", "approx_kl", "clip_fraction", "explained_variance", "length", "beta", "gold"}
    assert wanted <= set(history.metrics)
    assert {len(values) for values in history.metrics.values()} == {SHORT.iterations}
    assert seen == [1, 2, 3, 4]
    assert history.tokens[-1] == pytest.approx(16 * sum(history.metrics["length"]))
    assert history.metrics["kl"][0] == pytest.approx(0, abs=1e-4)  # the first answers come from the reference


def test_the_old_log_probs_stay_those_of_the_rollout():
    seen = []

    def spy(logprobs, old_logprobs, advantages, mask, clip):
        seen.append((logprobs.detach()[mask], old_logprobs[mask]))
        return reference("ppo_policy_loss")(logprobs, old_logprobs, advantages, mask, clip)

    policy = Policy.from_stage(start())
    recipe = replace(SHORT, iterations=1, minibatch=16, epochs=3, beta=0.0)
    ppo.train_ppo(policy, collector(), replace(functions(), ppo_policy_loss=spy), recipe, progress=False)
    gaps = [float((new - old).abs().max()) for new, old in seen]
    assert gaps[0] < 1e-4 and gaps[1] > 1e-3 and gaps[2] > gaps[0]
    assert {round(float(old.sum()), 3) for _, old in seen} == {round(float(seen[0][1].sum()), 3)}


def test_each_epoch_sees_every_answer_once():
    policy, rows_seen = Policy.from_stage(start()), []
    rollout = collector()(policy, 0)

    def loss(rows, logprobs, values):
        rows_seen.append(rows)
        return (logprobs * rollout.mask[rows]).sum()

    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    updates(policy, optimizer, rollout, loss, functions(), replace(SHORT, epochs=3, minibatch=5), 0)
    assert sorted(torch.cat(rows_seen).tolist()) == sorted(list(range(16)) * 3)
    first, second = torch.cat(rows_seen[:4]), torch.cat(rows_seen[4:8])
    assert not torch.equal(first, second)


def test_a_group_is_made_of_answers_to_one_request():
    groups = []

    def spy(scores):
        groups.append(scores)
        return scores - scores.mean(1, keepdim=True)

    policy = Policy.from_stage(start(), critic=False)
    told = replace(group_functions(), advantages=spy)
    history = grpo.train_grpo(policy, collector(GROUPS, 4), told, GROUPS, progress=False)
    assert [tuple(group.shape) for group in groups] == [(4, 4)] * GROUPS.iterations
    assert history.metrics["silent_groups"][0] == 0.0


def test_a_batch_size_that_is_not_the_rollouts_is_refused():
    with pytest.raises(ValueError, match="a batch_size of 12, but 16 answers were collected"):
        trained(replace(SHORT, batch_size=12))


@pytest.mark.parametrize(
    ("group", "per_request", "message"),
    [(4, 1, "a group of 4 mixes requests"), (2, 3, "a group of 2 mixes requests"), (5, 4, "16 answers do not make")],
)
def test_groups_that_are_not_the_collectors_are_refused(group, per_request, message):
    collect = replace(collector(GROUPS, 4), group=per_request)
    policy = Policy.from_stage(start(), critic=False)
    with pytest.raises(ValueError, match=message):
        grpo.train_grpo(policy, collect, group_functions(), replace(GROUPS, group=group), progress=False)


def test_explained_variance_of_a_seer_a_constant_and_a_liar():
    returns, mask = torch.tensor([[1.0, 3.0, 99.0], [5.0, -1.0, 99.0]]), torch.tensor([[1, 1, 0], [1, 1, 0]]).bool()
    assert explained_variance(returns.clone(), returns, mask) == pytest.approx(1)
    assert explained_variance(torch.full((2, 3), 7.0), returns, mask) == pytest.approx(0, abs=1e-6)
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3)


def test_clip_fraction_counts_the_ratios_outside():
    ratios = torch.tensor([[1.0, 1.25, 0.75, 3.0], [1.15, 0.85, 9.0, 9.0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    assert clip_fraction(ratios.log(), torch.zeros(2, 4), mask, 0.2) == pytest.approx(3 / 6)


def test_statistics_are_means_over_answers():
    policy = Policy.from_stage(start())
    rollout = collector()(policy, 0)
    moved = replace(rollout, ref_logprobs=rollout.logprobs - 0.5)
    said = statistics(moved)
    lengths = rollout.mask.sum(1)
    assert said["kl"] == pytest.approx(0.5 * lengths.float().mean().item(), rel=1e-5)
    assert said["length"] == pytest.approx(lengths.float().mean().item())
    assert said["gold"] == pytest.approx(sum(a.verdict.score for a in rollout.answers) / 16)


def test_what_a_partial_and_a_record_hold_is_part_of_a_runs_identity():
    policy = Policy.from_stage(start())
    run = RunState(policy, torch.optim.AdamW(policy.parameters()))
    same = identity(run, [], [functions()]), identity(run, [], [functions()])
    assert same[0] == same[1]
    assert identity(run, [], [replace(functions(), gae=no_gae)])["code"] != same[0]["code"]
