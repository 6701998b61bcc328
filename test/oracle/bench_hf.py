"""What PyTorch takes for one action of Magma-8B or OpenVLA-7B with random weights: what `bench --synthetic` is compared with.

  python test/oracle/bench_hf.py magma-8b --device cuda --dtype float16
  python test/oracle/bench_hf.py openvla-7b --layers 2 --cpu-time             reduced, on a CPU that is busy

transformers' Llama (eager, then with a static cache and torch.compile where --compile is given) and timm's towers at
the public sizes; a projector of two or three layers. Nothing is downloaded and nothing is learned. Greedy, one prompt of
as many positions as the public one, 8 tokens. The last line is JSON with the keys of `bench --synthetic`.
"""

import argparse
import json
import os
import platform
import resource
import time

import timm
import torch
import transformers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache

TEXT_IDS = {"magma-8b": 41, "openvla-7b": 20}
LLAMA = {
    "magma-8b": dict(vocab_size=128320, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
                     num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=8192,
                     rms_norm_eps=1e-5, rope_theta=500000.0),
    "openvla-7b": dict(vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                       num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=2048,
                       rms_norm_eps=1e-6, rope_theta=10000.0),
}
TINY = dict(vocab_size=640, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2)


class Vision(torch.nn.Module):
    """Pixels → rows of the decoder's width; Magma appends a learned row separator."""

    def __init__(self, name, width, tiny):
        super().__init__()
        self.is_magma = name == "magma-8b"
        if self.is_magma:
            small = dict(depths=[1, 1, 2, 1], dims=[12, 24, 36, 48]) if tiny else {}
            trunk = timm.create_model("convnext_xxlarge", pretrained=False, num_classes=0, norm_eps=1e-5, **small)
            self.towers = torch.nn.ModuleList([torch.nn.Sequential(trunk.stem, trunk.stages)])
            sizes = [48 if tiny else 3072, width, width]
            self.separator = torch.nn.Parameter(torch.zeros(1, 1, width))
        else:
            small = dict(embed_dim=32, depth=2, num_heads=2) if tiny else {}
            names = ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"]
            self.towers = torch.nn.ModuleList(
                [timm.create_model(n, pretrained=False, num_classes=0, img_size=224, **small) for n in names])
            features = sum(tower.embed_dim for tower in self.towers)
            sizes = [features, 4 * features, width, width]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(a, b), torch.nn.GELU()]
        self.projector = torch.nn.Sequential(*layers[:-1])

    def forward(self, pixels):
        if self.is_magma:
            x = self.projector(self.towers[0](pixels).permute(0, 2, 3, 1))[0]
            return torch.cat([x, self.separator.expand(x.shape[0], 1, -1)], 1).flatten(0, 1)[None]
        # The last block but one, as prismatic's towers give it.
        last = [tower.get_intermediate_layers(pixels, n={len(tower.blocks) - 2})[0] for tower in self.towers]
        return self.projector(torch.cat(last, 2))


def spread(values):
    """As `bench --synthetic` has it: a p99 only of a hundred or more, because of fewer the longest alone decides it."""
    times = torch.tensor(values, dtype=torch.float64)
    at = lambda share: times.quantile(share).item()
    return {"count": len(values), "p50": at(0.5), "p99": at(0.99) if len(values) >= 100 else None, "max": at(1)}


def clock_for(device, counts):
    """A clock in ms: of the wall, or the CPU time of all threads together."""
    of = {"wall": time.perf_counter, "cpu": time.process_time}[counts]

    def now():
        if device == "cuda":
            torch.cuda.synchronize()
        return of() * 1e3

    return now


def processor_name(device):
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def best_ms(work, now, rounds=5):
    work()
    times = []
    for _ in range(rounds):
        started = now()
        work()
        times.append(now() - started)
    return min(times)


def measure_bounds(device, dtype, now):
    side, numbers = (4096, 2**28) if device == "cuda" else (1024, 2**26)
    buffer = torch.zeros(numbers, device=device)
    copy = best_ms(lambda: buffer.add_(1e-3), now)
    read = best_ms(lambda: buffer.max(), now)
    del buffer
    a = torch.full((side, side), 1e-3, device=device, dtype=dtype)
    gemm = best_ms(lambda: a @ a, now)
    return {"readGbPerSecond": 4 * numbers / read / 1e6, "copyGbPerSecond": 8 * numbers / copy / 1e6,
            "gemmGflopPerSecond": 2 * side**3 / gemm / 1e6}


