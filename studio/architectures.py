"""Architectures that transformers does not have, as `PreTrainedModel`s that save and load like the others.

This file stands alone (it needs torch and transformers only), so that an export can carry it.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import ImageClassifierOutput


class MlpConfig(PreTrainedConfig):
    """A multi-layer perceptron over the pixels of an image."""

    model_type = "studio-mlp"

    num_channels: int = 1
    image_size: int = 28
    hidden_sizes: list[int] | tuple[int, ...] = (800, 800)
    dropout: float = 0.0


class MlpForImageClassification(PreTrainedModel):
    """Flatten, then linear layers with ReLU and dropout, as in Hinton, Vinyals & Dean (2015), section 3."""

    config_class = MlpConfig
    main_input_name = "pixel_values"

    def __init__(self, config: MlpConfig) -> None:
        super().__init__(config)
        sizes = [config.num_channels * config.image_size**2, *config.hidden_sizes]
        self.hidden = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in itertools.pairwise(sizes))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(sizes[-1], len(config.id2label or ()))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialization of linear layers."""
        if isinstance(module, nn.Linear):
            module.reset_parameters()

    def forward(self, pixel_values: Tensor, **_: Any) -> ImageClassifierOutput:
        """pixel_values (batch, channels, height, width) -> logits (batch, classes)."""
        features = pixel_values.flatten(1)
        for layer in self.hidden:
            features = self.dropout(torch.relu(layer(features)))
        return ImageClassifierOutput(logits=self.classifier(features))


AutoConfig.register("studio-mlp", MlpConfig, exist_ok=True)
AutoModelForImageClassification.register(MlpConfig, MlpForImageClassification, exist_ok=True)
