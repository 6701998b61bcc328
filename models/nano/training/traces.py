"""Marked images and their answers: one whole sequence per sample, prompt and answer text as the runtime has them."""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F

from data import placed
from model import causal


class Traces:
    """marks.jsonl holds, per marked image: prompt ids after the image, answer ids (EOS last)."""

    def __init__(self, model, codec, folders, to_input, held_out, names, size):
        self.model, self.codec, self.to_input = model, codec, to_input
        self.named = {name: i for i, name in enumerate(names)}
        self.images, self.rows = [], []
        for folder in folders:
            path = f"{folder}/marks.jsonl"
            lines = open(path).read().splitlines() if os.path.exists(path) else []
            if not lines:
                continue
            self.images.append(np.memmap(f"{folder}/marked.rgb", np.uint8, "r", shape=(len(lines), size, size, 3)))
            rows = [(len(self.images) - 1, i, json.loads(line)) for i, line in enumerate(lines)]
            self.rows += [row for row in rows if row[2].get("episode") not in held_out]
        number = np.full(codec.v + 16, -1)
        number[codec.integer] = np.arange(256)
        self.number = placed(number)
        self.mark_words = {codec.ids("Mark")[0], codec.ids(" Mark")[0], codec.ids('"Mark')[0]}
        self.at_word = codec.ids(" at")[0]
        self.integer = placed(codec.integer)

    def places(self, points):
        """[[name, x, y], ...] (shares of the picture) -> [names, 2], -1 where a thing is absent."""
        out = np.full((len(self.named), 2), -1.0)
        for name, x, y in points:
            out[self.named[name]] = x, y
        return out

    def header(self, answer):
        """(index of the mark's number in the answer, mark, x, y in 0..1) of every mark that the answer says will move."""
        number = self.number.tolist()
        return [
            (i + 2, number[answer[i + 2]], (number[answer[i + 5]] + 0.5) / 256, (number[answer[i + 7]] + 0.5) / 256)
            for i in range(len(answer) - 7)
            if answer[i] in self.mark_words and answer[i + 3] == self.at_word
        ]

    def loss(self, n, rng, where):
        chosen = [self.rows[i] for i in rng.integers(0, len(self.rows), n)]
        pixels = np.stack([self.images[s][i] for s, i, _ in chosen])
        before = torch.tensor([self.codec.bos, self.codec.image_start])
        longest = max(len(r["prompt"]) + len(r["answer"]) for _, _, r in chosen)
        ids = torch.full((n, longest), self.codec.eos)
        target = torch.full((n, longest), -1)
        names = torch.zeros((n, longest), dtype=torch.bool)  # numbers of marks: names, not coordinates
        for b, (_, _, r) in enumerate(chosen):
            p, a = len(r["prompt"]), len(r["answer"])
            ids[b, : p + a] = torch.tensor(r["prompt"] + r["answer"])
            target[b, p - 1 : p + a - 1] = torch.tensor(r["answer"])
            names[b, p + 1 : p + a - 1] = torch.tensor([word in self.mark_words for word in r["answer"][:-2]])
        # Noise on the coordinates that are fed back: the model must look again rather than copy its own last point.
        value = self.number[ids]
        shift = placed(np.rint(rng.normal(0, 1.5, value.shape) * (rng.random(value.shape) < 0.5))).long()
        prompt_end = torch.tensor([len(r["prompt"]) for _, _, r in chosen])[:, None]
        coordinate = (value >= 10) & (torch.arange(longest)[None] >= prompt_end)
        ids = torch.where(coordinate, self.integer[(value + shift).clamp(10, 255)], ids)
        m = self.model
        with torch.autocast(ids.device.type, torch.bfloat16):
            features = m.features(self.to_input(pixels, True))
            x = torch.cat([m.embed(before).expand(n, -1, -1), m.visual_tokens(features), m.embed(ids)], 1)
            t = x.shape[1]
            h, half = m.hidden(x, torch.arange(t), causal(t), tap=2)
            h, half = h[:, -longest:], half[:, -longest:]
            h, names, target = h[target >= 0], names[target >= 0], target[target >= 0]
            log = F.log_softmax(m.logits(h), -1)
        value = self.number[target]
        point = (value >= 0) & ~names
        plain = -log[~point].gather(1, target[~point][:, None])[:, 0]
        k = value[point][:, None] + torch.arange(-4, 5)
        q = torch.exp(-0.5 * ((k - value[point][:, None]) / 1.2) ** 2) * ((k >= 0) & (k <= 255))
        q = q / q.sum(-1, keepdim=True)
        soft = -(q * log[point].gather(1, self.integer[k.clamp(0, 255)])).sum(-1)
        points = torch.tensor(np.stack([self.places(r["points"]) for _, _, r in chosen]), dtype=torch.float32)
        position, _ = where(features, points)
        # Where a mark's number, "at" and "[" stand, the decoder should know that mark's place already.
        named = [(b, len(r["prompt"]) + i, k, x, y) for b, (_, _, r) in enumerate(chosen) for i, k, x, y in self.header(r["answer"])]
        if not named:  # nothing moves in any of them
            loss = 0.3 * plain.mean() + 0.3 * position
            return loss, {"text": plain.mean().item()}
        rows, places_, marks, xs, ys = (torch.tensor(v) for v in zip(*named))
        at = torch.stack([xs, ys], -1)
        heard = torch.stack([half[rows, places_ + j] for j in range(3)], 1)
        numbered, pixels_off = where.numbered(features[rows], heard, marks, at)
        named_right = -log[names].gather(1, target[names][:, None]).mean()
        loss = soft.mean() + 0.3 * plain.mean() + 0.5 * named_right + 0.3 * position + 0.5 * numbered
        return loss, {"trace": soft.mean().item(), "text": plain.mean().item(), "name": named_right.item(), "mark_px": pixels_off.item()}
