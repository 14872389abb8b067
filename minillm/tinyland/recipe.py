"""How each stage is made: one place for the size of the model and the settings of its training.

Lesson 03 trains it with the student's own loss, schedule and step; `python -m minillm run --ship` with the
reference ones. Chosen on validation text, over three seeds.
"""

from dataclasses import dataclass

from minillm.model import Config


@dataclass(frozen=True)
class Pretraining:
    """Size of the model and settings of its training. A batch is `batch_size` rows of `length` predictions."""

    dim: int = 96
    layers: int = 4
    heads: int = 4
    context_length: int = 256
    length: int = 128
    batch_size: int = 16
    steps: int = 2400
    peak: float = 6e-3  # learning rate after the warm-up
    warmup: int = 60
    floor: float = 0.0  # learning rate after the last step
    weight_decay: float = 0.1  # of matrices, not of norms
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0

    def config(self, vocab_size: int) -> Config:
        """The model's shape for a tokenizer of this size."""
        return Config(vocab_size, self.context_length, self.dim, self.layers, self.heads)

    @property
    def tokens(self) -> int:
        """Predictions made in the whole run."""
        return self.steps * self.batch_size * self.length


BASE = Pretraining()


@dataclass(frozen=True)
class FineTuning:
    """Settings of supervised fine-tuning. A batch is `batch_size` examples: demonstrations, and documents replayed."""

    demonstrations: int = 4000
    replay: float = 0.15  # share of the examples that are corpus documents
    batch_size: int = 32
    steps: int = 400
    peak: float = 2e-3
    warmup: int = 10
    floor: float = 0.0
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0

    @property
    def documents(self) -> int:
        """Corpus documents that make up the share `replay` of all examples."""
        return round(self.demonstrations * self.replay / (1 - self.replay))


SFT = FineTuning()
# a critic reads the constitution; a judge, made of it, reads comparisons; then a model learns its own revised answers
READING = FineTuning(demonstrations=2400, replay=0.1, steps=120, warmup=5)
COMPARING = FineTuning(demonstrations=3000, replay=0.1, steps=120, warmup=5)
REVISIONS = FineTuning(demonstrations=4800, replay=0.1, steps=250, peak=5e-4)


@dataclass(frozen=True)
class RewardRecipe:
    """Settings of the reward model's training: `requests` with `answers` each, all pairs of which are compared. A batch
    is all pairs of `batch_size` requests."""

    requests: int = 3000
    answers: int = 4
    epochs: float = 1.6
    batch_size: int = 16
    peak: float = 1e-3
    warmup: int = 20
    floor: float = 0.0
    language_model: float = 0.3  # weight of the surprise at the chosen answers
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0


REWARD = RewardRecipe()
ONE_PAIR = RewardRecipe(answers=2, batch_size=32, epochs=2.0)  # one comparison a request, for small experiments


@dataclass(frozen=True)
class PPORecipe:
    """Settings of PPO. An iteration is one rollout of `batch_size` answers and `epochs` passes of minibatches over it.

    beta: of the KL penalty, in units of the score a nat. kl_target: nats an answer that beta is steered to, over about
    `horizon` answers; 0 leaves beta as it is.
    """

    iterations: int = 40
    batch_size: int = 128
    epochs: int = 2
    minibatch: int = 64
    peak: float = 5e-4
    warmup: int = 5
    clip: float = 0.2
    value_clip: float = 0.2
    value_weight: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    beta: float = 0.1
    kl_target: float = 0.0
    horizon: int = 2000
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0


PPO = PPORecipe()


@dataclass(frozen=True)
class GRPORecipe:
    """Settings of GRPO. An iteration is one rollout of `groups` requests with `group` answers each."""

    iterations: int = 40
    groups: int = 16
    group: int = 8
    epochs: int = 1
    minibatch: int = 64
    peak: float = 7e-4
    warmup: int = 5
    clip: float = 0.2
    beta: float = 0.04  # of the KL term in the loss, a token
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0


GRPO = GRPORecipe()


@dataclass(frozen=True)
class DPORecipe:
    """Settings of DPO and its relatives. A batch is all pairs of `batch_size` requests. The loss has its beta."""

    epochs: float = 1.0
    batch_size: int = 16
    peak: float = 4e-4
    warmup: int = 10
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0
    seed: int = 0


DPO = DPORecipe()


@dataclass(frozen=True)
class AssistantRecipe(FineTuning):
    """Settings of the assistant's training under system prompts.

    special: share of a place's demonstrations that it treats in its own way. injected: share that carry words against
    the system prompt.
    """

    special: float = 0.5
    injected: float = 0.0


ASSISTANT = AssistantRecipe(demonstrations=6000, replay=0.1, steps=400, peak=1e-3)
# words against the system prompt, learned after the system prompts themselves
DRILL = AssistantRecipe(demonstrations=3600, replay=0.1, steps=120, peak=7e-4, injected=0.3, seed=1)
DIAL = RewardRecipe(requests=500)  # for each of two reward models
# lesson 11: more pretraining on other texts about jobs; comparisons by a crowd; a model that refuses and tells
MENDING = FineTuning(steps=80, batch_size=16, peak=1e-3, warmup=5)
CROWD = DPORecipe(epochs=3.0, peak=1e-4)
POLITE = FineTuning(steps=40, peak=1e-3, warmup=5)
# lesson 12: a model that answers everything, then a narrowly safe one, then one that is mended
HELPFUL = FineTuning(demonstrations=9600, batch_size=64, steps=300, warmup=5)
NARROW = FineTuning(demonstrations=8000, replay=0.1, batch_size=64, steps=240, warmup=5)
MENDED = FineTuning(demonstrations=12000, replay=0.1, batch_size=64, steps=240, warmup=5)
