"""A tiny checkpoint of microsoft/Magma's own classes, with the key names and files of Magma-8B: for magma_reference.py."""

import importlib
import json
import math
import os
import sys
import tempfile
import types

import safetensors.torch
import torch
import transformers
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
