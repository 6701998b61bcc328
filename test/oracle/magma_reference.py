"""What microsoft/Magma's own code computes on a tiny checkpoint: the oracle of test/convert/magmaReference.test.ts.

Runs, unchanged, magma/{modeling,image_tower,image_processing,processing,configuration}_magma.py with transformers'
Llama and timm's ConvNeXt (through open_clip, as Magma does), and writes test/golden/magmaReference/: a checkpoint with
the key names and files of Magma-8B (bf16, two shards and their index) and what that code made of it.
Nothing of it is copied here: the path of a checkout is an argument.

The weights are random; the language model's are then fitted for a few hundred steps until it answers each prompt in
the form Magma answers in, so that tokens are compared that also have a meaning, and win by a clear margin.

Run, with torch, torchvision, transformers 4.44.2, timm 0.9.12, open_clip_torch 2.30.0, safetensors and Pillow:
python test/oracle/magma_reference.py --magma CHECKOUT
"""

import argparse
import importlib
import json
import math
import os
import sys
import tempfile
import types

import numpy as np
import PIL
import safetensors.torch
import timm
import torch
import transformers
from PIL import Image
from timm.models import register_model
from timm.models.convnext import ConvNeXt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

FOLDER = os.path.join(os.path.dirname(__file__), "..", "golden", "magmaReference")
SEED = 3
ORDINARY = 512  # 256 bytes, then 256 action tokens
SPECIAL = [
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<pad>",
    "<image>",
    "<action>",
    "<image_start>",
    "<image_end>",
]
ID = {name: ORDINARY + n for n, name in enumerate(SPECIAL)}
TOWER = {"depths": [1, 1, 2, 1], "dims": [8, 8, 16, 24]}
TEXT = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": ID["<|begin_of_text|>"],
    "eos_token_id": ID["<|eot_id|>"],
    "pad_token_id": ID["<pad>"],
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 56,
    "initializer_range": 0.02,
    "max_position_embeddings": 2048,
    "mlp_bias": False,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "vocab_size": ORDINARY + len(SPECIAL),
}
# config.json, in the shape of Magma-8B's; dims and depths are those of its vision_backbone there.
CONFIG = {
    "architectures": ["MagmaForCausalLM"],
    "model_type": "magma",
    "ignore_index": -100,
    "image_token_index": ID["<image>"],
    "mm_use_image_history": True,
    "mm_use_image_start_end": True,
    "mm_use_trace_speed": True,
    "mm_use_trace_start_end": False,
    "pad_token_id": ID["<pad>"],
    "text_config": TEXT,
    "tie_word_embeddings": False,
    "tokenizer_vocab_size": ORDINARY,
    "torch_dtype": "bfloat16",
    "vision_config": {
        "img_anyres_strategy": "crop",
        "img_size": 512,
        "max_num_crops": 4,
        "mm_hidden_size": TOWER["dims"][-1],
        "hidden_size": TEXT["hidden_size"],
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_use_row_seperator": True,
        "vision_backbone": "convnextxxlarge",
        "vision_feature_layer": "clip_vis_dense",
        "patch_size": 4,
        "layer_norm_eps": 1e-05,
        **TOWER,
    },
}
IMAGES = {"anyres_strategy": "crop", "base_img_size": 512, "num_crops": 4}
# Llama 3's, as its tokenizer_config.json has it.
CHAT_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
SYSTEM = "You are agent that can see, talk and act."
# As the public programs write them: simplerenv's magma_model.py, agents/robot_traj/app.py, agents/ui_agent/app.py,
# README.md, lmms-eval's magma.py. `size` is that of the picture [width, height], `resize` what the program makes of it; `request` says the
# same to our own code.
CASES = {
    "action": {
        "size": [320, 240],
        "resize": [256, 256],
        "request": {"instruction": "pick coke can"},
        "user": "<image>\nWhat action should the robot take to {}?".format("pick coke can"),
        "answer": [503, 417, 300, 388, 371, 256, 511],
    },
    "trace": {
        "size": [640, 480],
        "resize": [256, 256],
        "request": {"instruction": "pick coke can", "marks": [1, 2, 3]},
        "user": "<image>\nThe image is split into 256x256 grids and is labeled with numeric marks {}.\n"
        "The robot is doing: {}. To finish the task, how to move the numerical marks in the image with speed {} for "
        "the next {} steps?\n".format([1, 2, 3], "pick coke can", 8, 8),
        "answer": "Mark 1 at [98,141], Mark 3 at [200,77] should be moved, and their future positions are:\n\n"
        '"Mark 1": "[[104,139],[111,137],[120,131]]"\n\n"Mark 3": "[[201,70],[203,61]]"\n\n',
    },
    "question": {
        "size": [640, 480],
        "request": {"instruction": "What is the letter on the robot?"},
        "user": "<image>\nWhat is the letter on the robot?",
        "answer": "The letter is M.",
    },
    "interface": {
        "size": [1280, 720],
        "request": {"instruction": "Settings"},
        "user": '<image>\nIn this view I need to click a button to "{}"? Provide the coordinates and the mark index of '
        "the containing bounding box if applicable.".format("Settings"),
        "answer": "Coordinate: (0.17, 0.43). Mark: 3.",
    },
    "video": {
        "size": [224, 160],
        "frames": 2,
        "request": {"instruction": "What is the robot doing?", "frames": 2},
        "user": "".join(["<image>\n"] * 2) + "What is the robot doing?",
        "answer": "It puts a can on the plate.",
    },
}


