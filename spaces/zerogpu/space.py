"""The entry on ZeroGPU: the model on the GPU while the module is loaded, and each request on a GPU that is lent."""

import spaces  # isort: skip - before torch, which it prepares for a GPU that comes and goes

import os
import sys

import gradio

import app
from pipelines.models import find_checkpoint
from pipelines.zerogpu import ZeroGpuEngine

NAME = os.environ.get("GLASSBOX_MODEL", "4B")

app.model.use(ZeroGpuEngine.load(find_checkpoint(NAME), NAME, spaces.GPU, (gradio.Error,)))

if __name__ == "__main__":
    sys.exit(app.main([]))
