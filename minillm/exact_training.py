"""The seam that lets the language model's own loops, `train_ppo` and `train_grpo`, train a policy of the enumerable
setting.

    model = ActorCritic(TabularPolicy(setting))
    collector = Collector(deepcopy(model.policy), rewards, token_logprobs)
    history = train_ppo(model, collector, functions, TABULAR_PPO)
    share_of_frontier(distribution(model.policy), distribution(collector.reference), rewards)

A rollout has one column of prompt, which holds no more than "begin here", and a sequence of the setting in each row.
The rewards are the exact ones, so whatever a run falls short of the frontier is the training's doing.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.exact import END, distribution, draw
from minillm.exact_policies import TabularPolicy, TransformerPolicy
from minillm.rollouts import Rollout, TokenLogprobs, price
from minillm.tinyland.recipe import PPORecipe

BEGIN = END  # what stands in the column of the prompt; it is never predicted
TABULAR_PPO = PPORecipe(iterations=150, batch_size=256, epochs=2, minibatch=128, peak=0.03, value_weight=1.0, beta=0.25)
TRANSFORMER_PPO = PPORecipe(
    iterations=100, batch_size=256, epochs=2, minibatch=128, peak=3e-3, value_weight=1.0, beta=0.25
)


class ActorCritic(nn.Module):
    """A policy of the setting, called as `rollouts.Policy` is; with a critic that values every prefix, 0 at first."""

    def __init__(self, policy: TabularPolicy | TransformerPolicy, critic: bool = True):
        super().__init__()
        self.policy = policy
        self.critic = policy.new_critic() if critic else None

    def forward(self, tokens: Tensor, mask: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """tokens (B, start + L) -> logits (B, L + 1, V), at t of the answer's token t; values (B, L), see `Policy`.

        The last column of logits, of what would follow the answer, is 0. The mask is not needed: behind an end token
        there are only 0s, which `Setting.index` passes over.
        """
        setting = self.policy.setting
        rows = setting.rows[setting.index(tokens[:, start:])]  # (B, L)
        states = self.policy.states()
        logits = F.pad(self.policy.logits(states)[rows], (0, 0, 0, 1))  # (B, L + 1, V)
        values = self.critic(states)[rows] if self.critic is not None else logits.new_zeros(rows.shape)
        return logits, values


@dataclass(frozen=True)
class Collector:
    """Rollouts for the loops, one for each iteration: collector(policy, iteration) -> Rollout.

    Each holds ``batch_size`` sequences drawn from the policy as it is, with their rewards (S,) as scores. Draws depend
    on seed and iteration alone. The reference stays as it is: give a copy where it is the policy that is trained.
    All are answers to one prompt, so a group for GRPO is any G of them.
    """

    reference: TabularPolicy | TransformerPolicy
    rewards: Tensor
    token_logprobs: TokenLogprobs
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        expected = (self.reference.setting.num_sequences,)
        if self.rewards.shape != expected:
            raise ValueError(f"rewards must be (S,) = {expected}, one a sequence, got {tuple(self.rewards.shape)}")

    def __call__(self, policy: ActorCritic, iteration: int) -> Rollout:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        with torch.no_grad():
            numbers = draw(distribution(policy.policy), self.batch_size, generator)
        return self.rollout(policy, numbers)

    def rollout(self, policy: ActorCritic, numbers: Tensor) -> Rollout:
        """The rollout that consists of the sequences with these numbers, (B,) long, whoever drew them."""
        setting = policy.policy.setting
        tokens = F.pad(setting.sequences[numbers], (1, 0), value=BEGIN)  # (B, 1 + L)
        attention = F.pad(setting.mask[numbers], (1, 0), value=True)
        reference = ActorCritic(self.reference, critic=False)
        return price(policy, reference, self.token_logprobs, tokens, attention, 1, self.rewards[numbers])
