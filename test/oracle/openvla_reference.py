"""What openvla/openvla's own code computes on a tiny checkpoint: the oracle of test/model/openvlaReference.test.ts.

Runs, unchanged, prismatic/extern/hf/{modeling,processing,configuration}_prismatic.py with transformers' Llama and timm's
Vision Transformers, and writes test/golden/openvlaReference/: the small files of an OpenVLA folder, the name and shape
of every weight that model has, and what it answers. Nothing of that code is copied here: the path of a checkout is an
argument. The towers keep the names of openvla-7b and are made small by arguments of timm.create_model, which the
config.json written here lists as timm_model_args.

The weights themselves are not stored: `fill` below makes them from their names by integers only, and
test/support/hashedWeights.ts makes the same (the vocabulary must be OpenVLA's: its code appends id 29871 by number).

Run, with torch, torchvision, transformers 4.40.1, tokenizers 0.19.1, timm 0.9.12, safetensors and Pillow:
python test/oracle/openvla_reference.py --openvla CHECKOUT --commit COMMIT
"""

import argparse
import importlib
import json
import math
import os
import sys
import zlib

import numpy as np
import PIL
import safetensors.torch
import timm
import tokenizers
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, processors

FOLDER = os.path.join(os.path.dirname(__file__), "..", "golden", "openvlaReference")
TIMM = {
    "vit_large_patch14_reg4_dinov2.lvd142m": {"embed_dim": 16, "depth": 4, "num_heads": 2},
    "vit_so400m_patch14_siglip_224": {"embed_dim": 24, "depth": 3, "num_heads": 2},
}
TEXT = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 32000,
    "torch_dtype": "bfloat16",
    "vocab_size": 32064,
}
# As dataset_statistics.json of openvla-7b has them (experiments in microsoft/Magma print the same numbers).
STATISTICS = {
    "bridge_orig": {
        "q01": [-0.02872725307941437, -0.04170349963009357, -0.026093858778476715, -0.08092105075716972,
                -0.09288699507713317, -0.20718276381492615, 0.0],
        "q99": [0.028309678435325586, 0.040855254605412394, 0.040161586627364146, 0.08192047759890528,
                0.07792850524187081, 0.20382574498653397, 1.0],
        "mask": [True, True, True, True, True, True, False],
    },
    "fractal20220817_data": {
        "q01": [-0.22453527510166169, -0.14820013284683228, -0.231589707583189, -0.3517994859814644,
                -0.4193011274933815, -0.43643461108207704, 0.0],
        "q99": [0.17824687153100965, 0.14938379630446405, 0.21842354819178575, 0.5892666035890578,
                0.35272657424211445, 0.44796681255102094, 1.0],
        "mask": [True, True, True, True, True, True, False],
    },
}
CONFIG = {
    "architectures": ["OpenVLAForActionPrediction"],
    "arch_specifier": "no-align+fused-gelu-mlp",
    "hf_llm_id": "meta-llama/Llama-2-7b-hf",
    "image_resize_strategy": "resize-naive",
    "image_sizes": [224, 224],
    "llm_backbone_id": "llama2-7b-pure",
    "llm_max_length": 2048,
    "model_type": "openvla",
    "n_action_bins": 256,
    "norm_stats": {key: {"action": value} for key, value in STATISTICS.items()},
    "output_projector_states": False,
    "pad_to_multiple_of": 64,
    "pad_token_id": 32000,
    "text_config": TEXT,
    "timm_model_args": list(TIMM.values()),
    "timm_model_ids": list(TIMM),
    "timm_override_act_layers": [None, None],
    "torch_dtype": "bfloat16",
    "use_fused_vision_backbone": True,
    "vision_backbone_id": "dinosiglip-vit-so-224px",
}
IMAGES = {
    "use_fused_vision_backbone": True,
    "image_resize_strategy": "resize-naive",
    "input_sizes": [(3, 224, 224), (3, 224, 224)],
    "interpolations": ["bicubic", "bicubic"],
    "means": [(0.485, 0.456, 0.406), (0.5, 0.5, 0.5)],
    "stds": [(0.229, 0.224, 0.225), (0.5, 0.5, 0.5)],
}
SPECIAL = {"<unk>": 0, "<s>": 1, "</s>": 2, "<PAD>": 32000}
EMPTY_WORD = 29871
ACTION_IDS = range(32000 - 256, 32000)
CASES = {
    "bridge": {"size": [256, 256], "instruction": "put the blue block in the bowl", "unnormKey": "bridge_orig"},
    "fractal": {"size": [320, 240], "instruction": "Close Drawer", "unnormKey": "fractal20220817_data"},
    "wide": {"size": [640, 480], "instruction": "move it 25 cm, s'il vous plaît", "unnormKey": "bridge_orig"},
}


