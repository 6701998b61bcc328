"""Torch eager greedy decoding of a checkpoint, one thread, fp32: what `bench` compares the runtime with, by hand.

  python test/oracle/bench_torch.py models/nano                 times the checkpoint's decoder
  python test/oracle/bench_torch.py models/nano --random OUT    also writes OUT/model.safetensors with random weights
                                                                of the same sizes, to time the runtime before training

The prompt and the measure are those of src/model/decodingBench.ts. The last line is JSON.
"""

import argparse
import json
import os
import shutil
import statistics
import time

import torch
from safetensors.torch import load_file, save_file

from tiny_magma import decoder_logits, random_weights

torch.set_num_threads(1)


def answer(weights, config, ids, steps):
    embedding = weights["language_model.model.embed_tokens.weight"]
    head = weights["language_model.lm_head.weight"]
    cache, x, tokens = [None] * config["text_config"]["num_hidden_layers"], embedding[ids], []
    for _ in range(steps):
        tokens.append(int(decoder_logits(weights, config, x, cache, last_only=True)[-1].argmax()))
        x = embedding[tokens[-1]][None]
    return tokens


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--random", metavar="OUT")
    parser.add_argument("--prompt", type=int, default=110)
    parser.add_argument("--tokens", type=int, nargs="+", default=[8, 128])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu", action="store_true", help="CPU time, for a machine that others use too")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "config.json")) as file:
        config = json.load(file)
    if options.random:
        os.makedirs(options.random, exist_ok=True)
        shutil.copy(os.path.join(options.folder, "config.json"), options.random)
        weights = random_weights(config, 0)
        save_file({k: v.half() for k, v in weights.items()}, os.path.join(options.random, "model.safetensors"))
    else:
        weights = load_file(os.path.join(options.folder, "model.safetensors"))
        weights = {name: tensor.float() for name, tensor in weights.items()}
    ids = torch.tensor([i * 37 % config["text_config"]["vocab_size"] for i in range(options.prompt)])

    clock = time.process_time if options.cpu else time.perf_counter

    def milliseconds(steps):
        start = clock()
        answer(weights, config, ids, steps)
        return (clock() - start) * 1000

    milliseconds(2)
    result = {"torch": torch.__version__, "prompt": options.prompt}
    for tokens in options.tokens:
        samples = [(milliseconds(1), milliseconds(tokens)) for _ in range(options.rounds)]
        prefill, whole = (statistics.median(column) for column in zip(*samples))
        rate = (tokens - 1) * 1000 / (whole - prefill)
        result[str(tokens)] = {
            "prefillMs": round(prefill, 2),
            "answerMs": round(whole, 2),
            "tokensPerSecond": round(rate, 1),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
