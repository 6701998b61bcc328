"""Folders of a model: its small files, and the weights of a training."""

import os
import shutil


def copy_model(model, out, folder):
    """A model folder of the small files of one and the weights of the other."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(model):
        if name.endswith(".json"):
            shutil.copy(f"{model}/{name}", folder)
    shutil.copy(f"{out}/model.safetensors", f"{folder}/model.safetensors")