def picture(width, height):
    """[height, width, 3] uint8: large shapes and fine detail, by integers only; test/support/reference.ts has it too."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = [(x * a + y * b + ((x * x * c + y * y * d) >> 9)) & 255
                for a, b, c, d in [(1, 2, 3, 1), (2, 1, 1, 2), (3, 3, 2, 5)]]
    return np.stack(channels, axis=2).astype(np.uint8)


def hashed(seed, count):
    """Bytes 0 ... 255, evenly spread, from a hash of seed and index."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) + np.uint32(seed)
        for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B)]:
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x ^= x >> np.uint32(16)
    return (x & np.uint32(255)).astype(np.int64)


def exponent_of(name, shape):
    """Weights are odd integers -255 ... 255 over 2^exponent; None: 1 + (-32 ... 31)/128. Both are exact in bf16."""
    if name.endswith("scale_factor") or (len(shape) == 1 and "norm" in name and name.endswith("weight")):
        return None
    if name.endswith(("embed_tokens.weight", "pos_embed", "cls_token", "reg_token", "latent")):
        return 7
    if len(shape) == 1:
        return 10
    # Larger than usual where answers shall win by a margin, and where pictures shall have a say in them.
    louder = 2 if "lm_head" in name else 1 if ".layers." in name else 0
    return round(7 + math.log2(math.prod(shape[1:])) / 2) - louder


