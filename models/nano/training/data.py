"""Training frames written by `magma-vla simulate --training-set`: frames.rgb, labels.jsonl and (marked images)
marked.rgb, marks.jsonl. Pixels, marks and labels all come from the TypeScript that also feeds the model at run time."""

import json
import os

import numpy as np
import torch
from tokenizers import Tokenizer

NAMES = ["gripper", "red", "green", "blue", "yellow", "purple", "teal"]
MAX_BRANCH_TEXT = 9  # longest instruction in tokens, and the question mark


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
    """All shards, frames memory-mapped. Labels: one action per instruction of the frame's scene."""

    def __init__(self, folders, codec, size=128):
        self.codec, self.images = codec, []
        instructions, rows = {}, []
        offset = 0
        for folder in folders:
            lines = open(f"{folder}/labels.jsonl").read().splitlines()
            n = min(len(lines), os.path.getsize(f"{folder}/frames.rgb") // (size * size * 3))
            self.images.append(np.memmap(f"{folder}/frames.rgb", np.uint8, "r", shape=(n, size, size, 3)))
            rows += [json.loads(line) for line in lines[:n]]
            offset += n
        self.starts = np.cumsum([0] + [len(i) for i in self.images])
        n, k = len(rows), max(len(r["labels"]) for r in rows)
        self.state = np.array([r["state"] for r in rows], np.float32)
        self.episode = np.array([r["episode"] for r in rows])
        self.instruction = np.zeros((n, k), np.int64)
        self.count = np.array([len(r["labels"]) for r in rows])
        self.executed = np.zeros(n, np.int64)
        self.action = np.zeros((n, k, 7), np.float32)
        self.points = np.full((n, len(NAMES), 2), np.nan, np.float32)
        for i, row in enumerate(rows):
            for j, (text, action) in enumerate(row["labels"]):
                self.instruction[i, j] = instructions.setdefault(text, len(instructions))
                self.action[i, j] = action
                if text == row["instruction"]:
                    self.executed[i] = j
            for name, x, y in row["points"]:
                self.points[i, NAMES.index(name)] = x / size, y / size
        self.texts = list(instructions)
        self.text_ids = np.zeros((len(self.texts), MAX_BRANCH_TEXT), np.int64)
        self.text_length = np.zeros(len(self.texts), np.int64)
        # What an instruction speaks of, as indices into NAMES; the block twice where there is no pad.
        self.text_things = np.zeros((len(self.texts), 2), np.int64)
        for i, text in enumerate(self.texts):
            ids = codec.ids(f" {text}?")
            self.text_ids[i, : len(ids)], self.text_length[i] = ids, len(ids)
            things = [NAMES.index(word) for word in text.split() if word in NAMES]
            self.text_things[i] = things[0], things[-1]

    def __len__(self):
        return len(self.state)

    def pixels(self, index):
        shard = np.searchsorted(self.starts, index, "right") - 1
        return np.stack([self.images[s][i - self.starts[s]] for s, i in zip(shard, index)])
