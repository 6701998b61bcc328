"""A tiny Magma with random weights in plain PyTorch, and what it answers: the oracle of test/convert and test/model.

Writes test/golden/tinyMagma/: config.json and model.safetensors (fp16, Magma's key names) as a Hugging Face-style
folder, expected.safetensors (pixels fp16; visual tokens, logits fp32) and expected.json (ids, greedy tokens, versions).
The arithmetic follows timm's ConvNeXt (the tower of microsoft/Magma), magma/image_tower_magma.py (row separators,
crops) and transformers' modeling_llama.py. Run: python test/oracle/tiny_magma.py
"""

import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_num_threads(1)
TOWER = "vision_tower.clip_vision_model.trunk"
CONFIG = {
    "architectures": ["MagmaForCausalLM"],
    "model_type": "magma",
    "image_token_index": 150,
    "text_config": {
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 56,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 160,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "model_type": "convnext",
        "patch_size": 4,
        "dims": [8, 16, 24],
        "depths": [1, 2, 1],
        "layer_norm_eps": 1e-5,
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_row_seperator": True,
    },
}


def random_weights(config, seed):
    """State dict with Magma's key names, rounded to fp16 as it is stored."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}

    def put(name, shape, std, mean=0.0):
        values = torch.randn(shape, generator=generator) * std + mean
        weights[name] = values.half().float()

    def norm(name, width, bias):
        put(f"{name}.weight", [width], 0.1, 1.0)
        if bias:
            put(f"{name}.bias", [width], 0.1)

    def dense(name, shape, gain=1.0, bias=True):
        fan_in = math.prod(shape[1:])
        put(f"{name}.weight", shape, gain / math.sqrt(fan_in))
        if bias:
            put(f"{name}.bias", [shape[0]], 0.1)

    tower = config["vision_config"]
    widths, depths, patch = tower["dims"], tower["depths"], tower["patch_size"]
    dense(f"{TOWER}.stem.0", [widths[0], 3, patch, patch])
    norm(f"{TOWER}.stem.1", widths[0], True)
    for s, (width, depth) in enumerate(zip(widths, depths)):
        stage = f"{TOWER}.stages.{s}"
        if s > 0:
            norm(f"{stage}.downsample.0", widths[s - 1], True)
            dense(f"{stage}.downsample.1", [width, widths[s - 1], 2, 2])
        for b in range(depth):
            block = f"{stage}.blocks.{b}"
            dense(f"{block}.conv_dw", [width, 1, 7, 7])
            norm(f"{block}.norm", width, True)
            dense(f"{block}.mlp.fc1", [4 * width, width])
            dense(f"{block}.mlp.fc2", [width, 4 * width])
            put(f"{block}.gamma", [width], 0.2, 0.5)
    text = config["text_config"]
    d, heads, kv, hd = text["hidden_size"], text["num_attention_heads"], text["num_key_value_heads"], text["head_dim"]
    dense("multi_modal_projector.proj.0", [d, widths[-1]])
    dense("multi_modal_projector.proj.2", [d, d])
    put("multi_modal_projector.row_seperator", [1, 1, d], 0.5)
    put("language_model.model.embed_tokens.weight", [text["vocab_size"], d], 1.0)
    for l in range(text["num_hidden_layers"]):
        layer = f"language_model.model.layers.{l}"
        for name, shape in {
            "self_attn.q_proj": [heads * hd, d],
            "self_attn.k_proj": [kv * hd, d],
            "self_attn.v_proj": [kv * hd, d],
            "self_attn.o_proj": [d, heads * hd],
            "mlp.gate_proj": [text["intermediate_size"], d],
            "mlp.up_proj": [text["intermediate_size"], d],
            "mlp.down_proj": [d, text["intermediate_size"]],
        }.items():
            dense(f"{layer}.{name}", shape, gain=1.5, bias=False)
        norm(f"{layer}.input_layernorm", d, False)
        norm(f"{layer}.post_attention_layernorm", d, False)
    norm("language_model.model.norm", d, False)
    dense("language_model.lm_head", [text["vocab_size"], d], gain=2.0, bias=False)
    return weights


def channels_last_norm(x, w, name, eps):
    x = x.permute(0, 2, 3, 1)
    x = F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)
    return x.permute(0, 3, 1, 2)


def tower_features(w, config, pixels):
    """[N,3,H,W] -> [N,C,h,w]: stem, then stages; no head norm."""
    tower = config["vision_config"]
    eps = tower["layer_norm_eps"]
    conv = lambda x, name, **kw: F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **kw)
    x = conv(pixels, f"{TOWER}.stem.0", stride=tower["patch_size"])
    x = channels_last_norm(x, w, f"{TOWER}.stem.1", eps)
    for s, depth in enumerate(tower["depths"]):
        stage = f"{TOWER}.stages.{s}"
        if s > 0:
            x = channels_last_norm(x, w, f"{stage}.downsample.0", eps)
            x = conv(x, f"{stage}.downsample.1", stride=2)
        for b in range(depth):
            block = f"{stage}.blocks.{b}"
            h = conv(x, f"{block}.conv_dw", padding=3, groups=x.shape[1])
            h = channels_last_norm(h, w, f"{block}.norm", eps).permute(0, 2, 3, 1)
            h = F.gelu(F.linear(h, w[f"{block}.mlp.fc1.weight"], w[f"{block}.mlp.fc1.bias"]))
            h = F.linear(h, w[f"{block}.mlp.fc2.weight"], w[f"{block}.mlp.fc2.bias"])
            x = x + (h * w[f"{block}.gamma"]).permute(0, 3, 1, 2)
    return x


def visual_tokens(w, config, pixels, rows, columns):
    """Crops [rows*columns,3,H,W], row-major -> [T,d] with a separator after every row of the stitched map."""
    features = tower_features(w, config, pixels).permute(0, 2, 3, 1)
    p = "multi_modal_projector"
    hidden = F.gelu(F.linear(features, w[f"{p}.proj.0.weight"], w[f"{p}.proj.0.bias"]))
    crops = F.linear(hidden, w[f"{p}.proj.2.weight"], w[f"{p}.proj.2.bias"])
    bands = [torch.cat([crops[r * columns + c] for c in range(columns)], dim=1) for r in range(rows)]
    canvas = torch.cat(bands, dim=0)
    separators = w[f"{p}.row_seperator"].expand(canvas.shape[0], 1, -1)
    return torch.cat([canvas, separators], dim=1).flatten(0, 1)


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rotation(start, length, head_dim, theta):
    frequency = theta ** (-2 * torch.arange(head_dim // 2, dtype=torch.float64) / head_dim)
    angle = torch.arange(start, start + length, dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def decoder_logits(w, config, x, cache, last_only=False):
    """Embeddings [S,d] after the cache -> logits [S,V], or those of the last position; the cache grows in place."""
    t = config["text_config"]
    heads, kv, hd, eps = t["num_attention_heads"], t["num_key_value_heads"], t["head_dim"], t["rms_norm_eps"]
    start, length = (cache[0][0].shape[1] if cache[0] else 0), x.shape[0]
    cos, sin = rotation(start, length, hd, t["rope_theta"])
    for l in range(t["num_hidden_layers"]):
        layer = f"language_model.model.layers.{l}"
        project = lambda h, name: F.linear(h, w[f"{layer}.{name}_proj.weight"])
        h = rms_norm(x, w[f"{layer}.input_layernorm.weight"], eps)
        q = rotate(project(h, "self_attn.q").view(length, heads, hd).transpose(0, 1), cos, sin)
        k = rotate(project(h, "self_attn.k").view(length, kv, hd).transpose(0, 1), cos, sin)
        v = project(h, "self_attn.v").view(length, kv, hd).transpose(0, 1)
        if cache[l]:
            k, v = torch.cat([cache[l][0], k], 1), torch.cat([cache[l][1], v], 1)
        cache[l] = (k, v)
        scores = q @ k.repeat_interleave(heads // kv, 0).transpose(1, 2) / math.sqrt(hd)
        if length > 1:
            scores = scores + torch.full((length, start + length), -torch.inf).triu(1 + start)
        mixed = scores.softmax(-1) @ v.repeat_interleave(heads // kv, 0)
        x = x + project(mixed.transpose(0, 1).reshape(length, heads * hd), "self_attn.o")
        h = rms_norm(x, w[f"{layer}.post_attention_layernorm.weight"], eps)
        x = x + project(F.silu(project(h, "mlp.gate")) * project(h, "mlp.up"), "mlp.down")
    x = rms_norm(x[-1:] if last_only else x, w["language_model.model.norm.weight"], eps)
    return F.linear(x, w["language_model.lm_head.weight"])


def greedy(w, config, ids, images, steps):
    """Prompt ids with one image token per image -> (tokens, logits per token)."""
    embedding, image_token = w["language_model.model.embed_tokens.weight"], config["image_token_index"]
    waiting = list(images)
    parts = [waiting.pop(0) if i == image_token else embedding[i][None] for i in ids]
    assert not waiting
    cache = [None] * config["text_config"]["num_hidden_layers"]
    x, tokens, logits = torch.cat(parts), [], []
    for _ in range(steps):
        last = decoder_logits(w, config, x, cache)[-1]
        tokens.append(int(last.argmax()))
        logits.append(last)
        x = embedding[tokens[-1]][None]
    return tokens, torch.stack(logits)


def main():
    folder = os.path.join(os.path.dirname(__file__), "..", "golden", "tinyMagma")
    os.makedirs(folder, exist_ok=True)
    steps, prompts = 24, {"oneCrop": (1, 1, [1, 7, 150, 9, 33, 81, 140]), "sixCrops": (2, 3, [3, 150, 5])}
    prompts["twoImages"] = (1, 1, [2, 150, 11, 150, 12])
    for seed in range(1000):
        weights = random_weights(CONFIG, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        expected, cases, margin = {}, {}, math.inf
        for name, (rows, columns, ids) in prompts.items():
            pixels = torch.randn([rows * columns, 3, 32, 48], generator=generator).half().float()
            visual = visual_tokens(weights, CONFIG, pixels, rows, columns)
            images = [visual] * ids.count(CONFIG["image_token_index"])
            tokens, logits = greedy(weights, CONFIG, ids, images, steps)
            top = logits.topk(2).values
            margin = min(margin, float((top[:, 0] - top[:, 1]).min()))
            cases[name] = {"grid": [rows, columns], "ids": ids, "tokens": tokens}
            expected |= {f"{name}.pixels": pixels.half(), f"{name}.visual": visual, f"{name}.logits": logits}
        # Tokens that differ from one another and a clear winner at every step make the comparison worth something.
        if margin > 0.02 and all(len(set(case["tokens"])) > 12 for case in cases.values()):
            break
    else:
        sys.exit("no seed gives clear answers")
    save_file({k: v.half() for k, v in weights.items()}, os.path.join(folder, "model.safetensors"))
    save_file({k: v.contiguous() for k, v in expected.items()}, os.path.join(folder, "expected.safetensors"))
    versions = {"torch": torch.__version__, "python": sys.version.split()[0]}
    record = {"versions": versions, "seed": seed, "smallestMargin": round(margin, 4), "cases": cases}
    for name, value in {"config.json": CONFIG, "expected.json": record}.items():
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