def picture(width, height, frame=0):
    """[height, width, 3] uint8: large shapes and fine detail, by integers only; test/support/goldenReference.ts has it too."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = [(x * a + y * b + ((x * x * c + y * y * d) >> 9) + 31 * frame) & 255
                for a, b, c, d in [(1, 2, 3, 1), (2, 1, 1, 2), (3, 3, 2, 5)]]
    return np.stack(channels, axis=2).astype(np.uint8)


def import_magma(path):
    """Magma's modules, with a stand-in for wandb (they import it and need nothing of it here)."""
    sys.modules.setdefault("wandb", types.ModuleType("wandb"))
    sys.path.insert(0, path)
    return {name: importlib.import_module(f"magma.{name}_magma")
            for name in ["configuration", "image_tower", "image_processing", "processing", "modeling"]}


def make_tokenizer():
    """Bytes and action tokens under Llama 3's splitting rule, chat template and automatic beginning of text."""
    vocabulary = {token: n for n, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {f"<action_{n}>": 256 + n for n in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern=Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    bos = SPECIAL[0]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, ID[bos])])
    tokenizer.add_special_tokens(SPECIAL)
    assert tokenizer.get_vocab_size(with_added_tokens=False) == ORDINARY
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token="<|eot_id|>",
        pad_token="<pad>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=2048,
    )


@register_model
def convnext_reference(pretrained=False, **kwargs):
    """timm's convnext_xxlarge at tiny sizes."""
    del pretrained
    kwargs = {k: v for k, v in kwargs.items() if k not in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")}
    return ConvNeXt(**TOWER, norm_eps=1e-5, **kwargs)


ConvNeXt.default_cfg = {"pool_size": (8, 8)}


def make_model(magma):
    """MagmaForCausalLM itself; only the sizes that open_clip downloads are given instead."""
    import open_clip

    sizes = os.path.join(os.path.dirname(open_clip.__file__), "model_configs", "convnext_xxlarge.json")
    with open(sizes) as file:
        clip = json.load(file)
    clip["embed_dim"] = 8
    clip["vision_cfg"] |= {"timm_model_name": "convnext_reference", "image_size": 64}
    clip["text_cfg"] = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"model_cfg": clip, "preprocess_cfg": {}}, file)
        file.flush()
        magma["image_tower"].download_pretrained_from_hf = lambda *args, **kwargs: file.name
        for projector_type in ["mlp2x_gelu", "mlp2x_gelu_segtokv1"]:  # the second: how early versions of Magma spell it
            config = json.loads(json.dumps(CONFIG))
            config["vision_config"]["mm_projector_type"] = projector_type
            model = magma["modeling"].MagmaForCausalLM(magma["configuration"].MagmaConfig(**config))
            if hasattr(model.multi_modal_projector, "proj"):
                return model.eval()
    raise SystemExit("this version of Magma knows no two-layer projector")


def randomise(model):
    """Every weight from one seed: norms near 1, layer scales and separators well away from 0."""
    generator = torch.Generator().manual_seed(SEED)
    random = lambda shape, std, mean=0.0: torch.randn(shape, generator=generator) * std + mean
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if name.endswith(".gamma"):
            value = random(shape, 0.2, 0.5)
        elif name.endswith("seperator"):
            value = random(shape, 0.5)
        elif name.endswith("embed_tokens.weight"):
            value = random(shape, 1.0)
        elif len(shape) > 1:
            value = random(shape, 1.2 / math.sqrt(math.prod(shape[1:])))
        else:
            value = random(shape, 0.1, 1.0 if name.endswith("weight") else 0.0)
        parameter.data.copy_(value)


