"""``python -m minillm bench``: how fast the model trains and writes on this machine, as ratios that travel.

Tokens per second depend on the machine and on what else it does; the share of its matrix-multiply peak, and how much
faster the cache writes, much less so. Each run measures everything once, one after the other, and ratios are taken
within a run, so that a slow minute slows both sides. Medians of the runs are printed with their range. The weights
are random: speed does not depend on what they know.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import median

import torch
from torch import Tensor
from tqdm import tqdm

from minillm import ppo
from minillm.course.exercises import reference
from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.preferences import draw_requests
from minillm.rollouts import Collector, Policy
from minillm.sampling import generate
from minillm.tinyland.recipe import BASE, PPO
from minillm.tinyland.requests import Request
from minillm.tokenizer import Tokenizer
from minillm.training import adamw

PEAK_SIZE = 2048  # of the square matrices whose product gives the peak
STEPS = 20  # training steps in a run
ROWS, PROMPT, NEW = 64, 12, 40  # generation: batch, longest prompt, new tokens


@dataclass(frozen=True)
class Run:
    """One measurement of everything: FLOP/s of the peak, FLOP/s and tokens/s of training, tokens/s of generation, and
    answers' tokens/s of a PPO iteration: of its rollout (sampled and priced), and of rollout and updates together."""

    peak: float
    training_flops: float
    training: float
    cached: float
    uncached: float
    rollout: float
    ppo: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 2 if the device cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m minillm bench", description=__doc__.split("\n\n")[1])
    parser.add_argument("--runs", type=int, default=5, help="how often to measure everything (default: 5)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, mps ...")
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error(f"--runs must be at least 1, got {options.runs}")
    try:
        device = torch.device(options.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        print(f"The device {options.device!r} cannot be used here: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    config = BASE.config(Tokenizer.load().vocab_size)
    with tqdm(total=7 * (options.runs + 1), desc="bench", file=sys.stdout, dynamic_ncols=True) as bar:
        bench = _Bench(config, device, bar)
        bench.run()  # to warm up
        runs = [bench.run() for _ in range(options.runs)]
        bar.set_postfix_str("done")
    print(report(config, device, runs))
    return 0


def report(config: Config, device: torch.device, runs: Sequence[Run]) -> str:
    """The figures as text: ratios first, then what they were made of."""
    parameters = Transformer(config).num_parameters()
    share = _spread([100 * run.training_flops / run.peak for run in runs], "{:.0f}", "% of the machine's peak")
    faster = _spread([run.cached / run.uncached for run in runs], "{:.1f}", " times the tokens without it")
    per_token = forward_flops(config, BASE.length) * 3 / 1e6
    return "\n".join(
        [
            "",
            f"{parameters:,} parameters (dim {config.dim}, {config.layers} layers, {config.heads} heads, vocabulary "
            f"{config.vocab_size}), float32, {_where(device)}, median (range) of {len(runs)} runs",
            "",
            f"  training reaches      {share}",
            f"  writing with a cache  {faster}, {ROWS} rows at once",
            "",
            f"  matrix-multiply peak  {_spread([run.peak / 1e9 for run in runs], '{:.0f}', ' GFLOP/s')}, "
            f"{PEAK_SIZE} x {PEAK_SIZE}",
            f"  training              {_spread([run.training / 1e3 for run in runs], '{:.1f}', 'k tokens/s')}, "
            f"batch {BASE.batch_size} x {BASE.length}",
            f"  writing, cache        {_spread([run.cached / 1e3 for run in runs], '{:.1f}', 'k tokens/s')}, "
            f"{NEW} new tokens a row",
            f"  writing, no cache     {_spread([run.uncached / 1e3 for run in runs], '{:.1f}', 'k tokens/s')}",
            f"  PPO, rollouts         {_spread([run.rollout / 1e3 for run in runs], '{:.1f}', 'k tokens/s')}, "
            f"{PPO.batch_size} answers, sampled and priced",
            f"  PPO, with updates     {_spread([run.ppo / 1e3 for run in runs], '{:.1f}', 'k tokens/s')}, "
            f"{PPO.epochs} epochs in minibatches of {PPO.minibatch}",
            f"  peak memory           {_peak_memory(device)}",
            "",
            f"Training counts {per_token:.2f} MFLOP a token, three times those of a forward pass (backward costs two):",
            "the matrix products of the layers, of the output and of causal attention, and nothing else.",
        ]
    )


def forward_flops(config: Config, length: int) -> float:
    """Floating-point operations of matrix products per token of a forward pass over ``length`` tokens.

    2 per weight: 4 D^2 of attention and 2 D hidden of the MLP in every layer, and V D of the output. Attention over
    the (length + 1) / 2 tokens that one sees on average: 2 D for the scores and 2 D for the mean, each. The embedding
    is a look-up and costs none; norms, rotations and softmax are not counted.
    """
    D = config.dim
    layer = 2 * (4 * D * D + 2 * D * config.hidden) + 4 * D * (length + 1) / 2
    return config.layers * layer + 2 * config.vocab_size * D


class _Bench:
    """What is measured, set up once."""

    def __init__(self, config: Config, device: torch.device, bar: tqdm):
        torch.manual_seed(0)
        self.config, self.device, self.bar = config, device, bar
        self.model = Transformer(config).to(device)
        self.optimizer = adamw(self.model)
        self.training_step, self.next_token_loss = reference("training_step"), reference("next_token_loss")
        self.batch = torch.randint(0, config.vocab_size, (BASE.batch_size, BASE.length + 1), device=device)
        self.matrix = torch.randn(PEAK_SIZE, PEAK_SIZE, device=device)
        lengths = [PROMPT - row % 4 for row in range(ROWS)]
        self.prompts = [[1 + row] * length for row, length in enumerate(lengths)]
        self.policy = Policy.from_stage(self.model)
        self.policy.register_buffer("beta", torch.tensor(PPO.beta))
        self.policy_optimizer = adamw(self.policy)
        self.functions = ppo.Functions(**{part.name: reference(part.name) for part in fields(ppo.Functions)})
        requests = draw_requests("train", PPO.batch_size)
        token_logprobs = self.functions.token_logprobs
        self.collector = Collector(self.model, Tokenizer.load(), requests, _form, _no_score, token_logprobs)

    def run(self) -> Run:
        peak = self._seconds("peak", _repeat(3, lambda: self.matrix @ self.matrix)) / 3
        trained = self._seconds("training", _repeat(STEPS, self._train)) / STEPS
        cached = self._seconds("writing, cache", lambda: self._generate(use_cache=True))
        uncached = self._seconds("writing, no cache", lambda: self._generate(use_cache=False))
        # the peak is taken before and after, so that a machine that grows slower is seen in both
        peak = (peak + self._seconds("peak", _repeat(3, lambda: self.matrix @ self.matrix)) / 3) / 2
        tokens = BASE.batch_size * BASE.length
        flops = 3 * forward_flops(self.config, BASE.length) * tokens
        written = ROWS * NEW
        rolled = self._seconds("PPO, rollout", self._roll_out)
        answered = self.rollout.mask.sum().item()
        updated = self._seconds("PPO, updates", self._update)
        return Run(
            2 * PEAK_SIZE**3 / peak,
            flops / trained,
            tokens / trained,
            written / cached,
            written / uncached,
            answered / rolled,
            answered / (rolled + updated),
        )

    def _train(self) -> None:
        self.training_step(self.model, self.optimizer, [self.batch], self._loss, BASE.max_norm)

    def _loss(self, model: Transformer, batch: Tensor) -> Tensor:
        return self.next_token_loss(model(batch), batch)

    def _generate(self, use_cache: bool) -> None:
        generate(self.model, self.prompts, NEW, use_cache=use_cache)

    def _roll_out(self) -> None:
        self.rollout = self.collector(self.policy, 0)

    def _update(self) -> None:
        """A whole PPO iteration, but for the rollout, which is there."""
        ppo.ppo_iteration(self.policy, self.policy_optimizer, 0, lambda *_: self.rollout, self.functions, PPO)

    def _seconds(self, what: str, work: Callable[[], object]) -> float:
        self.bar.set_postfix_str(what)
        _wait(self.device)
        began = time.perf_counter()
        work()
        _wait(self.device)
        seconds = time.perf_counter() - began
        self.bar.update()
        return seconds


def _form(request: Request) -> str:
    return f"<user> {request.text}<bot>"


def _no_score(answers: Sequence[Answer]) -> Tensor:
    return torch.zeros(len(answers))


def _repeat(times: int, work: Callable[[], object]) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


def _wait(device: torch.device) -> None:
    """Until an accelerator has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _spread(values: Sequence[float], form: str, unit: str) -> str:
    """Median and range: ``34 (31 to 36)% of ...``."""
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return f"{middle}{unit}" if low == high else f"{middle} ({low} to {high}){unit}"


def _where(device: torch.device) -> str:
    if device.type == "cpu":
        return f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}"
    return f"{device}, torch {torch.__version__}"


def _peak_memory(device: torch.device) -> str:
    """The most memory that this process, or its share of the accelerator, ever held."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated() / 2**20:,.0f} MB on the device"
    try:
        import resource
    except ImportError:  # Windows
        return "not known on this system"
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return f"{peak / 2**20:,.0f} MB, the process with torch in it"


if __name__ == "__main__":
    sys.exit(main())
