"""A small Magma in PyTorch: ConvNeXt tower -> mlp2x_gelu projector with row separators -> Llama decoder.

Parameter names are Magma's own (microsoft/Magma-8B), so a state dict is the checkpoint. Everything is causal, image
tokens included; positions are 1-D RoPE; one vocabulary head serves words, numbers and actions.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return F.layer_norm(x.permute(0, 2, 3, 1).float(), self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.conv_dw = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps)
        self.mlp = Mlp(dim)
        self.gamma = nn.Parameter(torch.full((dim,), 0.5))

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            y = self.conv_dw(x.float())
        y = self.mlp(self.norm(y.permute(0, 2, 3, 1)))
        return x + (y * self.gamma).permute(0, 3, 1, 2)


class Stage(nn.Module):
    def __init__(self, before, dim, depth, eps):
        super().__init__()
        if before:
            self.downsample = nn.Sequential(LayerNorm2d(before, eps), nn.Conv2d(before, dim, 2, 2))
        self.blocks = nn.Sequential(*[Block(dim, eps) for _ in range(depth)])

    def forward(self, x):
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        return self.blocks(x)


class Trunk(nn.Module):
    def __init__(self, c):
        super().__init__()
        dims, eps = c["dims"], c["layer_norm_eps"]
        self.stem = nn.Sequential(nn.Conv2d(3, dims[0], c["patch_size"], c["patch_size"]), LayerNorm2d(dims[0], eps))
        self.stages = nn.Sequential(*[Stage(dims[i - 1] if i else 0, d, n, eps) for i, (d, n) in enumerate(zip(dims, c["depths"]))])

    def forward(self, x):
        return self.stages(self.stem(x))


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.h, self.kv, self.hd = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        self.q_proj = nn.Linear(d, self.h * self.hd, bias=False)
        self.k_proj = nn.Linear(d, self.kv * self.hd, bias=False)
        self.v_proj = nn.Linear(d, self.kv * self.hd, bias=False)
        self.o_proj = nn.Linear(self.h * self.hd, d, bias=False)

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        q = rotate(self.q_proj(x).view(b, t, self.h, self.hd).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(b, t, self.kv, self.hd).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, self.kv, self.hd).transpose(1, 2)
        n = self.h // self.kv
        k, v = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1)
        # Spelled out: on CPU the fused kernel's backward costs three times these two products.
        score = torch.matmul(q.to(v.dtype) * self.hd**-0.5, k.to(v.dtype).transpose(2, 3)) + mask.to(v.dtype)
        y = torch.matmul(score.softmax(-1), v)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


def rotate(x, cos, sin):
    """Llama's half-split rotary embedding; cos, sin [T, head_dim / 2]."""
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Gated(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        self.gate_proj, self.up_proj, self.down_proj = nn.Linear(d, f, bias=False), nn.Linear(d, f, bias=False), nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), Gated(c)
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class LanguageModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = Decoder(c)
        self.lm_head = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)


class Projector(nn.Module):
    def __init__(self, width, d):
        super().__init__()
        self.proj = nn.Sequential(nn.Linear(width, d), nn.GELU(), nn.Linear(d, d))
        self.row_seperator = nn.Parameter(torch.randn(1, 1, d) * 0.3)


class Magma(nn.Module):
    def __init__(self, config):
        super().__init__()
        v, t = config["vision_config"], config["text_config"]
        self.config = config
        self.vision_tower = nn.Module()
        self.vision_tower.clip_vision_model = nn.Module()
        self.vision_tower.clip_vision_model.trunk = Trunk(v)
        self.multi_modal_projector = Projector(v["dims"][-1], t["hidden_size"])
        self.language_model = LanguageModel(t)
        self.grid = v["img_size"] // (v["patch_size"] * 2 ** (len(v["dims"]) - 1))
        self.rope = {}
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.04)

    def features(self, pixels):
        """pixels [B, 3, H, W] -> projected map [B, g, g, d] (before the separators)."""
        x = self.vision_tower.clip_vision_model.trunk(pixels)
        return self.multi_modal_projector.proj(x.permute(0, 2, 3, 1)).float()

    def visual_tokens(self, features):
        """[B, g, g, d] -> [B, g * (g + 1), d]: one learned separator after every row, the last one included."""
        b, g, _, d = features.shape
        separator = self.multi_modal_projector.row_seperator.view(1, 1, 1, d).expand(b, g, 1, d)
        return torch.cat([features, separator], 2).reshape(b, g * (g + 1), d)

    def embed(self, ids):
        return self.language_model.model.embed_tokens(ids)

    def hidden(self, x, positions, mask, tap=None):
        """Embeddings [B, T, d] -> normalised hidden states; positions [T], additive mask [T, T].

        With `tap`: also the residual stream after that many layers (training losses look at it)."""
        hd, theta = self.language_model.model.layers[0].self_attn.hd, self.config["text_config"]["rope_theta"]
        angle = positions.float()[:, None] * theta ** (-torch.arange(0, hd, 2).float() / hd)
        cos, sin = angle.cos(), angle.sin()
        tapped = None
        for i, layer in enumerate(self.language_model.model.layers):
            x = layer(x, cos, sin, mask)
            tapped = x if i + 1 == tap else tapped
        x = self.language_model.model.norm(x)
        return x if tap is None else (x, tapped)

    def logits(self, hidden):
        return self.language_model.lm_head(hidden).float()

    @torch.no_grad()
    def generate(self, pixels, before, after, n):
        """Plain greedy decoding without cache: ids [B, m] before and after the image; returns [B, n] ids."""
        visual = self.visual_tokens(self.features(pixels))
        out = after
        for _ in range(n):
            x = torch.cat([self.embed(before), visual, self.embed(out)], 1)
            t = x.shape[1]
            h = self.hidden(x, torch.arange(t), causal(t))
            out = torch.cat([out, self.logits(h[:, -1]).argmax(-1, keepdim=True)], 1)
        return out[:, after.shape[1]:]


def causal(t):
    return torch.full((t, t), -1e9).triu(1)


def fourier_init(embedding, ids):
    """Neighbouring bins start with similar embeddings: a random projection of a Fourier series of the bin's value."""
    with torch.no_grad():
        x = torch.linspace(0, 1, len(ids))
        waves = [2 * x - 1] + [f(math.pi * k * x) for k in (1, 2, 3, 4, 6, 8, 12, 16) for f in (torch.cos, torch.sin)]
        basis = torch.stack(waves, 1)
        embedding.weight[ids] += basis @ torch.randn(basis.shape[1], embedding.weight.shape[1]) * 0.06