def as_stored(model):
    """Rounds every weight to what bf16 holds."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()


def inputs_of(case, processor):
    """As the public programs call the processor."""
    pictures = [Image.fromarray(picture(*case["size"], frame)) for frame in range(case.get("frames", 1))]
    if "resize" in case:
        pictures = [image.resize(tuple(case["resize"])) for image in pictures]
    user = case["user"].replace("<image>", "<image_start><image><image_end>")
    conversation = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    prompt = processor.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    inputs = processor(images=pictures, texts=prompt, return_tensors="pt")
    inputs["pixel_values"] = inputs["pixel_values"].unsqueeze(0)
    inputs["image_sizes"] = inputs["image_sizes"].unsqueeze(0)
    return prompt, inputs


def answer_ids(case, tokenizer):
    answer = case["answer"]
    ids = tokenizer.encode(answer, add_special_tokens=False) if isinstance(answer, str) else answer
    return [*ids, ID["<|eot_id|>"]]


def watch(model):
    """The tower's features and the merged embeddings of the forward passes that follow, in order."""
    seen = {"features": [], "merged": []}
    model.vision_tower.register_forward_hook(lambda _, args, out: seen["features"].append(out["clip_vis_dense"]))
    model.language_model.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen["merged"].append(kwargs["inputs_embeds"].detach()), with_kwargs=True
    )
    return seen


def fit(model, seen, samples):
    """Teaches the language model, as it will be stored, the answers; prompts enter as the model's own merged embeddings."""
    prompts = []
    with torch.no_grad():
        for inputs, answer in samples:
            seen["merged"].clear()
            model(**inputs)
            prompts.append((seen["merged"][0].clone(), torch.tensor([answer])))
    language = model.language_model
    # The embeddings stay: the prompts were made with them.
    table = language.get_input_embeddings()
    parameters = [parameter for parameter in language.parameters() if parameter is not table.weight]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.Adam(parameters, lr=4e-3)
    for step in range(600):
        total = 0.0
        optimiser.zero_grad()
        exact = [parameter.data for parameter in parameters]
        as_stored(language)
        for merged, answer in prompts:
            embedded = torch.cat([merged.clone(), table(answer[:, :-1])], dim=1)
            logits = language(inputs_embeds=embedded).logits[0, merged.shape[1] - 1 :]
            loss = torch.nn.functional.cross_entropy(logits, answer[0])
            loss.backward()
            total += loss.item()
        for parameter, data in zip(parameters, exact):
            parameter.data = data
        optimiser.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {total / len(prompts):.4f}", file=sys.stderr)
        if total / len(prompts) < 3e-3:
            break
    for parameter in parameters:
        parameter.requires_grad_(False)
    # Quarter scores choose the same tokens, still by a margin, and leave probabilities that can be compared.
    language.lm_head.weight.data /= 4


