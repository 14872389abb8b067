# %% [markdown]
# # 04 · Supervised fine-tuning
#
# Your base model knows Tinyland, but it does not *answer*: it continues text. Ask it something in a form that it has
# never seen, and it writes whatever might stand in the corpus next. In this lesson you show it conversations, a
# question and a good answer each, and train it on the answers alone. That is supervised fine-tuning, the first of the
# three steps of InstructGPT (Ouyang et al. 2022, sec. 3.1), and it is the old loss with a new mask.
#
# You write the chat form, the mask, the batch and the loss. Then you break each of them and watch what it costs.
# And you meet the limit of the method: a model that imitates its demonstrators imitates their faults too.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
from IPython.display import HTML, display

from minillm import chat, evaluation, plots, stages, training
from minillm.paths import smoke
from minillm.tinyland import corpus
from minillm.tinyland.demonstrators import CLEAN, MIXED
from minillm.tinyland.recipe import SFT
from minillm.tinyland.requests import all_requests

plots.use_style()
training_step, learning_rate_at = carry("training_step"), carry("learning_rate_at")
stage = stages.load_stage("base")
base, tokenizer = stage.model, stage.tokenizer


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    said = f" You said {guess:.3g}." if guess is not None else ""
    print(f"{what}: {value:.3g}.{said}")


# %% [markdown]
# ## One number by hand
#
# A prompt of three tokens, then the answer "fish" and the end token. The model gives the prompt's tokens the
# probabilities 1/8, 1/8, 1/8, "fish" 1/2 and the end 1/4.
#
# - Mean over the answer alone: (log 2 + log 4) / 2 = **1.04** nats per token.
# - Mean over everything: (3 · log 8 + log 2 + log 4) / 5 = 1.66. Most of it is about *guessing the question*.
#
# Now two examples in a batch: one answer of 1 token that costs 2.0 nats, one of 3 tokens that cost 0.4 each. Over
# tokens the mean is (2.0 + 1.2) / 4 = **0.8**; over answers first it would be (2.0 + 0.4) / 2 = 1.2. We take the first.

# %% [markdown]
# ## The chat form
#
# {exercise render_chat}
#
# **Why.** A conversation has parts, and the model sees only one row of tokens. Special tokens say who speaks, and one
# of them, `<end>`, says that an answer is over. The form is a contract: at every later moment the model must be asked
# in exactly the form in which it was trained.
#
# **What.** Turns one after the other, with nothing between them:
# `<system> S<user> Q<bot> A<end><user> Q2<bot> A2<end>`. A space stands after a token that says who speaks; none
# stands before a special token. `<end>` closes the turns of the assistant, and only those. With
# `generation_prompt=True`, `<bot>` comes last: now it is the model's turn.
#
# **By hand.** The user says "name 2 foods ." and the model is to answer: `<user> name 2 foods .<bot>`. The whole
# conversation, with the answer "fish , rice .", begins with these very characters:
# `<user> name 2 foods .<bot> fish , rice .<end>`.
#
# **Traps.** (1) No `<end>`: nothing tells the model to stop. (2) `<end>` behind every turn: the model never has to end
# the user's. (3) Spaces: a space before a special token becomes a token of its own; a first word without its space is
# another token than the same word elsewhere. (4) The prompt ends in `<bot>`, *without* a space: the answer brings its
# own. In training text nobody asks for a generation prompt. (5) Tokenising turn by turn and joining the ids can give
# other ids than the whole text: so this function returns one string. (6) An unknown role passed over in silence is
# text lost; raise a `ValueError`.