def fill(model):
    """Every weight from its name -> {name: what makes it}. The head's rows of ids that are no action's are eight times smaller."""
    layout = {}
    for name, parameter in model.state_dict().items():
        shape = list(parameter.shape)
        exponent = exponent_of(name, shape)
        made = {"shape": shape, "seed": zlib.crc32(name.encode()), "exponent": exponent}
        bytes_ = hashed(made["seed"], parameter.numel()).reshape(shape)
        values = (bytes_ // 4 - 32) / 128 + 1.0 if exponent is None else (bytes_ * 2 - 255) * 2.0**-exponent
        if name.endswith("lm_head.weight"):
            made["loudRows"] = [ACTION_IDS[0], ACTION_IDS[-1] + 1]
            quiet = np.ones(shape[0], dtype=bool)
            quiet[list(ACTION_IDS)] = False
            values[quiet] /= 8
        stored = torch.from_numpy(values)
        assert torch.equal(stored.bfloat16().double(), stored), name
        parameter.copy_(stored.float())
        layout[name] = made
    return layout


def make_tokenizer():
    """Llama 2's kind (byte fallback, a word mark before the text) with its ids where OpenVLA knows one by number."""
    vocabulary = dict(SPECIAL) | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocabulary["▁"] = EMPTY_WORD
    characters = "".join(sorted(set("etainosrldhcmupgfybvkwxqjzIOWhat0123456789?:.,'!-")))
    vocabulary |= {character: EMPTY_WORD + 1 + n for n, character in enumerate(characters)}
    merges, taken = [], 300
    for word in ["▁the", "▁to", "▁robot", "▁action", "▁take", "What", "Out", "▁close", "▁drawer"]:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = taken = taken + 1
                merges.append((word[: end - 1], word[end - 1]))
    vocabulary |= {f"<action_{n}>": id for n, id in enumerate(ACTION_IDS)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(list(SPECIAL))
    assert all(tokenizer.token_to_id(name) == id for name, id in SPECIAL.items())
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<PAD>",
        clean_up_tokenization_spaces=False, model_input_names=["input_ids", "attention_mask"], model_max_length=2048,
    )


def import_prismatic(path):
    """The HF files alone: their package would import the training code too."""
    sys.path.insert(0, os.path.join(path, "prismatic", "extern"))
    modules = {name: importlib.import_module(f"hf.{name}_prismatic") for name in ["configuration", "modeling", "processing"]}
    create = timm.create_model

    def create_small(name, **arguments):
        return create(name, **TIMM[name], **arguments)

    modules["modeling"].timm.create_model = create_small
    return modules


def sampled(values, count):
    """`count` values at equal steps through all of them."""
    flat = values.flatten()
    return flat[torch.arange(count) * (flat.numel() // count)].float().contiguous()


def some_ids():
    """Ids whose logits are kept: every action's, and every 128th."""
    return torch.tensor([*range(0, ACTION_IDS[0], 128), *ACTION_IDS])


def record(name, case, model, processor, seen):
    """What OpenVLA makes of one case → entry of expected.json, tensors of expected.safetensors, smallest margin."""
    image = Image.fromarray(picture(*case["size"]))
    prompt = f"In: What action should the robot take to {case['instruction'].lower()}?\nOut:"
    inputs = processor(prompt, image)
    for list_ in seen.values():
        list_.clear()
    kept = {}
    generate = model.generate

    def generate_and_keep(ids, **arguments):
        kept["ids"] = ids[0].tolist()
        output = generate(ids, output_logits=True, return_dict_in_generate=True, **arguments)
        kept["logits"] = torch.cat(output.logits)
        return output.sequences

    model.generate = generate_and_keep
    arguments = {key: value for key, value in inputs.items() if key not in ("input_ids", "attention_mask")}
    action = model.predict_action(inputs["input_ids"], unnorm_key=case["unnormKey"], do_sample=False, **arguments)
    model.generate = generate
    logits = kept["logits"]
    tokens = logits.argmax(-1).tolist()
    top = logits.topk(2).values
    merged, features, visual = seen["merged"][0][0], seen["features"][0][0], seen["visual"][0][0]
    assert set(tokens) <= set(ACTION_IDS), tokens
    assert len(set(tokens)) > 4, tokens
    tensors = {
        "pixels": sampled(inputs["pixel_values"], 512),
        "pixelMeans": inputs["pixel_values"][0].double().mean((1, 2)).float(),
        "features": sampled(features, 512),
        "visual": visual[::16].contiguous(),
        "visualMeans": visual.double().mean(1).float(),
        "mergedMeans": merged.double().mean(1).float(),
        "logits": logits[:, some_ids()].contiguous(),
        "logProbabilities": logits.log_softmax(-1).max(-1).values.contiguous(),
    }
    entry = {
        **case,
        "prompt": prompt,
        "promptIds": inputs["input_ids"][0].tolist(),
        "ids": kept["ids"],
        "positions": len(merged),
        "tokens": tokens,
        "action": action.tolist(),
    }
    return entry, {f"{name}.{key}": value for key, value in tensors.items()}, float((top[:, 0] - top[:, 1]).min())


def watch(model):
    """Tower features, projected patches and merged embeddings of the forward passes that follow, in order."""
    seen = {"features": [], "visual": [], "merged": []}
    model.vision_backbone.register_forward_hook(lambda _, args, out: seen["features"].append(out))
    model.projector.register_forward_hook(lambda _, args, out: seen["visual"].append(out))
    model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen["merged"].append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    return seen


def write(name, value):
    with open(os.path.join(FOLDER, name), "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--openvla", required=True, help="checkout of openvla/openvla")
    arguments.add_argument("--commit", required=True, help="of that checkout, for the record")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    prismatic = import_prismatic(options.openvla)
    os.makedirs(FOLDER, exist_ok=True)
    tokenizer = make_tokenizer()
    # As convert_openvla_weights_to_hf.py makes openvla-7b's: what it normalises with is rounded to bf16.
    torch.set_default_dtype(torch.bfloat16)
    image_processor = prismatic["processing"].PrismaticImageProcessor(**IMAGES)
    torch.set_default_dtype(torch.float32)
    processor = prismatic["processing"].PrismaticProcessor(image_processor, tokenizer)
    own = {key: value for key, value in CONFIG.items() if key != "timm_model_args"}
    model = prismatic["modeling"].OpenVLAForActionPrediction(prismatic["configuration"].OpenVLAConfig(**own)).eval()
    seen, cases, expected, margins = watch(model), {}, {}, []
    with torch.inference_mode():
        layout = fill(model)
        for name, case in CASES.items():
            cases[name], tensors, margin = record(name, case, model, processor, seen)
            expected |= tensors
            margins.append(margin)
    assert min(margins) > 0.01, f"no clear answer: {margins}"
    write("config.json", {**model.config.to_diff_dict(), "timm_model_args": CONFIG["timm_model_args"]})
    image_processor.save_pretrained(FOLDER)
    write("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 32000})
    write("dataset_statistics.json", CONFIG["norm_stats"])
    tokenizer.backend_tokenizer.save(os.path.join(FOLDER, "tokenizer.json"), pretty=False)  # warns of the ids left out
    write("tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "pad_token": "<PAD>", "add_bos_token": True, "clean_up_tokenization_spaces": False, "model_max_length": 2048,
    })
    safetensors.torch.save_file(expected, os.path.join(FOLDER, "expected.safetensors"))
    versions = {
        "openvla/openvla": options.commit, "torch": torch.__version__, "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__, "timm": timm.__version__,
        "torchvision": importlib.import_module("torchvision").__version__, "pillow": PIL.__version__,
        "python": sys.version.split()[0],
    }
    write("expected.json", {"versions": versions, "smallestMargin": round(min(margins), 4), "cases": cases, "weights": layout})


if __name__ == "__main__":
    main()