def random_model(config, device, dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def static_cache(config, positions, device, dtype):
    """transformers 4 names batch, device and type here, 5 finds them out."""
    try:
        return StaticCache(config=config, max_batch_size=1, max_cache_len=positions, device=device, dtype=dtype)
    except TypeError:
        return StaticCache(config=config, max_cache_len=positions)


@torch.inference_mode()
def answer(model, decoder, visual, ids, tokens, static, now):
    """Milliseconds of the prompt with its first token, and of all others together; positions of the prompt."""
    device = visual.device.type

    def pick(out):
        token = model.lm_head(out.last_hidden_state[:, -1:]).argmax(-1)
        # A robot needs each answer's end: the token is read, as a loop that looks for it does.
        token.item()
        return token

    started = now()
    text = model.get_input_embeddings()(ids)
    x = torch.cat([text[:, :20], visual, text[:, 20:]], 1)
    positions = x.shape[1]
    cache = static_cache(model.config, positions + tokens, device, x.dtype) if static else DynamicCache()
    at = torch.arange(positions, device=device)
    # The prompt is read eagerly: only the steps have a shape worth compiling for.
    out = model.model(inputs_embeds=x, past_key_values=cache, use_cache=True, cache_position=at)
    token = pick(out)
    prefill = now()
    for step in range(tokens - 1):
        at = torch.tensor([positions + step], device=device)
        out = decoder(input_ids=token, past_key_values=out.past_key_values, use_cache=True, cache_position=at)
        token = pick(out)
    return prefill - started, now() - prefill, positions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=list(LLAMA))
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cpu-time", action="store_true",
                        help="CPU time of all threads instead of time, where others use the machine too")
    parser.add_argument("--compile", action="store_true", help="torch.compile the static-cache step")
    options = parser.parse_args()
    if options.cpu_time and options.device != "cpu":
        parser.error("--cpu-time: got --device cuda, whose time it does not see, expected --device cpu")
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    tiny, device, dtype = options.size == "tiny", options.device, getattr(torch, options.dtype)
    counts = "cpu" if options.cpu_time else "wall"
    now = clock_for(device, counts)

    bounds = measure_bounds(device, dtype, now)
    sizes = {**LLAMA[options.model], **(TINY if tiny else {})}
    if options.layers:
        sizes["num_hidden_layers"] = options.layers
    started = now()
    model = random_model(LlamaConfig(**sizes, attn_implementation="sdpa"), device, dtype)
    vision = Vision(options.model, sizes["hidden_size"], tiny).to(device, dtype).eval()
    load = now() - started
    side = 224 if options.model == "openvla-7b" else 64 if tiny else 512
    pixels = torch.randn(1, 3, side, side, device=device, dtype=dtype)
    ids = torch.arange(TEXT_IDS[options.model], device=device)[None] * 7 % sizes["vocab_size"]

    results = {}
    for cache in ["dynamic", "static"]:
        decoder = model.model
        if cache == "static" and options.compile:
            decoder = torch.compile(decoder, mode="reduce-overhead", dynamic=False)
        visions, prefills, rests = [], [], []
        for number in range(options.rounds + 1):
            begun = now()
            with torch.inference_mode():
                visual = vision(pixels)
            seen = now()
            prefill, rest, positions = answer(model, decoder, visual, ids, 8, cache == "static", now)
            if number:
                visions.append(seen - begun)
                prefills.append(prefill)
                rests.append(rest)
        totals = [a + b + c for a, b, c in zip(visions, prefills, rests)]
        results[cache] = {"answerMs": spread(totals), "visionMs": spread(visions), "prefillMs": spread(prefills),
                          "tokenMs": spread([rest / 7 for rest in rests])}

    weights = sum(p.numel() * p.element_size() for p in model.model.layers.parameters())
    weights += model.lm_head.weight.numel() * model.lm_head.weight.element_size()
    memory = max(bounds["readGbPerSecond"], bounds["copyGbPerSecond"]) * 1e6
    for result in results.values():
        result["shareOfBound"] = {"token": weights / memory / result["tokenMs"]["p50"]}
    print(json.dumps({
        "command": "bench_hf", "model": options.model, "size": options.size, "layers": sizes["num_hidden_layers"],
        "format": {"weights": options.dtype, "compute": options.dtype}, "threads": options.threads, "clock": counts,
        "provider": device, "compiled": options.compile, "rounds": options.rounds, "positions": positions,
        "answerTokens": 8, "loadSeconds": load / 1e3, "bounds": bounds, "cost": {"tokenBytes": weights},
        "machine": {"processor": processor_name(device),
                    "cores": os.cpu_count(), "torch": torch.__version__, "timm": timm.__version__,
                    "transformers": transformers.__version__},
        "memory": {"peakMb": (torch.cuda.max_memory_allocated() / 1e6 if device == "cuda"
                              else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)},
        **results,
    }))


if __name__ == "__main__":
    main()