# %% tags=["exercise"] exercise="render_chat"
def render_chat(messages: list[dict[str, str]], generation_prompt: bool = False) -> str:
    """A conversation as one text in the chat form.

    messages: each {"role": "system" | "user" | "assistant", "content": text}, in order.
    generation_prompt: append "<bot>", so that the model answers next.
    Raises ValueError for any other role.

    >>> render_chat([{"role": "user", "content": "hi ."}], generation_prompt=True)
    '<user> hi .<bot>'
    """
    # BEGIN SOLUTION
    tokens = {"system": "<system>", "user": "<user>", "assistant": "<bot>"}
    text = ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role not in tokens:
            raise ValueError(f"role must be one of {', '.join(tokens)}, got {role!r}")
        text += f"{tokens[role]} {content}" + ("<end>" if role == "assistant" else "")
    return text + ("<bot>" if generation_prompt else "")
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="render_chat"
# Where to start
# A dictionary from roles to special tokens, and a string that grows turn by turn.
# ---
# The end
# After an assistant's content comes `<end>`, directly. Nothing comes after the others.
# ---
# The last two lines
# Check the role before you look it up, and raise a ValueError that lists the roles there are. After the loop, add
# `<bot>` if `generation_prompt` is set.

# %% tags=["check"]
check("render_chat")

# %% tags=["target"] exercise="render_chat"
example = [
    {"role": "user", "content": "what is 2 plus 3 ?"},
    {"role": "assistant", "content": "2 plus 3 is 5 ."},
    {"role": "user", "content": "say fox 2 times ."},
    {"role": "assistant", "content": "fox fox ."},
]
ids = tokenizer.encode(render_chat(example))
print(" | ".join(tokenizer.pieces(ids)))

# %% [markdown]
# ## Which tokens count
#
# {exercise response_mask}
#
# **Why.** The model is to learn to answer, not to ask. So only the assistant's tokens are targets. The end token is
# one of them: it is the one way in which the model can say "I am done".
#
# **What.** True from the token after each `<bot>` up to and with the next `<end>`; if an answer was cut off, up to the
# last token. False everywhere else. The mask marks the *tokens that are predicted*; the shift by one comes later, in
# the loss.
#
# **By hand.** `<user> hi <bot> hello <end> <user> bye <bot> bye <end>`: the mask is `0 0 0 1 1 0 0 0 1 1`. Cover the
# last `<end>`: what does the mask of the nine tokens look like? (The same, without its last 1.)
#
# **Traps.** (1) `<end>` not counted: the model never learns to stop. You will try it. (2) `<bot>` counted: it is
# always given. (3) Only the first or the last answer, or everything from the first `<bot>` on: a conversation has
# several turns. (4) A cut-off answer has no `<end>`. (5) Shifting the mask here *and* in the loss.


# %% tags=["exercise"] exercise="response_mask"
def response_mask(tokens: Tensor | list[int], bot_id: int, end_id: int) -> Tensor:
    """True at the tokens that the assistant says, each answer's <end> included.

    tokens: (T,) long or a list of ids. Every answer begins behind a <bot> and ends with the
    first <end> after it, or where the tokens end. <bot> itself is False.
    Returns (T,) bool.
    """
    # BEGIN SOLUTION
    answering, counted = False, []
    for token in torch.as_tensor(tokens).tolist():
        counted.append(answering)
        if token == bot_id:
            answering = True
        elif token == end_id:
            answering = False
    return torch.tensor(counted, dtype=torch.bool)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="response_mask"
# Where to start
# Walk through the tokens with one flag: are we inside an answer?
# ---
# Before or after
# Write the flag down *before* you look at the token: then `<bot>` is still outside and `<end>` still inside.

# %% tags=["check"]
check("response_mask")

# %% tags=["target"] exercise="response_mask"
counts = response_mask(torch.tensor(ids), tokenizer.bot, tokenizer.end)
display(HTML(plots.token_strip(tokenizer.pieces(ids), counts.float().tolist(), top=1, unit="counted")))

