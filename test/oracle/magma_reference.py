"""What microsoft/Magma's own code computes on a tiny checkpoint: the oracle of test/model/magmaReference.test.ts.

Runs, unchanged, magma/{modeling,image_tower,image_processing,processing,configuration}_magma.py with transformers'
Llama and timm's ConvNeXt (through open_clip, as Magma does), and writes test/golden/magmaReference/: a checkpoint with
the key names and files of Magma-8B (bf16, two shards and their index) and what that code made of it.
Nothing of it is copied here: the path of a checkout is an argument.

The weights are random; the language model's are then fitted for a few hundred steps until it answers each prompt in
the form Magma answers in, so that tokens are compared that also have a meaning, and win by a clear margin.

Run, with torch, torchvision, transformers 4.44.2, timm 0.9.12, open_clip_torch 2.30.0, safetensors and Pillow:
python test/oracle/magma_reference.py --magma CHECKOUT --commit COMMIT
"""

import argparse
import importlib
import os
import sys

import numpy as np
import PIL
import safetensors.torch
import timm
import torch
import transformers
from PIL import Image

from magma_checkpoint import (
    FOLDER,
    ID,
    IMAGES,
    SEED,
    SYSTEM,
    as_stored,
    import_magma,
    make_model,
    make_tokenizer,
    randomise,
    save_checkpoint,
    write,
)

# As the public programs write them: simplerenv's magma_model.py, agents/robot_traj/app.py, agents/ui_agent/app.py,
# README.md, lmms-eval's magma.py. `size` is that of the picture [width, height], `resize` what the program makes of it;
# `request` says the same to our own code.
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
    """[height, width, 3] uint8: large shapes and fine detail, by integers only; test/support/reference.ts has it too."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = [(x * a + y * b + ((x * x * c + y * y * d) >> 9) + 31 * frame) & 255
                for a, b, c, d in [(1, 2, 3, 1), (2, 1, 1, 2), (3, 3, 2, 5)]]
    return np.stack(channels, axis=2).astype(np.uint8)


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
