"""Writes test/golden/screen_marks.json: where Magma's agent for screens draws boxes and their numbers.

    python3 test/oracle/screen_marks.py MAGMA/agents/ui_agent/util/som.py > test/golden/screen_marks.json

Runs plot_boxes_with_marks of that file (microsoft/Magma, MIT; not part of this repository) with the sizes of our labels
and without digits, on random screens. A picture is kept as the red runs of its rows.
"""

import importlib.util
import json
import random
import sys

import numpy
import PIL
from PIL import Image

spec = importlib.util.spec_from_file_location("som", sys.argv[1])
som = importlib.util.module_from_spec(spec)
spec.loader.exec_module(som)


class Labels:
    """Sizes of src/image/boxes.ts: one font pixel around digits of 5 x 7, one column between them."""

    def __init__(self, scale):
        self.scale = scale

    def get_mark_size(self, text, height, width):
        return 9 * self.scale, (6 * len(text) + 1) * self.scale

    def get_font(self, height, width):
        return None


class Draw:
    """Leaves the digits out."""

    def __init__(self, draw):
        self.rectangle = draw.rectangle

    def text(self, *_, **__):
        pass


original = som.ImageDraw.Draw


class Module:
    Draw = staticmethod(lambda image: Draw(original(image)))


som.ImageDraw = Module
rng = random.Random(5)


def screen(width, height, count, scale):
    boxes = []
    for _ in range(count):
        w = rng.randint(8, width // 3)
        h = rng.randint(8, height // 3)
        boxes.append((rng.randint(0, height - h), rng.randint(0, width - w), h, w))
    image = Image.new("RGB", (width, height))
    som.plot_boxes_with_marks(
        image, boxes, Labels(scale), edgecolor=(255, 0, 0), normalized_to_pixel=False
    )
    red = numpy.asarray(image)[:, :, 0].reshape(-1) == 255
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[False], red, [False]])))
    return {
        "width": width,
        "height": height,
        "boxes": [{"x": x, "y": y, "width": w, "height": h} for y, x, h, w in boxes],
        # First and past-the-end index of every run, pixels counted row by row.
        "red": [int(edge) for edge in edges],
    }


cases = [
    screen(160, 120, 1, 2),
    screen(160, 120, 6, 2),
    screen(240, 160, 11, 2),
    screen(700, 690, 3, 3),
]
json.dump({"pillow": PIL.__version__, "numpy": numpy.__version__, "cases": cases}, sys.stdout)
print()