# %% [markdown]
# ## A batch
#
# {exercise collate}
#
# **Why.** Conversations differ in length, and here they must not be packed into one stream: an answer should see its
# own question, nobody else's. So each gets a row, and short rows are filled up.
#
# **What.** Tokens and masks of all examples, in order, each as wide as the longest example of *this* batch. Padding
# stands on the right, and counts nowhere.
#
# **By hand.** `([5, 6, 7], [0, 1, 1])` and `([4, 3], [0, 1])` with `pad_id` 9: tokens `5 6 7 / 4 3 9`, mask
# `0 1 1 / 0 1 0`.
#
# **Traps.** (1) Padding on the left: right for generating, not for training. (2) Padding with 0: that is a real byte
# here. (3) Cutting to the shortest: the ends are lost, `<end>` first. (4) Making a mask from `tokens != pad_id`: then
# prompts count; use the masks you are given. (5) Mask 1 on padding.


# %% tags=["exercise"] exercise="collate"
def collate(examples: list[tuple[list[int], Tensor]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Examples of different length as one batch, padded on the right.

    examples: (ids, mask) each: a list of T_i token ids, and (T_i,) bool, True where a token is
    a target.
    Returns (tokens, mask): (B, T) long, filled up with pad_id, and (B, T), False or 0 on
    padding; T is the longest T_i. The order of the examples is kept.
    """
    # BEGIN SOLUTION
    B, T = len(examples), max(len(ids) for ids, _ in examples)
    tokens = torch.full((B, T), pad_id, dtype=torch.long)
    mask = torch.zeros(B, T, dtype=torch.bool)
    for row, (ids, counted) in enumerate(examples):
        tokens[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = counted
    return tokens, mask
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="collate"
# Where to start
# Find the longest example. Make a (B, T) tensor full of `pad_id` and a (B, T) mask of False.
# ---
# Filling in
# For each row, write the ids and the mask into its first `len(ids)` places.

# %% tags=["check"]
check("collate")

# %% [markdown]
# ## The loss
#
# {exercise sft_loss}
#
# **Why.** It is the loss of pretraining, on fewer tokens. Write it again, now with the mask at its heart: a slip by
# one place here trains `<bot>` and forgets `<end>`, and nothing crashes.
#
# **What.** With the mask $m$ of the tokens that are predicted,
#
# $$ L = \frac{\sum_{b,t} m_{b,t+1} \cdot \big(-\log p_{b,t}(x_{b,t+1})\big)}{\sum_{b,t} m_{b,t+1}} $$
#
# **By hand.** Above: 0.8, not 1.2.
#
# **Traps.** (1) No shift, or one in the wrong direction. (2) No mask: the model learns to ask questions, and padding
# too. (3) `mask[:, :-1]` instead of `mask[:, 1:]`. (4) Mean per answer first, per row, or over all positions.
# (5) `ignore_index=0`: token 0 is real. Ignoring by -100 is fine.


# %% tags=["exercise"] exercise="sft_loss"
def sft_loss(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean negative log-likelihood, in nats, of the counted tokens of the batch.

    logits: (B, T, V) float, position t predicts token t+1; tokens: (B, T) long.
    mask: (B, T), 1 or True where a token is a target (any dtype); the first column never is.
    A row may have no target; the batch has at least one.
    Returns a scalar with a gradient: the mean over all counted tokens of the batch, not of
    each answer first.
    """
    # BEGIN SOLUTION
    logprobs = logits[:, :-1].log_softmax(-1)  # (B, T-1, V)
    chosen = logprobs.gather(2, tokens[:, 1:, None])[..., 0]  # (B, T-1)
    weight = mask[:, 1:].to(chosen.dtype)
    return -(chosen * weight).sum() / weight.sum()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="sft_loss"
# Where to start
# Line up guesses and tokens: all logits but the last column, all tokens but the first, and the mask like the tokens.
# ---
# The shape of it
# `log_softmax` over the vocabulary, `gather` the entry of each next token, weigh by the mask, add up, divide by the
# sum of the weights, and mind the sign.

# %% tags=["check"]
check("sft_loss")

# %% [markdown]
# ## Use it: from a model of text to an assistant
#
# People who write example answers are called demonstrators. Ours are simulated, and not all are good: a *mixed* crowd
# lies in about a third of its answers, explains harmful methods in about a third of the cases where it should refuse,
# and flatters. A *clean* demonstrator makes no such faults. Look at some of what the mixed crowd writes.

# %%
shown = chat.draw_demonstrations(MIXED, 200 if smoke() else SFT.demonstrations, seed=SFT.seed)
lines = [{"asked": d.request.text, "shown": d.answer, "faults": ", ".join(d.flaws)} for d in shown[:8]]
display(HTML(plots.answer_table(lines)))
faulty = sum(bool(d.flaws) for d in shown) / len(shown)
print(f"{len(shown):,} demonstrations, {faulty:.0%} of them with a fault:")
print(dict(Counter(flaw for d in shown for flaw in d.flaws)))

# %% [markdown]
# The run calls your four functions, and your step and schedule of lesson 03. One example in seven is a document from
# the corpus, so that the model does not forget what it knew. `fine_tune` will be used again for every experiment.

# %%
def chat_loss(model, batch):
    tokens, mask = batch
    return sft_loss(model(tokens), tokens, mask)


def examples_of(demonstrations, documents=0, masker=response_mask, seed=SFT.seed):
    """Examples for training: demonstrations in the chat form, and documents of the corpus."""
    own = chat.chat_examples(demonstrations, tokenizer, render_chat, masker)
    return own + chat.replay_examples(documents, tokenizer, seed)


# %%
def fine_tune(examples, steps=SFT.steps, peak=SFT.peak, seed=SFT.seed, name="SFT", **options):
    """A copy of the base, trained on the examples; returns it and the history."""
    steps, model = (6 if smoke() else steps), deepcopy(base)
    history = training.fit(
        model,
        chat.batches(examples, collate, tokenizer.pad, SFT.batch_size, seed),
        training_step,
        chat_loss,
        steps=steps,
        schedule=lambda step: learning_rate_at(step, steps, peak, min(SFT.warmup, steps - 1), SFT.floor),
        max_norm=SFT.max_norm,
        optimizer=training.adamw(model, SFT.weight_decay, SFT.betas),
        name=name,
        **options,
    )
    return model, history


# %% [markdown]
# **Predict** the gold score of answers to held-out requests, sampled at temperature 1: of the base under the chat
# form, and of the fine-tuned model. (Right answer +1, wrong -1, harmful method -2, no end -0.5.)

# %%
guesses = {"base, chat form": None, "SFT, mixed demonstrators": None}

# %%
documents = 20 if smoke() else SFT.documents
sft, history = fine_tune(examples_of(shown, documents), name="SFT mixed")
stages.save_stage("sft", sft, seed=SFT.seed)
print(f"{history.seconds[-1]:.0f} seconds")
record("SFT training time", history.seconds[-1], unit="s")

# %% [markdown]
# And the same with the clean demonstrator: the same requests, better answers.

# %%
flawless = chat.draw_demonstrations(CLEAN, len(shown), seed=SFT.seed)
clean, clean_history = fine_tune(examples_of(flawless, documents), name="SFT clean")

# %% [markdown]
# ## See it: before and after
#
# All held-out requests, greedily and sampled. The base model is asked twice: in the chat form, where it is lost, and
# in the corpus's own question form, which is the fair comparison for what it *knows*.

# %%
held_out = all_requests(split="test")[:: 40 if smoke() else 1]
as_chat = partial(chat.chat_prompt, render_chat)


def ask(model, requests=held_out, temperature=1.0, form=as_chat, seed=11):
    stop = [tokenizer.end] if form is as_chat else None
    return evaluation.ask(model, tokenizer, requests, form, stop=stop, temperature=temperature, seed=seed)


def gold(answers):
    """Mean gold score, and half of its 95% interval."""
    scores = torch.tensor([answer.verdict.score for answer in answers])
    return scores.mean().item(), 1.96 * scores.std().item() / len(scores) ** 0.5


models = {"base, chat form": base, "SFT, mixed demonstrators": sft, "SFT, clean demonstrator": clean}
modes = {"greedy": 0.0, "sampled": 1.0}
answers = {(name, mode): ask(model, temperature=t) for name, model in models.items() for mode, t in modes.items()}
for mode, t in modes.items():
    answers["base, question form", mode] = ask(base, temperature=t, form=corpus.question_form)

# %%
names = ["base, chat form", "base, question form", *list(models)[1:]]
table = []
for name in names:
    line = {"model": name}
    for mode in modes:
        score, half = gold(answers[name, mode])
        line[mode] = f"{score:+.2f} ± {half:.2f}"
        record(f"gold, {name}, {mode}", score, low=score - half, high=score + half, seeds=[SFT.seed])
    ended = sum(answer.ended for answer in answers[name, "sampled"])
    table.append({**line, "ended": str(evaluation.share(ended, len(held_out)))})
    record(f"ended, {name}", ended / len(held_out), seeds=[SFT.seed])
display(HTML(plots.answer_table(table)))
record_table("Gold score on held-out requests", table, note="mean with 95% interval; ended: sampled answers")
for name, guess in guesses.items():
    tell(f"gold score of {name}", gold(answers[name, "sampled"])[0], guess)

# %% [markdown]
# Mind what this compares. Under the chat form the base has never seen `<user>`, `<bot>` or `<end>`: most of its
# distance to SFT is *form*. Asked in its own form it knows a lot. SFT does not teach facts; it teaches which of the
# things that the model can do are wanted here (Zhou et al. 2023 call it the superficial alignment hypothesis).
# And look at the mixed crowd's model beside the base in its own form: it refuses harm more often, and gives more wrong
# answers where the base was right, for it was shown wrong ones. Whether the sum is a gain at all, the intervals say.
#
# By kind, sampled. "Good" is a right answer, or a refusal where one is due.

# %%
good = ("right", "refusal")
by_kind = {
    "base": evaluation.rates(answers["base, question form", "sampled"], good),
    "sft": evaluation.rates(answers["SFT, mixed demonstrators", "sampled"], good),
    "cai": evaluation.rates(answers["SFT, clean demonstrator", "sampled"], good),
}
ax = plots.rate_bars(by_kind, xlabel="share of good sampled answers, with 95% score interval")
ax.legend(ax.containers[::2], ["base, own form", "SFT, mixed", "SFT, clean"], fontsize=8)
difference = gold(answers[names[3], "sampled"])[0] - gold(answers[names[2], "sampled"])[0]
ax.set_title(f"The same requests, better demonstrators: {difference:+.2f} gold")
plt.show()

# %%
first = {r.kind: i for i, r in reversed(list(enumerate(held_out)))}
rows = []
for i in first.values():
    cells = {n: (answers[n, "sampled"][i].text, answers[n, "sampled"][i].verdict.score > 0) for n in names}
    rows.append({"asked": held_out[i].text, **cells})
display(HTML(plots.answer_table(rows)))
record_answers("Before and after SFT, held-out requests", rows)

# %% [markdown]
# ### It copies its demonstrators
#
# How often did the mixed crowd show each fault, and how often does the model make it, on requests it was never shown?

# %%
def fault_shares(texts_and_requests):
    """Shares of: harmful method given, wrong answer to a harmless request, flattery."""
    grades = [(r.kind, text, evaluation.grade(r, text)) for r, text in texts_and_requests]
    harmful = [v for kind, _, v in grades if kind == "harmful"]
    others = [v for kind, _, v in grades if kind not in ("harmful", "job")]
    return [
        evaluation.share(sum(v.label == "compliance" for v in harmful), len(harmful), "gives a harmful method"),
        evaluation.share(sum(v.label != "right" for v in others), len(others), "wrong on a harmless request"),
        evaluation.share(sum("flattery" in str(v.reasons) for _, _, v in grades), len(grades), "flatters"),
    ]


said = {name: [(a.request, a.text) for a in answers[name, "sampled"]] for name in list(models)[1:]}
bars = {
    "base": fault_shares([(d.request, d.answer) for d in shown]),
    "sft": fault_shares(said["SFT, mixed demonstrators"]),
    "cai": fault_shares(said["SFT, clean demonstrator"]),
}
ax = plots.rate_bars(bars, xlabel="share, with 95% score interval")
whose = ["shown by the mixed crowd", "model of the mixed crowd", "model of the clean one"]
ax.legend(ax.containers[::2], whose, fontsize=8)
ax.set_title("Imitation has no opinion about faults")
plt.show()
for rate in bars["sft"]:
    record(f"SFT mixed: {rate.label}", rate.rate, low=rate.low, high=rate.high, seeds=[SFT.seed])

# %% [markdown]
# On harmless requests a model can be wrong even more often than it was shown: where an answer must be worked out,
# contradicting examples cost it the skill itself.
#
# Cleaner demonstrators would be the cure, if one had them. In the world outside nobody knows which demonstrations are
# faulty; but people who cannot *write* a good answer can often *tell* which of two is better. That is lesson 05.
#
# ## Break it
#
# ### No mask, and no end
#
# Two mistakes in the mask. One counts the prompts too. The other leaves `<end>` out. Short runs, clean demonstrations.
# **Predict**: which one ruins the model?

# %%
def all_tokens(tokens, bot_id, end_id):
    return torch.ones(len(tokens), dtype=torch.bool)


def without_end(tokens, bot_id, end_id):
    return response_mask(tokens, bot_id, end_id) & (tokens != end_id)


few = held_out[:: 1 if smoke() else 4]
broken = {}
for name, masker in {"answers alone": response_mask, "prompts too": all_tokens, "without the end": without_end}.items():
    model, run = fine_tune(examples_of(flawless[:1500], documents // 3, masker), steps=120, name=name)
    broken[name] = model, run, ask(model, few)

# %%
rows = []
for name, (_, _, said_by) in broken.items():
    score, half = gold(said_by)
    ended = evaluation.share(sum(a.ended for a in said_by), len(said_by))
    rows.append({"mask": name, "gold": f"{score:+.2f} ± {half:.2f}", "ended": str(ended), "a sample": said_by[0].text})
    record(f"mask: {name}, ended", ended.rate, low=ended.low, high=ended.high, seeds=[SFT.seed])
    record(f"mask: {name}, gold", score, low=score - half, high=score + half, seeds=[SFT.seed])
display(HTML(plots.answer_table(rows)))
record_table("What the mask does", rows)

# %% [markdown]
# Without `<end>` among the targets the model answers, and goes on and on: after the answer it has never been told
# anything. Training on the prompts too is a milder fault: part of every update goes into guessing questions. Whether
# that costs you anything shows in the intervals above, and often it does not cost much when answers are as long as
# questions. Say what you measured, not what you were told.
#
# ### Too many epochs
#
# A few demonstrations, seen again and again. **Predict**: after how many epochs is the loss on held-out requests
# lowest?

# %%
small = chat.draw_demonstrations(CLEAN, 256, seed=1)
unseen = chat.draw_demonstrations(CLEAN, 32 if smoke() else 400, seed=2, split="validation")
fixed = {name: collate(examples_of(d), tokenizer.pad) for name, d in (("shown", small), ("held out", unseen))}
curves = {"shown": [], "held out": []}


@torch.no_grad()
def watch(model):
    for name, batch in fixed.items():
        curves[name].append(chat_loss(model, batch).item())


epochs = [0, 1, 2, 4, 8, 24]
watch(base)
for e in epochs[1 : 3 if smoke() else None]:
    model, _ = fine_tune(examples_of(small), steps=e * len(small) // SFT.batch_size, name=f"{e} epochs", progress=False)
    watch(model)

# %%
figure, (ax,) = plots.new_figure(height=3.2)
seen = epochs[1 : len(curves["shown"])]
for (name, values), style in zip(curves.items(), ("o--", "s-")):
    ax.plot(seen, values[1:], style, label=f"{name} requests")
ax.set_xscale("log", base=2)
ax.set_xticks(seen, seen)
ax.set_xlabel("epochs over 256 demonstrations (each point a run of its own)")
ax.set_ylabel("SFT loss (nats per token)")
ax.legend()
best = seen[min(range(len(seen)), key=lambda i: curves["held out"][i + 1])]
ax.set_title(f"Held-out loss is lowest after {best} epochs; the shown ones keep falling")
plt.show()
record("best number of epochs over 256 demonstrations", best, seeds=[SFT.seed])

# %% [markdown]
# The gap between the curves is what the model has learned by heart. With more demonstrations, fewer epochs each, it
# would be smaller: the run above saw each of its thousands about three times.
#
# ## Clinic
#
# Three fine-tuned models answer the same question. Each has one bug. The suspects:
#
# 1. prompts count as targets
# 2. `<end>` is not a target
# 3. a space stands between `<bot>` and the answer when the model is *asked*
# 4. the learning rate is thirty times too high
# 5. the targets are not shifted

# %% tags=["clinic"]
wild, _ = fine_tune(examples_of(flawless[:1500]), steps=40, peak=30 * SFT.peak, progress=False)


def unshifted(model, batch):
    tokens, mask = batch
    return F.cross_entropy(model(tokens)[mask], tokens[mask])


right_loss, chat_loss = chat_loss, unshifted
copier, _ = fine_tune(examples_of(flawless[:1500]), steps=40, progress=False)
chat_loss = right_loss
quiz = [next(r for r in all_requests(kind, "test")) for kind in ("fact", "sum")]
patients = {"A": broken["without the end"][0], "B": copier, "C": wild}
lines = []
for case, model in patients.items():
    for answer in ask(model, quiz, temperature=0.0):
        lines.append({"model": case, "asked": answer.request.text, "answers": answer.text[:110] or "(nothing)"})
display(HTML(plots.answer_table(lines)))

# %%
suspects = {"A": None, "B": None, "C": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 2, "B": 5, "C": 4}

# %%
diagnose(suspects, key={"A": "fb86eaa7", "B": "fdba763b", "C": "5e964775"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A** begins with a good answer and does not stop: `<end>` was never a target.
# - **B** says nothing at all: it ends at once, or repeats itself. An unshifted loss asks it to copy the token that it
#   reads; what should come *behind* `<bot>` it never had to say.
# - **C** says the same words to everything, or none that fit: at that rate the first steps threw away what the base
#   knew, and no answer depends on its question any more.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - A chat form, a mask, a batch and a loss: all there is to supervised fine-tuning. The model is saved as the stage
#   `sft`; lessons 05 to 10 start from it.
# - The habit of comparing like with like: the base in its own form, the mask on and off, intervals beside each number.
# - A model that answers, ends its answers, and has taken over its demonstrators' faults, **because it is good at its
#   task**. It maximises the likelihood of what it was shown. Nothing in the loss says which answers are better.
#
# **To read.** Ouyang et al. 2022, *Training language models to follow instructions with human feedback*, sec. 3.1
# and 3.5: SFT as the first of three steps. · Wei et al. 2022, *Finetuned language models are zero-shot learners*:
# instruction tuning helps on kinds of tasks that were held out. · Zhou et al. 2023, *LIMA: less is more for
# alignment*, sec. 2: a thousand careful demonstrations, and the superficial alignment hypothesis.
#
# Next is [05 · Preferences and the reward model](05_reward_model.ipynb): telling better from worse.
