"""Trains models/nano: one visual prefix per image, several instructions as masked branches on it (equal to plain causal
decoding), traces as whole sequences on marked images, and a training-only loss that makes visual tokens say where things are.

  python train.py --data out/nano/demos --out out/nano/run --steps 5000

Writes <out>/model.safetensors (fp16, Magma's key names; the running mean of the weights), <out>/state.pt (everything that
--resume goes on from) and <out>/log.jsonl. With --select the weights drive the simulation every so often while training goes
on, and the best of them are kept in <out>/best: what decides is closed-loop success, not a loss.
"""

import argparse
import copy
import json
import math
import os
import shlex
import shutil
import subprocess
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from data import Codec, Frames, placed
from model import Magma, causal, fourier_init
from model_folder import copy_model
from traces import Traces

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
SIGMA = np.array([3, 3, 3, 2, 2, 3, 0.6])  # width of the smoothed targets in bins, per action dimension
NEAR = 14  # half-width of the window of bins that a smoothed target covers
HELD_OUT = 1500  # frames: the episodes of the last ones of the first set, a tenth of it at most, are never trained on
FIRST_NAMES = ["gripper", "red", "green", "blue", "yellow", "purple", "teal"]  # of a state.pt that tells none


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", nargs="+", required=True, help="folders written by simulate --training-set")
    p.add_argument("--model", default=os.path.join(os.path.dirname(__file__), ".."), help="folder with config.json, tokenizer.json, model.json")
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=5000, help="about 75 pictures of 64 per second and core with AVX-512 bf16")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--branches", type=int, default=5, help="instructions per image")
    p.add_argument("--trace-share", type=float, default=0.25, help="share of steps on marked images")
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--final-lr", type=float, default=0.02, help="last learning rate, relative")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--init", help="model.safetensors or state.pt to start from")
    p.add_argument("--resume", action="store_true", help="go on from <out>/state.pt, optimiser included")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--select", type=float, default=0, metavar="MINUTES", help="time between closed-loop evaluations; 0: none")
    p.add_argument("--select-episodes", type=int, default=60)
    p.add_argument("--select-seed", type=int, default=900, help="of the scenes that choose between weights; never one that reports them")
    p.add_argument("--magma-vla", default="node dist/main.js", help="how the simulation is called")
    p.add_argument("--minutes", type=float, default=0, help="length in minutes of this process's processor time (cuda: of time) instead of --steps")
    p.add_argument("--only", default="", metavar="REGEX", help="train on instructions that match, such as '^(put|push) '")
    p.add_argument("--trace-pictures", choices=["marked", "plain"], default="marked", help="what is seen where traces are asked for; plain is for comparison")
    p.add_argument("--place-loss", type=float, default=1.0, help="weight of the training-only losses about where things are")
    p.add_argument("--every", type=float, default=120, metavar="SECONDS", help="between checks on held-out frames; 0: none, and no state until the end")
    p.add_argument("--favour", type=float, default=1.0, help="how much likelier a frame of the last folder is drawn")
    return p.parse_args()