def sampled(values, count):
    """`count` values at equal steps through all of them."""
    flat = values.flatten()
    return flat[torch.arange(count) * (flat.numel() // count)].float().contiguous()


def record(name, case, model, seen, processor):
    """What Magma makes of one case → entry of expected.json, tensors of expected.safetensors, smallest margin."""
    prompt, inputs = inputs_of(case, processor)
    for list_ in seen.values():
        list_.clear()
    limit = len(answer_ids(case, processor.tokenizer))
    output = model.generate(
        **inputs, do_sample=False, num_beams=1, max_new_tokens=limit + 4, use_cache=True,
        output_logits=True, return_dict_in_generate=True,
    )
    ids = inputs["input_ids"][0].tolist()
    tokens = output.sequences[0, len(ids) :].tolist()
    logits = torch.cat(output.logits)
    merged, features = seen["merged"][0][0], seen["features"][0]
    visual = merged[torch.tensor(visual_positions(ids, inputs["image_sizes"][0].tolist()))]
    pixels = inputs["pixel_values"][0]
    top = logits.topk(2).values
    scores = logits.log_softmax(-1)
    tensors = {
        "pixels": sampled(pixels, 512),
        "pixelMeans": pixels.double().mean((2, 3)).float(),
        "features": sampled(features, 512),
        "visual": visual[:: max(1, len(visual) // 24)].contiguous(),
        "visualMeans": visual.double().mean(1).float(),
        "mergedMeans": merged.double().mean(1).float(),
        "logits": logits[:3].contiguous(),
        "logProbabilities": scores.gather(1, torch.tensor(tokens)[:, None])[:, 0].contiguous(),
    }
    entry = {
        "size": case["size"],
        "resize": case.get("resize"),
        "request": case["request"],
        "prompt": prompt,
        "ids": ids,
        "grids": inputs["image_sizes"][0].tolist(),
        "positions": len(merged),
        "tokens": tokens,
        "text": processor.decode(tokens, skip_special_tokens=True),
    }
    assert tokens == answer_ids(case, processor.tokenizer), f"{name}: {entry['text']!r}"
    return entry, {f"{name}.{key}": value for key, value in tensors.items()}, float((top[:, 0] - top[:, 1]).min())


def visual_positions(ids, grids):
    """Where the visual tokens stand: (side/32 rows) of (side/32 cells and a separator) per picture."""
    positions, at, grids = [], 0, list(grids)
    for token in ids:
        if token != ID["<image>"]:
            at += 1
            continue
        rows, columns = grids.pop(0)
        count = rows * 16 * (columns * 16 + 1)
        positions += range(at, at + count)
        at += count
    return positions


def save_checkpoint(model, processor):
    """The files of a Hugging Face folder of Magma-8B, at the sizes of CONFIG."""
    weights = {name: value.bfloat16().contiguous() for name, value in model.state_dict().items()}
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[: len(names) // 2],
              "model-00002-of-00002.safetensors": names[len(names) // 2 :]}
    for file, part in shards.items():
        tensors = {name: weights[name] for name in part}
        safetensors.torch.save_file(tensors, os.path.join(FOLDER, file), metadata={"format": "pt"})
    total = sum(value.numel() * value.element_size() for value in weights.values())
    files = {name: file for file, part in shards.items() for name in part}
    write("model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": files})
    config = model.config.to_diff_dict()
    config["vision_config"]["mm_projector_type"] = CONFIG["vision_config"]["mm_projector_type"]
    write("config.json", config)
    processor.image_processor.save_pretrained(FOLDER)
    write("generation_config.json", {"bos_token_id": TEXT["bos_token_id"], "eos_token_id": TEXT["eos_token_id"]})
    processor.tokenizer.backend_tokenizer.save(os.path.join(FOLDER, "tokenizer.json"), pretty=False)
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>",
        "pad_token": "<pad>", "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"], "model_max_length": 2048,
    })


def write(name, value):
    with open(os.path.join(FOLDER, name), "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--magma", required=True, help="checkout of microsoft/Magma")
    arguments.add_argument("--commit", required=True, help="of that checkout, for the record")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    magma = import_magma(options.magma)
    os.makedirs(FOLDER, exist_ok=True)
    tokenizer = make_tokenizer()
    processor = magma["processing"].MagmaProcessor(
        image_processor=magma["image_processing"].MagmaImageProcessor(**IMAGES), tokenizer=tokenizer
    )
    model = make_model(magma)
    randomise(model)
    as_stored(model)
    seen = watch(model)
    samples = [(inputs_of(case, processor)[1], answer_ids(case, tokenizer)) for case in CASES.values()]
    fit(model, seen, samples)
    as_stored(model)
    cases, expected, margins = {}, {}, []
    with torch.inference_mode():
        for name, case in CASES.items():
            cases[name], tensors, margin = record(name, case, model, seen, processor)
            expected |= tensors
            margins.append(margin)
    assert min(margins) > 0.2, f"no clear answer: {margins}"
    save_checkpoint(model, processor)
    safetensors.torch.save_file(expected, os.path.join(FOLDER, "expected.safetensors"))
    versions = {
        "microsoft/Magma": options.commit, "torch": torch.__version__, "transformers": transformers.__version__,
        "timm": timm.__version__, "open_clip": importlib.import_module("open_clip").__version__,
        "torchvision": importlib.import_module("torchvision").__version__, "pillow": PIL.__version__,
        "python": sys.version.split()[0],
    }
    write("expected.json", {"versions": versions, "seed": SEED, "smallestMargin": round(min(margins), 3), "cases": cases})


if __name__ == "__main__":
    main()
