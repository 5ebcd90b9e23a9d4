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
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import ImageClassifierOutput, SequenceClassifierOutput


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
        """pixel_values (batch, channels, height, width) -> logits (batch, classes); hidden states (batch, width)."""
        states = [pixel_values.flatten(1)]
        for layer in self.hidden:
            states.append(self.dropout(torch.relu(layer(states[-1]))))
        return ImageClassifierOutput(logits=self.classifier(states[-1]), hidden_states=tuple(states))


class FastTextConfig(PreTrainedConfig):
    """A bag of word pieces."""

    model_type = "studio-fasttext"

    vocab_size: int = 800
    hidden_size: int = 16
    dropout: float = 0.0
    pad_token_id: int = 0


class FastTextForSequenceClassification(PreTrainedModel):
    """The mean of the embeddings of a text's word pieces, then one linear layer (Joulin et al., 2016)."""

    config_class = FastTextConfig
    main_input_name = "input_ids"
    _input_embed_layer = "embeddings"

    def __init__(self, config: FastTextConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, len(config.id2label or ()))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Small embeddings, so that the mean starts near zero; PyTorch's own start for the linear layer."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        elif isinstance(module, nn.Linear):
            module.reset_parameters()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> SequenceClassifierOutput:
        """input_ids and attention_mask (batch, length) -> logits (batch, classes)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        vectors = self.embeddings(input_ids)
        weights = mask.unsqueeze(-1).to(vectors.dtype)
        mean = (vectors * weights).sum(1) / weights.sum(1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean)), hidden_states=(mean,))


AutoConfig.register("studio-fasttext", FastTextConfig, exist_ok=True)
AutoModelForSequenceClassification.register(FastTextConfig, FastTextForSequenceClassification, exist_ok=True)
AutoConfig.register("studio-mlp", MlpConfig, exist_ok=True)
AutoModelForImageClassification.register(MlpConfig, MlpForImageClassification, exist_ok=True)