class Where(nn.Module):
    """Training only, never exported: visual tokens say their own cell and every object's place in the picture."""

    def __init__(self, d, names):
        super().__init__()
        self.own, self.find = nn.Linear(d, 2), nn.Linear(d, 5 * names)
        self.lies = nn.Linear(d, 2)
        self.spoken = nn.Linear(d, 4)
        self.direction = nn.Linear(d, 2)
        self.digit, self.mark = nn.Linear(d, 10 * 3), nn.Linear(d, 2)

    def numbered(self, features, heard, marks, at):
        """Which cell holds mark k (features [m, g, g, d]; None where no marks are drawn), and the decoder's word for its
        place [m, 3, d]."""
        error = (self.mark(heard.float()) - (at * 4 - 2)[:, None]).abs().sum(-1).mean()
        if features is None:
            return error, error * 16
        m, g, _, d = features.shape
        out = self.digit(features.reshape(m, g * g, d)).view(m, g * g, 10, 3)[torch.arange(m), :, marks]
        cell = (at * g).floor().clamp(0, g - 1)
        index = (cell[:, 1] * g + cell[:, 0]).long()
        offset = (out[torch.arange(m), index, 1:] - (at * g - cell - 0.5)).abs().sum(-1).mean()
        return 0.3 * F.cross_entropy(out[..., 0], index) + 0.3 * offset + error, error * 16

    def spoken_of(self, hidden, points):
        """Half-way through the decoder the end of the question says where the named block and pad are: [..., d], [..., 2, 2]."""
        seen = torch.isfinite(points).all(-1) & (points > 0).all(-1) & (points < 1).all(-1)
        at = torch.where(seen[..., None], points, torch.full_like(points, 0.5)) * 4 - 2
        error = (self.spoken(hidden.float()).view(at.shape) - at).abs().sum(-1) * seen
        return error.sum() / seen.sum().clamp(min=1)

    def direction_of(self, hidden, direction):
        """And which way the named block lies: [..., d], [...] rad, NaN unknown."""
        return self.directed(self.direction(hidden.float()), direction)

    def directed(self, said, direction):
        """A block looks the same after a quarter turn: said is cosine and sine of four times the angle [..., 2]. Guessing
        costs 1.27."""
        known = torch.isfinite(direction)
        a = 4 * torch.where(known, direction, torch.zeros_like(direction))
        error = (said - torch.stack([a.cos(), a.sin()], -1)).abs().sum(-1) * known
        return error.sum() / known.sum().clamp(min=1)

    def forward(self, features, points, yaws):
        b, g, _, d = features.shape
        f = features.reshape(b, g * g, d)
        line = (torch.arange(g).float() - (g - 1) / 2) / (g / 4)
        grid = torch.stack([line[None, :].expand(g, g), line[:, None].expand(g, g)], -1).reshape(1, g * g, 2)
        loss = (self.own(f) - grid).abs().mean()
        out = self.find(f).view(b, g * g, -1, 5)
        seen = torch.isfinite(points).all(-1) & (points > 0).all(-1) & (points < 1).all(-1)
        at = torch.where(seen[..., None], points, torch.full_like(points, 0.5)) * g
        cell = at.floor().clamp(0, g - 1)
        index = (cell[..., 1] * g + cell[..., 0]).long()
        ce = F.cross_entropy(out[..., 0].transpose(1, 2).flatten(0, 1), index.flatten(), reduction="none").view_as(index)
        there = torch.gather(out[..., 1:], 1, index[:, None, :, None].expand(-1, 1, -1, 4))[:, 0]
        offset = (there[..., :2] - (at - cell - 0.5)).abs().sum(-1)
        absolute = (there[..., 2:] - (at - g / 2) / (g / 4)).abs().sum(-1)
        w = seen.float()
        # The cell that holds a block says which way it lies.
        lies = self.directed(self.lies(torch.gather(f, 1, index[..., None].expand(-1, -1, d))), torch.where(seen, yaws, torch.nan))
        # pixels of a 128 image by which the offsets are wrong: the number to watch
        all_ = w.sum().clamp(min=1)
        error = ((there[..., :2] - (at - cell - 0.5)).abs().mean(-1) * w).sum() / all_ * 128 / g
        return loss + ((0.5 * ce + offset + absolute) * w).sum() / all_ + lies, error, lies

    def load(self, state, theirs, names):
        """Of another run's head, whose names may be others: what is of a thing of both, and every layer of the same size."""
        mine = self.state_dict()
        for key, value in state.items():
            if key.startswith("find."):
                into, of = mine[key].view(len(names), 5, -1), value.view(len(theirs), 5, -1)
                for name in set(names) & set(theirs):
                    into[names.index(name)] = of[theirs.index(name)]
            elif key in mine and mine[key].shape == value.shape:
                mine[key].copy_(value)


