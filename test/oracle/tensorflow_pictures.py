"""Golden data for test/image/tensorflow.test.ts: what TensorFlow makes of 8-bit pictures in OpenVLA's evaluations.

    python test/oracle/tensorflow_pictures.py test/golden/tensorflowPictures.json

- centreCrop: bytes → float32 0 … 1, tf.image.crop_and_resize of a centred box with `area` of the picture's area, back to
  bytes (saturating): what openvla's experiments/robot/openvla_utils.py does before its processor.
- lanczos3: tf.image.resize(method="lanczos3", antialias=True), rounded and clipped to bytes: what its evaluations in LIBERO
  and on the WidowX, and its training data, do to a camera's picture.

Written for TensorFlow 2.15.0 (the version openvla pins). Bytes are base64, row-major. Pixels come from a seeded generator: a smooth
picture plus noise, so that wrong offsets, wrong filters and wrong rounding all show.
"""

import base64
import json
import sys

import numpy as np
import tensorflow as tf


def picture(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + c) + y / (5 - c) + c) for c in range(3)]
    smooth = 127.5 + 100 * np.stack(waves, axis=-1)
    return np.clip(smooth + rng.normal(0, 25, (height, width, 3)), 0, 255).astype(np.uint8)


def rgb(array: np.ndarray) -> dict:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"height": array.shape[0], "width": array.shape[1], "data": data}


def centre_crop(array: np.ndarray, area: float) -> np.ndarray:
    image = tf.image.convert_image_dtype(tf.constant(array), tf.float32)[None]
    side = tf.clip_by_value(tf.sqrt(area), 0, 1)
    start = (1 - side) / 2
    box = tf.stack([start, start, start + side, start + side])[None]
    cropped = tf.image.crop_and_resize(image, box, [0], array.shape[:2])[0]
    return tf.image.convert_image_dtype(tf.clip_by_value(cropped, 0, 1), tf.uint8, saturate=True).numpy()


def lanczos3(array: np.ndarray, height: int, width: int) -> np.ndarray:
    resized = tf.image.resize(tf.constant(array), (height, width), method="lanczos3", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8).numpy()


PICTURES = {
    "square": picture(56, 56, 11),
    "wide": picture(24, 33, 12),
    "odd": picture(17, 9, 13),
    "row": picture(1, 5, 14),
}
CROPS = [("square", 0.9), ("wide", 0.9), ("wide", 0.31), ("odd", 0.75), ("row", 0.9), ("square", 1.0)]
RESIZES = [("square", 49, 49), ("square", 24, 24), ("wide", 14, 40), ("odd", 30, 21), ("row", 3, 2)]


def main(path: str) -> None:
    golden = {
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
        "pictures": {name: rgb(array) for name, array in PICTURES.items()},
        "centreCrop": [
            {"source": name, "area": area, "output": rgb(centre_crop(PICTURES[name], area))} for name, area in CROPS
        ],
        "lanczos3": [
            {"source": name, "output": rgb(lanczos3(PICTURES[name], height, width))} for name, height, width in RESIZES
        ],
    }
    with open(path, "w", encoding="utf8") as file:
        json.dump(golden, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
