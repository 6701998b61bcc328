"""Golden data for test/convert/vit.test.ts: OpenVLA's two towers and its projector at tiny size, computed by timm and torch.

    python test/oracle/vit_towers.py test/golden/vitTowers

Writes model.safetensors (random weights, bf16, named as in an OpenVLA checkpoint, the unused ones included),
expected.safetensors and expected.json (sizes and versions). The towers are timm's own, by the names OpenVLA gives them,
with smaller sizes; their features are those of openvla's modeling_prismatic.py: patch tokens of the second-to-last block,
without the final norm, DINOv2's and then SigLIP's on the channels. LayerScale's `gamma` is stored as `scale_factor`, as there.
The projector is its three linear layers with GELU (erf) between them. Needs timm 0.9.10 ... 0.9.16 (openvla's range).
"""

import json
import math
import os
import sys

import timm
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)

SIDE, PATCH, HIDDEN = 16, 4, 32
TOWERS = {
    "vision_backbone.featurizer.": (
        "vit_large_patch14_reg4_dinov2.lvd142m",
        {"embed_dim": 16, "depth": 3, "num_heads": 2},
    ),
    "vision_backbone.fused_featurizer.": (
        "vit_so400m_patch14_siglip_224",
        {"embed_dim": 24, "depth": 4, "num_heads": 2},
    ),
}


def randomise(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Values of the size that trained ones have, exact in bf16: norms and layer scales near 1, the rest 1/sqrt(inputs)."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                values = 1 + 0.1 * noise
            elif name.endswith("gamma"):
                values = 0.5 + 0.2 * noise
            elif weight.ndim == 1:
                values = 0.1 * noise
            elif "token" in name or "embed" in name and weight.ndim == 3 or name.endswith("latent"):
                values = 0.5 * noise
            else:
                values = noise / math.sqrt(math.prod(weight.shape[1:]))
            weight.copy_(values.bfloat16().float())


def tower(name: str, sizes: dict, generator: torch.Generator, **more: object) -> torch.nn.Module:
    model = timm.create_model(name, pretrained=False, num_classes=0, img_size=SIDE, patch_size=PATCH, **sizes, **more)
    randomise(model, generator)
    return model.eval()


def features(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """[N, 3, SIDE, SIDE] -> [N, (SIDE/PATCH)^2, embed_dim]"""
    return model.get_intermediate_layers(pixels, n={len(model.blocks) - 2})[0]


def main(folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    generator = torch.Generator().manual_seed(4)
    weights, towers, config = {}, [], []
    for prefix, (name, sizes) in TOWERS.items():
        model = tower(name, sizes, generator)
        towers.append(model)
        config.append(
            {
                "keyPrefix": prefix,
                "width": model.embed_dim,
                "blocks": len(model.blocks),
                "heads": model.blocks[0].attn.num_heads,
                "mlpWidth": model.blocks[0].mlp.fc1.out_features,
                "epsilon": model.blocks[0].norm1.eps,
                "prefixTokens": model.num_prefix_tokens,
                "activation": type(model.blocks[0].mlp.act).__name__,
            }
        )
        for key, value in model.state_dict().items():
            weights[prefix + key.replace(".gamma", ".scale_factor")] = value

    width = sum(model.embed_dim for model in towers)
    projector = torch.nn.Sequential(
        torch.nn.Linear(width, 4 * width),
        torch.nn.GELU(),
        torch.nn.Linear(4 * width, HIDDEN),
        torch.nn.GELU(),
        torch.nn.Linear(HIDDEN, HIDDEN),
    )
    randomise(projector, generator)
    for key, value in projector.state_dict().items():
        index, kind = key.split(".")
        weights[f"projector.fc{int(index) // 2 + 1}.{kind}"] = value

    pixels = torch.randn([3, 6, SIDE, SIDE], generator=generator)
    with torch.no_grad():
        each = [features(model, pixels[:, 3 * i : 3 * i + 3]) for i, model in enumerate(towers)]
        joined = torch.cat(each, dim=2)
        visual = projector(joined)
        # The same SigLIP weights with the other GELU that timm's towers may have.
        name, sizes = list(TOWERS.values())[1]
        other = tower(name, sizes, generator, act_layer="gelu_tanh")
        other.load_state_dict(towers[1].state_dict())
        tanh = features(other, pixels[:, 3:])

    save_file({k: v.bfloat16().contiguous() for k, v in weights.items()}, os.path.join(folder, "model.safetensors"))
    expected = {"pixels": pixels, "dino": each[0], "siglip": each[1], "siglipTanh": tanh, "visual": visual}
    save_file({k: v.contiguous() for k, v in expected.items()}, os.path.join(folder, "expected.safetensors"))
    record = {
        "versions": {"timm": timm.__version__, "torch": torch.__version__},
        "imageSize": SIDE,
        "patchSize": PATCH,
        "hiddenSize": HIDDEN,
        "towers": config,
    }
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