def augment(x):
    b = x.shape[0]
    x = x * (0.8 + 0.4 * torch.rand(b, 1, 1, 1)) * (0.93 + 0.14 * torch.rand(b, 3, 1, 1)) + 0.1 * (torch.rand(b, 1, 1, 1) - 0.5)
    return (x + 0.05 * (torch.rand_like(x) - 0.5)).clamp(0, 1)


def to_input(pixels, training):
    x = placed(pixels).permute(0, 3, 1, 2).float() / 255
    return (augment(x) if training else x).sub(MEAN.to(x.device)).div(STD.to(x.device))


class ActionBatches:
    """Prefix [bos, image_start, image, image_end, question] and K branches [instruction, ?, state, answer]."""

    def __init__(self, model, codec, frames, branches):
        self.model, self.codec, self.frames, self.k = model, codec, frames, branches
        g = model.grid
        self.head = torch.tensor([codec.bos, codec.image_start])
        self.tail = torch.tensor([codec.image_end] + list(codec.question))
        self.prefix = 2 + g * (g + 1) + len(self.tail)
        self.length = frames.longest_text + 5 + 7
        p, n = self.prefix, self.length
        t = p + branches * n
        self.mask = torch.full((t, t), -1e9)
        self.mask[:p, :p] = causal(p)
        self.positions = torch.arange(t)
        for k in range(branches):
            a = p + k * n
            self.mask[a : a + n, :p] = 0
            self.mask[a : a + n, a : a + n] = causal(n)
            self.positions[a : a + n] = p + torch.arange(n)

    def draw(self, index, rng, training):
        f, c = self.frames, self.codec
        b = len(index)
        choice = np.stack([pick(rng, f.count[i], f.executed[i], self.k) for i in index])
        rows = index[:, None]
        text = f.instruction[rows, choice]
        bins = c.action_bins(f.action[rows, choice])
        state = c.state_bins(f.state[index])
        if training:
            state = state + rng.normal(0, 1.0, state.shape)
        noisy = bins + (rng.normal(0, 3.0, bins.shape) * (rng.random(bins.shape) < 0.5) if training else 0)
        noisy[..., 6] = bins[..., 6]
        ids = np.zeros((b, self.k, self.length), np.int64)
        ids[..., : f.longest_text] = f.text_ids[text]
        length = f.text_length[text]
        place = lambda j: (np.arange(b)[:, None], np.arange(self.k)[None], length + j)
        for j in range(5):
            ids[place(j)] = c.bin_ids(state[:, None, j])
        for j in range(7):
            ids[place(5 + j)] = c.bin_ids(noisy[..., j])
        start = self.prefix + np.arange(self.k)[None, :, None] * self.length + length[..., None]
        at = start + 4 + np.arange(8)
        question = start - 1
        things = f.places[rows[..., None], f.text_things[text]]
        return (
            placed(ids.reshape(b, -1)),
            placed(bins),
            placed(at.reshape(b, -1)),
            placed(np.concatenate([question, at[..., :1]], 2).reshape(b, -1)),
            placed(things),
            placed(f.direction[rows, choice]),
        )

    def loss(self, index, rng, where, places):
        f, c, m = self.frames, self.codec, self.model
        ids, bins, at, asked, things, direction = self.draw(index, rng, True)
        pixels = to_input(f.pixels(index), True)
        b = len(index)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            features = m.features(pixels)
            x = torch.cat(
                [m.embed(self.head).expand(b, -1, -1), m.visual_tokens(features), m.embed(self.tail).expand(b, -1, -1), m.embed(ids)], 1
            )
            h, half = m.hidden(x, self.positions, self.mask, tap=2)
            h = torch.gather(h, 1, at[..., None].expand(-1, -1, h.shape[-1]))
            half = torch.gather(half, 1, asked[..., None].expand(-1, -1, h.shape[-1])).view(b, self.k, 2, -1)
            logits = m.logits(h).view(b, self.k, 8, -1)
        log = F.log_softmax(logits, -1)
        action = smoothed(log[..., :7, :], bins, c.v)
        end = -log[..., 7, c.eos]
        position, error, lies = where(features, placed(f.points[index]), placed(f.yaws[index, :-1]))
        spoken = where.spoken_of(half, things[:, :, None].expand(-1, -1, 2, -1, -1))
        turned = where.direction_of(half, direction[..., None].expand(-1, -1, 2))
        weight = torch.tensor([1.5, 1.5, 1.5, 0.2, 0.2, 1.5, 1.5])
        loss = (action * weight).mean() + 0.1 * end.mean() + places * (0.3 * position + 0.5 * spoken + turned)
        numbers = {"where_px": error.item(), "spoken_px": spoken.item() * 16, "lies": lies.item(), "direction": turned.item()}
        return loss, {"action": action.mean((0, 1)).tolist(), **numbers}


