"""Checks test/golden/nano_text.json, written by this project's TypeScript, against independent code: Hugging Face's
tokenizers library and numpy, with the prompts of models/nano/model.json written out by hand.

    pip install tokenizers numpy
    python test/oracle/nano_text_check.py
"""

import json

import numpy as np
import tokenizers

BOS, EOS, V = 1008, 1009, 1008
IMAGE = "<image_start><image><image_end>"

tokenizer = tokenizers.Tokenizer.from_file("models/nano/tokenizer.json")
with open("models/nano/model.json", encoding="utf-8") as file:
    state_fields = json.load(file)["state"]
with open("test/golden/nano_text.json", encoding="utf-8") as file:
    cases = json.load(file)["cases"]


def words(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def action_id(x):
    return V - int(np.digitize(np.clip(x, -1.0, 1.0), np.linspace(-1, 1, 256)))


for case in cases:
    task = case["instruction"]
    state = [
        action_id(2 * (case["state"][f["name"]] - f["min"]) / (f["max"] - f["min"]) - 1) for f in state_fields
    ]
    action_prompt = words(f"{IMAGE}\nWhat action should the robot take to {task}?")
    assert case["actionPromptIds"] == [BOS] + action_prompt + state, task

    marks = ", ".join(f"{mark} at [{x},{y}]" for mark, (x, y) in sorted(case["places"]))
    trace_prompt = words(
        f"{IMAGE}\nThe image is labeled with numeric marks {marks}. To {task}, how to move the marks for the next 8 steps?"
    )
    assert case["tracePromptIds"] == [BOS] + trace_prompt, task

    delta = case["delta"]
    # All rotations of the cases turn about z only, where roll, pitch, yaw equal the rotation vector.
    normalised = [x / 0.05 for x in delta["translation"]] + [x / 0.25 for x in delta["rotation"]] + [delta["gripper"]]
    assert case["actionAnswerIds"] == [action_id(x) for x in normalised] + [EOS], task
    assert case["traceAnswerIds"] == words(case["traceText"]) + [EOS], task

print(f"{len(cases)} cases agree with tokenizers {tokenizers.__version__}, numpy {np.__version__}")
