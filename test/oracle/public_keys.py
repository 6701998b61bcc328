"""Names, shapes and order of all weights of Magma-8B and openvla-7b, from the public model classes at full size.

The classes are built on torch's meta device, which allocates nothing. Writes test/golden/public_keys.json: how many
tensors and elements, and the SHA-256 of their lines `name shape`. Sizes that Magma-8B's config.json gives are written
out here; those of the towers are timm's own, by the names that the checkpoints give them.

Run in the environment of magma_reference.py:
python test/oracle/public_keys.py --magma CHECKOUT --openvla CHECKOUT
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile

import timm
import torch
import transformers

import magma_checkpoint
import openvla_reference

FILE = os.path.join(os.path.dirname(__file__), "..", "golden", "public_keys.json")
LLAMA_3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128320,  # 128261 tokens, padded to a multiple of 64
}


def on_meta(build):
    """timm makes numbers of a linspace while it builds: that one stays on the CPU."""
    linspace = torch.linspace
    torch.linspace = lambda *args, **kwargs: linspace(*args, **{"device": "cpu", **kwargs})
    try:
        with torch.device("meta"):
            return build()
    finally:
        torch.linspace = linspace


def magma_8b(path):
    import open_clip

    magma = magma_checkpoint.import_magma(path)
    sizes = os.path.join(os.path.dirname(open_clip.__file__), "model_configs", "convnext_xxlarge.json")
    with open(sizes) as file:
        clip = json.load(file)
    clip["text_cfg"] = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}  # is thrown away
    config = json.loads(json.dumps(magma_checkpoint.CONFIG))
    config["text_config"] |= LLAMA_3_8B
    vision = config["vision_config"]
    for key in ["dims", "depths", "patch_size", "layer_norm_eps"]:
        del vision[key]
    vision |= {"mm_hidden_size": 3072, "hidden_size": 4096}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"model_cfg": clip, "preprocess_cfg": {}}, file)
        file.flush()
        magma["image_tower"].download_pretrained_from_hf = lambda *args, **kwargs: file.name
        for vision["mm_projector_type"] in ["mlp2x_gelu", "mlp2x_gelu_segtokv1"]:
            make = magma["configuration"].MagmaConfig
            model = on_meta(lambda: magma["modeling"].MagmaForCausalLM(make(**json.loads(json.dumps(config)))))
            if hasattr(model.multi_modal_projector, "proj"):
                return model
    raise SystemExit("this version of Magma knows no two-layer projector")


def openvla_7b(path):
    create = timm.create_model
    prismatic = openvla_reference.import_prismatic(path)
    prismatic["modeling"].timm.create_model = create
    config = {key: value for key, value in openvla_reference.CONFIG.items() if key != "timm_model_args"}
    config["text_config"] = {"pad_token_id": 32000, "vocab_size": 32064}
    make = prismatic["configuration"].OpenVLAConfig
    return on_meta(lambda: prismatic["modeling"].OpenVLAForActionPrediction(make(**config)))


def summary(model):
    tensors = model.state_dict()
    lines = "".join(f"{name} {'x'.join(map(str, value.shape))}\n" for name, value in tensors.items())
    return {
        "tensors": len(tensors),
        "elements": sum(value.numel() for value in tensors.values()),
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--magma", required=True, help="checkout of microsoft/Magma")
    arguments.add_argument("--openvla", required=True, help="checkout of openvla/openvla")
    options = arguments.parse_args()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "timm": timm.__version__}
    record = {
        "versions": versions,
        "magma-8b": summary(magma_8b(options.magma)),
        "openvla-7b": summary(openvla_7b(options.openvla)),
    }
    with open(FILE, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