def smoothed(log, bins, v):
    """Cross-entropy against a Gaussian over the bins around the true value; log [..., 7, vocab], bins [..., 7]."""
    centre = bins.floor().clamp(1, 256)
    k = centre[..., None] + torch.arange(-NEAR, NEAR + 1)
    valid = (k >= 1) & (k <= 256)
    q = torch.exp(-0.5 * ((k + 0.5 - bins[..., None]) / torch.tensor(SIGMA)[:, None]) ** 2) * valid
    q = (q / q.sum(-1, keepdim=True)).float()
    ids = (v - k.clamp(1, 256)).long()
    return -(q * torch.gather(log, -1, ids)).sum(-1)


def pick(rng, count, executed, k):
    """The executed instruction and k − 1 others; all of them once more where there are fewer."""
    others = rng.permutation(count)
    return np.resize(np.concatenate([[executed], others[others != executed][: k - 1]]), k)


@torch.no_grad()
def validate(model, codec, frames, index):
    """Free-running greedy error on held-out frames for the executed instruction: mm per axis, yaw degrees, gripper share."""
    batches = ActionBatches(model, codec, frames, 1)
    rng = np.random.default_rng(0)
    errors, grips = [], []
    model.eval()
    for chunk in np.array_split(index, max(1, len(index) // 50)):
        f = frames
        x = to_input(f.pixels(chunk), False)
        ids, bins, *_ = batches.draw(chunk, rng, False)
        bins = bins[:, 0].cpu().numpy()
        length = f.text_length[f.instruction[chunk, f.executed[chunk]]]
        visual = model.visual_tokens(model.features(x))
        predicted = np.zeros((len(chunk), 7))
        for n in np.unique(length):
            rows = np.flatnonzero(length == n)
            out = ids[rows, : n + 5]
            for _ in range(7):
                b = len(rows)
                e = torch.cat([model.embed(batches.head).expand(b, -1, -1), visual[rows], model.embed(batches.tail).expand(b, -1, -1), model.embed(out)], 1)
                h = model.hidden(e, torch.arange(e.shape[1]), causal(e.shape[1]))
                out = torch.cat([out, model.logits(h[:, -1]).argmax(-1, keepdim=True)], 1)
            predicted[rows] = np.clip(codec.v - out[:, -7:].cpu().numpy(), 1, 256) + 0.5
        errors.append(np.abs(predicted - bins)[:, :6] / 255)
        grips.append((predicted[:, 6] > 192) == (bins[:, 6] > 192))
    model.train()
    e = np.concatenate(errors).mean(0)
    return {"xyz_mm": (e[:3] * 100).round(2).tolist(), "yaw_deg": round(float(e[5] * 0.5 * 180 / math.pi), 2), "gripper": round(float(np.concatenate(grips).mean()), 4)}


def main():
    a = parse()
    torch.set_num_threads(a.threads)
    torch.set_default_device(a.device)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    os.makedirs(a.out, exist_ok=True)
    config = json.load(open(f"{a.model}/config.json"))
    codec = Codec(a.model)
    size = config["vision_config"]["img_size"]
    goes_on = a.resume and os.path.exists(f"{a.out}/state.pt")
    begun = f"{a.out}/state.pt" if goes_on else a.init if a.init and a.init.endswith(".pt") else None
    state = torch.load(begun, map_location=a.device) if begun else {"names": []}
    theirs = state.get("names", FIRST_NAMES)
    frames = Frames(a.data, codec, size, theirs, a.only)
    if goes_on and frames.names != theirs:
        raise SystemExit(f"--resume: data with {', '.join(frames.names)}, expected those of {begun}: {', '.join(theirs)}; --init takes other data")
    first = frames.starts[1]
    held_episodes = np.unique(frames.episode[first - min(HELD_OUT, first // 10) : first])
    held = np.flatnonzero(np.isin(frames.episode, held_episodes))
    train = np.setdiff1d(np.arange(len(frames)), held)
    chance = np.ones(len(frames))
    chance[frames.starts[-2] :] *= a.favour
    chance = np.cumsum(chance[train]) / chance[train].sum()
    model = Magma(config)
    fourier_init(model.language_model.model.embed_tokens, [codec.v - k for k in range(1, 257)])
    fourier_init(model.language_model.model.embed_tokens, codec.integer)
    where = Where(config["text_config"]["hidden_size"], len(frames.names))
    if begun and not goes_on:
        model.load_state_dict(state.get("mean", state["model"]))
        where.load(state["where"], theirs, frames.names)
    elif a.init and not goes_on:
        model.load_state_dict({k: v.float() for k, v in load_file(a.init, a.device).items()})
    mean = copy.deepcopy(model)
    actions = ActionBatches(model, codec, frames, a.branches)
    traces = Traces(model, codec, frames, a.data, to_input, set(held_episodes.tolist()), a.trace_pictures) if a.trace_share > 0 else None
    share = a.trace_share if traces and traces.rows else 0
    parameters = [*model.parameters(), *where.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.05}, {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0}],
        a.lr, betas=(0.9, 0.98),
    )
    print(f"{len(frames)} frames, {len(traces.rows) if traces else 0} traces, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    step = 0
    if goes_on:
        for part, key in ((model, "model"), (mean, "mean"), (where, "where"), (optimiser, "optimiser")):
            part.load_state_dict(state[key])
        step = state["step"]
        rng = np.random.default_rng([a.seed, step])
        torch.manual_seed(a.seed + step)
    log = open(f"{a.out}/log.jsonl", "a")
    log.write(json.dumps({"torch": torch.__version__, "frames": len(frames), "from": step, **vars(a)}) + "\n")
    selection = Selection(a) if a.select > 0 else None
    first_step, start, seen, spoken, smooth = step, time.time(), 0, time.time(), {}
    now = time.perf_counter if a.device.startswith("cuda") else time.process_time
    spent, asked = state.get("spent", 0.0) if goes_on else 0.0, 0
    done = lambda: spent / (60 * a.minutes) if a.minutes > 0 else step / a.steps
    while (part := done()) < 1:
        begun_at = now()
        lr = a.lr * min(1, (step + 1) / 150) * (a.final_lr + (1 - a.final_lr) * 0.5 * (1 + math.cos(math.pi * part)))
        for group in optimiser.param_groups:
            group["lr"] = lr
        if share > 0 and rng.random() < share:
            asked += a.batch
            loss, numbers = traces.loss(a.batch, rng, where, a.place_loss)
        else:
            index = train[np.searchsorted(chance, rng.random(a.batch)).clip(0, len(train) - 1)]
            loss, numbers = actions.loss(index, rng, where, a.place_loss)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        decay = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - decay)
        step, seen, spent = step + 1, seen + a.batch, spent + now() - begun_at
        for key, value in numbers.items():
            value = np.array(value)
            smooth[key] = value if key not in smooth else 0.97 * smooth[key] + 0.03 * value
        if step - first_step in (10, 50) or (a.every and time.time() - spoken > a.every):
            spoken = time.time()
            line = {"s": round(spoken - start), "step": step, "seen": seen, "per_s": round(seen / (spoken - start), 1), "lr": round(lr, 6)}
            line |= {k: np.round(v, 3).tolist() for k, v in smooth.items()}
            if step - first_step > 50:
                line["held_out"] = validate(mean, codec, frames, held[::8])
                save(a.out, {"step": step, "spent": spent, "names": frames.names}, mean, model, where, optimiser)
            if selection:
                line |= selection.poll(step)
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
    save(a.out, {"step": step, "spent": spent, "names": frames.names}, mean, model, where, optimiser)
    if selection:
        print(json.dumps(selection.finish(step)), flush=True)
    held_out = validate(mean, codec, frames, held[::2]) if a.every else None
    print(json.dumps({"done": step, "seen": seen, "traces": asked, "s": round(spent, 1), "held_out": held_out}), flush=True)


class Selection:
    """Closed loop beside the training: the latest weights drive the simulation in a process of its own; the best stay in
    <out>/best, with every result in <out>/closed_loop.jsonl."""

    def __init__(self, a):
        self.a, self.running, self.last, self.step = a, None, time.time(), 0
        self.results = f"{a.out}/closed_loop.jsonl"
        lines = open(self.results).read().splitlines() if os.path.exists(self.results) else []
        self.best = max((json.loads(line)["success"] for line in lines), default=-1.0)

    def poll(self, step):
        """Collects a result that is there, begins the next evaluation when it is due. Never waits."""
        found = {}
        if self.running and self.running.poll() is not None:
            found = self.collect()
        there = os.path.exists(f"{self.a.out}/model.safetensors")
        if there and not self.running and time.time() - self.last > self.a.select * 60:
            self.begin(step)
        return found

    def finish(self, step):
        if self.running:
            self.running.wait()
            self.collect()
        self.begin(step)
        self.running.wait()
        return self.collect()

    def begin(self, step):
        a = self.a
        self.folder, self.step, self.last = f"{a.out}/candidate", step, time.time()
        copy_model(a.model, a.out, self.folder)
        command = [*shlex.split(a.magma_vla), "simulate", "--model", self.folder, "--episodes", str(a.select_episodes)]
        command += ["--seed", str(a.select_seed), "--json", "--quiet"]
        self.running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def collect(self):
        out, code = self.running.stdout.read(), self.running.returncode
        self.running = None
        if code != 0 or not out.strip():
            return {"closed_loop": f"no result, exit code {code}"}
        result = json.loads(out.strip().splitlines()[-1])
        success, trace = result["success"]["rate"], (result.get("traceError") or {}).get("ade")
        line = {"step": self.step, "success": success, "trace_ade": trace}
        with open(self.results, "a") as file:
            file.write(json.dumps(line) + "\n")
        if success >= self.best:
            self.best = success
            shutil.rmtree(f"{self.a.out}/best", ignore_errors=True)
            shutil.copytree(self.folder, f"{self.a.out}/best")
        return {"closed_loop": line}


def save(out, progress, mean, model, where, optimiser):
    half = {k: v.half().contiguous().cpu() for k, v in mean.state_dict().items()}
    save_file(half, f"{out}/model.safetensors.part", metadata={"format": "pt"})
    os.replace(f"{out}/model.safetensors.part", f"{out}/model.safetensors")
    parts = {"mean": mean, "model": model, "where": where, "optimiser": optimiser}
    torch.save({**progress, **{k: v.state_dict() for k, v in parts.items()}}, f"{out}/state.pt.part")
    os.replace(f"{out}/state.pt.part", f"{out}/state.pt")


if __name__ == "__main__":
    main()
