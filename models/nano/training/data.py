"""Training frames written by `magma-vla simulate --training-set`: frames.rgb, labels.jsonl and (marked images)
marked.rgb, marks.jsonl. Pixels, marks and labels all come from the TypeScript that also feeds the model at run time."""

import json
import os
import re

import numpy as np
import torch
from tokenizers import Tokenizer

GRIPPER = "gripper"  # a thing in the picture that the model is told the place of: the state says it


def placed(array):
    """A numpy array as a tensor where the model is."""
    return torch.from_numpy(array).to(torch.get_default_device())


class Codec:
    """Ids of numbers, as the runtime's contract (model.json) has them."""

    def __init__(self, folder):
        contract = json.load(open(f"{folder}/model.json"))
        statistics = json.load(open(f"{folder}/dataset_statistics.json"))[contract["answers"]["action"]["statistics"]["default"]]["action"]
        self.q01, self.q99 = np.array(statistics["q01"]), np.array(statistics["q99"])
        self.mask = np.array(statistics["mask"])
        self.v = contract["answers"]["action"]["vocabulary"]
        self.low = np.array([f["min"] for f in contract["state"]])
        self.high = np.array([f["max"] for f in contract["state"]])
        # The question about traces says where each mark is.
        segments = contract["prompts"].get("trace", {"segments": []})["segments"]
        self.tells_places = any("places" in segment for segment in segments)
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        special = self.tokenizer.token_to_id
        self.bos, self.eos = special("<|begin_of_text|>"), special("<|end_of_text|>")
        self.image_start, self.image_end = special("<image_start>"), special("<image_end>")
        self.integer = np.array([self.ids(str(i))[0] for i in range(256)])
        self.question = self.ids("\nWhat action should the robot take to")

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def bins(self, x):
        """Values in -1..1 -> continuous bin coordinate: bin k of 1..256 covers [k, k + 1)."""
        return (np.clip(x, -1, 1) + 1) / 2 * 255 + 1

    def action_bins(self, action):
        x = np.where(self.mask, (action - self.q01) / (self.q99 - self.q01) * 2 - 1, action)
        return self.bins(x)

    def state_bins(self, state):
        return self.bins((state - self.low) / (self.high - self.low) * 2 - 1)

    def bin_ids(self, bins):
        return self.v - np.clip(np.floor(bins), 1, 256).astype(np.int64)


class Frames:
    """All shards, frames memory-mapped. Labels: one action per instruction of the frame's scene.

    The names of things are those that the labels give points of: `first` (of the weights to start from, in their order),
    then new ones by the alphabet. `only`: a regular expression; labels whose instruction does not match are left out, and
    frames in which something else was being done."""

    def __init__(self, folders, codec, size, first=(), only=""):
        self.codec, self.size, self.images = codec, size, []
        instructions, rows, places, counts = {}, [], [], []
        for shard, folder in enumerate(folders):
            lines = open(f"{folder}/labels.jsonl").read().splitlines()
            n = min(len(lines), os.path.getsize(f"{folder}/frames.rgb") // (size * size * 3))
            self.images.append(np.memmap(f"{folder}/frames.rgb", np.uint8, "r", shape=(n, size, size, 3)))
            kept = [(i, row) for i, row in enumerate(map(json.loads, lines[:n])) if re.search(only, row["instruction"])]
            rows += [row for _, row in kept]
            places += [(shard, i) for i, _ in kept]
            counts.append(len(kept))
        if not rows:
            raise SystemExit(f"{', '.join(folders)}: no frames{f' whose instruction matches {only}' if only else ''}")
        for row in rows:
            row["labels"] = [label for label in row["labels"] if re.search(only, label[0])]
        self.picture = np.array(places)  # [n, 2]: shard, and which picture of its frames.rgb
        self.starts = np.cumsum([0] + counts)
        self.names = [*first, *sorted({name for row in rows for name, _, _ in row["points"]} - set(first))]
        n, k = len(rows), max(len(r["labels"]) for r in rows)
        self.state = np.array([r["state"] for r in rows], np.float32)
        self.episode = np.array([r["episode"] for r in rows])
        self.instruction = np.zeros((n, k), np.int64)
        self.count = np.array([len(r["labels"]) for r in rows])
        self.executed = np.zeros(n, np.int64)
        self.action = np.zeros((n, k, 7), np.float32)
        # One column more than there are names: a thing without a place.
        self.places = np.full((n, len(self.names) + 1, 2), np.nan, np.float32)
        for i, row in enumerate(rows):
            for j, (text, action) in enumerate(row["labels"]):
                self.instruction[i, j] = instructions.setdefault(text, len(instructions))
                self.action[i, j] = action
                if text == row["instruction"]:
                    self.executed[i] = j
            self.places[i] = self.places_of([(name, x / size, y / size) for name, x, y in row["points"]])
        self.points = self.places[:, :-1]
        # Which way each block lies, rad; not a number for what is no block, and in data that do not tell it.
        self.yaws = np.full((n, len(self.names) + 1), np.nan, np.float32)
        for i, row in enumerate(rows):
            for name, yaw in row.get("yaws", []):
                self.yaws[i, self.names.index(name)] = yaw
        self.texts = list(instructions)
        ids = [codec.ids(f" {text}?") for text in self.texts]
        self.text_length = np.array([len(i) for i in ids])
        self.longest_text = int(self.text_length.max())  # tokens, the question mark one of them
        self.text_ids = np.array([i + [0] * (self.longest_text - len(i)) for i in ids])
        self.text_things = np.array([self.things_of(text) for text in self.texts])
        # Of the first thing that each label names.
        self.direction = np.take_along_axis(self.yaws, self.text_things[self.instruction, 0], 1)

    def places_of(self, points):
        """[[name, x, y], ...] as shares of the picture -> [names + 1, 2], not a number where a thing is absent."""
        out = np.full((len(self.names) + 1, 2), np.nan, np.float32)
        for name, x, y in points:
            out[self.names.index(name)] = x, y
        return out

    def things_of(self, text):
        """The first and the last thing that an instruction names, as indices into `places`. One thing counts twice; of
        four (sort) the two in the middle are left out; of none the place is unknown. The gripper is named by its state."""
        at = {i: re.search(rf"\b{re.escape(name)}\b", text) for i, name in enumerate(self.names) if name != GRIPPER}
        found = sorted((match.start(), i) for i, match in at.items() if match)
        return (found[0][1], found[-1][1]) if found else (len(self.names), len(self.names))

    def __len__(self):
        return len(self.state)

    def pixels(self, index):
        return np.stack([self.images[s][i] for s, i in self.picture[index]])
