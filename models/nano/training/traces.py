"""Traces: one whole sequence per sample, prompt and answer text as the runtime has them, on the picture with the marks
drawn or (for comparison) on the plain one, where the question alone says which points are meant."""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F

from data import placed
from model import causal


class Traces:
    """marks.jsonl holds, per marked image: prompt ids after the image, answer ids (EOS last). Kept are those of frames that
    `frames` has. `pictures`: marked or plain."""

    def __init__(self, model, codec, frames, folders, to_input, held_out, pictures):
        self.model, self.codec, self.frames, self.to_input, self.pictures = model, codec, frames, to_input, pictures
        self.images, self.rows = [], []
        index = {(s, e, at.tobytes()): i for i, (s, e, at) in enumerate(zip(frames.picture[:, 0], frames.episode, frames.places))}
        for shard, folder in enumerate(folders):
            path = f"{folder}/marks.jsonl"
            lines = open(path).read().splitlines() if os.path.exists(path) else []
            shape = (len(lines), frames.size, frames.size, 3)
            self.images.append(np.memmap(f"{folder}/marked.rgb", np.uint8, "r", shape=shape) if lines else None)
            for i, row in enumerate(map(json.loads, lines)):
                frame = index.get((shard, row.get("episode"), frames.places_of(row["points"]).tobytes()))
                if frame is not None and row.get("episode") not in held_out:
                    self.rows.append((shard, i, frame, row))
        if pictures == "plain" and self.rows and not codec.tells_places:
            raise SystemExit("--trace-pictures plain: model.json without the places of marks in the trace prompt, expected \"places\": \"cells\"")
        number = np.full(codec.v + 16, -1)
        number[codec.integer] = np.arange(256)
        self.number = placed(number)
        self.mark_words = {codec.ids("Mark")[0], codec.ids(" Mark")[0], codec.ids('"Mark')[0]}
        self.at_word = codec.ids(" at")[0]
        self.integer = placed(codec.integer)

    def pixels(self, chosen):
        if self.pictures == "plain":
            return self.frames.pixels([frame for _, _, frame, _ in chosen])
        return np.stack([self.images[s][i] for s, i, _, _ in chosen])

    def header(self, answer):
        """(index of the mark's number in the answer, mark, x, y in 0..1) of every mark that the answer says will move."""
        number = self.number.tolist()
        return [
            (i + 2, number[answer[i + 2]], (number[answer[i + 5]] + 0.5) / 256, (number[answer[i + 7]] + 0.5) / 256)
            for i in range(len(answer) - 7)
            if answer[i] in self.mark_words and answer[i + 3] == self.at_word
        ]

    def loss(self, n, rng, where, places):
        """`places`: weight of the training-only losses about where things are."""
        chosen = [self.rows[i] for i in rng.integers(0, len(self.rows), n)]
        pixels = self.pixels(chosen)
        before = torch.tensor([self.codec.bos, self.codec.image_start])
        longest = max(len(r["prompt"]) + len(r["answer"]) for *_, r in chosen)
        ids = torch.full((n, longest), self.codec.eos)
        target = torch.full((n, longest), -1)
        names = torch.zeros((n, longest), dtype=torch.bool)  # numbers of marks: names, not coordinates
        for b, (*_, r) in enumerate(chosen):
            p, a = len(r["prompt"]), len(r["answer"])
            ids[b, : p + a] = torch.tensor(r["prompt"] + r["answer"])
            target[b, p - 1 : p + a - 1] = torch.tensor(r["answer"])
            names[b, p + 1 : p + a - 1] = torch.tensor([word in self.mark_words for word in r["answer"][:-2]])
        # Noise on the coordinates that are fed back: the model must look again rather than copy its own last point.
        value = self.number[ids]
        shift = placed(np.rint(rng.normal(0, 1.5, value.shape) * (rng.random(value.shape) < 0.5))).long()
        prompt_end = torch.tensor([len(r["prompt"]) for *_, r in chosen])[:, None]
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
        shown = [frame for _, _, frame, _ in chosen]
        position, *_ = where(features, placed(self.frames.points[shown]), placed(self.frames.yaws[shown, :-1]))
        # Where a mark's number, "at" and "[" stand, the decoder should know that mark's place already.
        named = [(b, len(r["prompt"]) + i, k, x, y) for b, (*_, r) in enumerate(chosen) for i, k, x, y in self.header(r["answer"])]
        if not named:  # nothing moves in any of them
            loss = 0.3 * plain.mean() + places * 0.3 * position
            return loss, {"text": plain.mean().item()}
        rows, places_, marks, xs, ys = (torch.tensor(v) for v in zip(*named))
        at = torch.stack([xs, ys], -1)
        heard = torch.stack([half[rows, places_ + j] for j in range(3)], 1)
        numbered, pixels_off = where.numbered(features[rows] if self.pictures == "marked" else None, heard, marks, at)
        named_right = -log[names].gather(1, target[names][:, None]).mean()
        loss = soft.mean() + 0.3 * plain.mean() + 0.5 * named_right + places * (0.3 * position + 0.5 * numbered)
        return loss, {"trace": soft.mean().item(), "text": plain.mean().item(), "name": named_right.item(), "mark_px": pixels_off.item()}
