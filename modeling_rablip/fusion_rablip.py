"""Adaptive fusion: bidirectional layers over [query outputs ; text states] and a learned pooling.

The layers add to their input what their zero-initialised output projections give, so an untrained fusion module
leaves the Q-Former's states as they are: a converted BLIP-2 or InstructBLIP checkpoint behaves as before until the
fusion is trained. (The public release multiplies attention by zero here: style fault 3; a test shows that text
states change the picture's and the other way round.)
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.instructblip.modeling_instructblip import eager_attention_forward

from .visual_extraction_rablip import start_at_zero

QUERY_MODALITY, TEXT_MODALITY = 0, 1


class RablipFusionAttention(nn.Module):
    """Bidirectional multi-head self-attention."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        # The composite configuration, since transformers keeps the chosen attention implementation there.
        self.config = config
        hidden_size = config.qformer_config.hidden_size
        self.attention_dropout = config.adaptive_fusion_config.attention_probs_dropout_prob
        self.head_dim = hidden_size // config.adaptive_fusion_config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        # SDPA turns causal by itself when a module does not say otherwise.
        self.is_causal = False
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = start_at_zero(nn.Linear(hidden_size, hidden_size))

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """(batch_size, seq_len, hidden_size) -> the same shape."""
        split_shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        query, key, value = (
            projection(hidden_states).view(split_shape).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        mixed, _ = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
        )
        return self.output(mixed.reshape(*hidden_states.shape[:-1], -1).contiguous())


class RablipFusionLayer(GradientCheckpointingLayer):
    """Pre-norm self-attention and feed-forward, each added to its input."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        hidden_size, adaptive_fusion_config = config.qformer_config.hidden_size, config.adaptive_fusion_config
        self.attention_norm = nn.LayerNorm(hidden_size, eps=adaptive_fusion_config.layer_norm_eps)
        self.attention = RablipFusionAttention(config)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=adaptive_fusion_config.layer_norm_eps)
        self.intermediate = nn.Linear(hidden_size, adaptive_fusion_config.intermediate_size)
        self.activation = ACT2FN[adaptive_fusion_config.hidden_act]
        self.output = start_at_zero(nn.Linear(adaptive_fusion_config.intermediate_size, hidden_size))
        self.dropout = nn.Dropout(adaptive_fusion_config.hidden_dropout_prob)

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """(batch_size, seq_len, hidden_size) -> the same shape."""
        attended = self.attention(self.attention_norm(hidden_states), attention_mask)
        hidden_states = hidden_states + self.dropout(attended)
        transformed = self.output(self.activation(self.intermediate(self.feed_forward_norm(hidden_states))))
        return hidden_states + self.dropout(transformed)


class RablipFusion(nn.Module):
    """Fuse query outputs and text states into one sequence of states.

    Args:
        config: a composite rablip configuration.
    """

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.config = config
        self.modality_embeddings = start_at_zero(nn.Embedding(2, config.qformer_config.hidden_size))
        self.layers = nn.ModuleList(
            [RablipFusionLayer(config) for _ in range(config.adaptive_fusion_config.num_hidden_layers)]
        )
        self.gradient_checkpointing = False

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor, *, num_queries: int) -> torch.Tensor:
        """Mix the two modalities.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, num_queries + seq_len, hidden_size)`): query outputs,
                then text states.
            attention_mask (`torch.Tensor` of shape `(batch_size, num_queries + seq_len)`): 1 = keep.
            num_queries (`int`): how many of the first states are query outputs (0 without pictures).

        Returns:
            `torch.Tensor` of shape `(batch_size, num_queries + seq_len, hidden_size)`.
        """
        if not self.layers:
            return hidden_states
        modality_ids = torch.full(
            hidden_states.shape[1:2], TEXT_MODALITY, dtype=torch.long, device=hidden_states.device
        )
        modality_ids[:num_queries] = QUERY_MODALITY
        embeds = self.modality_embeddings(modality_ids)
        hidden_states = hidden_states.to(embeds.dtype) + embeds
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden_states, attention_mask=attention_mask
        )
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask)
        return hidden_states


class RablipPooler(nn.Module):
    """One vector from a sequence of states: a softmax over learned token weights (a plain mean when untrained)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.token_weight = start_at_zero(nn.Linear(hidden_size, 1))

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Pool the kept states.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, seq_len, hidden_size)`): states.
            attention_mask (`torch.Tensor` of shape `(batch_size, seq_len)`): 1 = keep; or, to pool several parts of a
                sequence, of shape `(batch_size, num_parts, seq_len)`.

        Returns:
            `torch.Tensor` of shape `(batch_size, hidden_size)`, or `(batch_size, num_parts, hidden_size)`; a part
            without any token gives the plain mean.
        """
        hidden_states = hidden_states.to(self.token_weight.weight.dtype)
        logits = self.token_weight(hidden_states).squeeze(-1).float()
        if attention_mask.dim() == 3:
            logits = logits.unsqueeze(1)
        logits = logits.masked_fill(attention_mask == 0, torch.finfo(logits.dtype).min)
        weights = logits.softmax(dim=-1).to(hidden_states.dtype)
        return torch.einsum("b...s,bsh->b...h", weights, hidden_states)


__all__ = ["RablipFusion", "RablipFusionAttention", "RablipFusionLayer", "RablipPooler"]
