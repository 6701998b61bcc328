"""Golden data for test/image: what torch and Pillow make of the same pixels.

    python test/oracle/preprocess.py test/golden/preprocess.json

Bytes and float32 values are base64, little endian, row-major. Pixels come from a seeded generator: a smooth picture
plus noise, so that wrong offsets, wrong filters and wrong rounding all show.

Pillow must be below 13: from 13 on it filters columns first where the height shrinks more than the width, which rounds
differently; Magma and OpenVLA were trained with the older order (rows first).
"""

import base64
import io
import json
import sys

import numpy as np
import PIL
import torch
from PIL import Image

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def picture(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + c) + y / (5 - c) + c) for c in range(3)]
    smooth = 127.5 + 100 * np.stack(waves, axis=-1)
    return np.clip(smooth + rng.normal(0, 25, (height, width, 3)), 0, 255).astype(np.uint8)


def text(array: np.ndarray | bytes) -> str:
    data = array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes()
    return base64.b64encode(data).decode()


def rgb(array: np.ndarray) -> dict:
    return {"height": array.shape[0], "width": array.shape[1], "data": text(array)}


def normalised(array: np.ndarray) -> torch.Tensor:
    """torchvision's ToTensor and Normalize."""
    tensor = torch.from_numpy(array).permute(2, 0, 1).float().div(255)
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (MEAN, STD))
    return (tensor - mean) / std


def interpolated(array: np.ndarray, height: int, width: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(normalised(array)[None], size=(height, width), mode="bilinear")[0]


PICTURES = {
    "wide": picture(24, 32, 1),
    "tall": picture(45, 21, 2),
    "tiny": picture(9, 7, 3),
    "cinema": picture(18, 32, 4),
}


def torch_case(source: str, height: int, width: int) -> dict:
    out = interpolated(PICTURES[source], height, width)
    return {"source": source, "height": height, "width": width, "pixels": text(out.numpy())}


def crops_case(source: str, side: int, rows: int, cols: int) -> dict:
    """The splitting of magma/image_processing_magma.py process_anyres_image, on a given grid."""
    image = interpolated(PICTURES[source], rows * side, cols * side)[None]
    patches = image.unfold(2, side, side).unfold(3, side, side)
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(rows * cols, -1, side, side)
    return {"source": source, "side": side, "rows": rows, "cols": cols, "pixels": text(patches.numpy())}


def pillow_case(source: str, height: int, width: int, name: str) -> dict:
    out = Image.fromarray(PICTURES[source]).resize((width, height), getattr(Image.Resampling, name.upper()))
    return {"source": source, "filter": name, "output": rgb(np.asarray(out))}


def file_case(name: str, image: Image.Image, **options) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    decoded = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    return {"name": name, "bytes": text(buffer.getvalue()), "decoded": rgb(decoded)}


def main(path: str) -> None:
    assert int(PIL.__version__.split(".")[0]) < 13, f"got Pillow {PIL.__version__}, expected below 13"
    wide = Image.fromarray(PICTURES["wide"])
    grey = wide.convert("L")
    alpha = Image.fromarray(np.dstack([PICTURES["wide"], PICTURES["wide"][..., 0]]))
    sizes = (("wide", 16, 16), ("tall", 24, 24), ("tiny", 20, 24), ("wide", 24, 13), ("tall", 7, 21))
    golden = {
        "versions": {"torch": torch.__version__, "pillow": PIL.__version__, "numpy": np.__version__},
        "mean": MEAN,
        "std": STD,
        "pictures": {name: rgb(array) for name, array in PICTURES.items()},
        "torch": [
            torch_case("wide", 16, 16),
            torch_case("tiny", 20, 24),
            torch_case("tall", 13, 33),
            torch_case("tiny", 9, 7),
        ],
        "crops": [crops_case("wide", 26, 1, 2), crops_case("cinema", 16, 2, 2), crops_case("tall", 16, 3, 1)],
        "pillow": [
            pillow_case(source, height, width, name)
            for name in ("bilinear", "bicubic")
            for source, height, width in sizes
        ],
        "files": [
            file_case("jpeg 4:2:0", wide, format="JPEG", quality=90, subsampling=2),
            file_case("jpeg 4:4:4", wide, format="JPEG", quality=90, subsampling=0),
            file_case("jpeg progressive", wide, format="JPEG", quality=90, progressive=True),
            file_case("jpeg grey", grey, format="JPEG", quality=90),
            file_case("png rgb", wide, format="PNG"),
            file_case("png grey", grey, format="PNG"),
            file_case("png palette", wide.quantize(16), format="PNG"),
            file_case("png with alpha", alpha, format="PNG"),
        ],
    }
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


main(sys.argv[1])
