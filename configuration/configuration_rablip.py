"""Configurations of the rablip models: strict, typed, one `model_type` per class.

Sub-configs say what a part is (`vision_config`, `qformer_config`, `adaptive_fusion_config`, `retrieval_config`,
`text_config`); the composite configs say which parts a model holds. This module imports transformers only, so a
configuration can be read without torch models being built.
"""

import difflib
import sys
from dataclasses import fields
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, InstructBlipQFormerConfig, InstructBlipVisionConfig, PreTrainedConfig
from transformers.utils import logging

logger = logging.get_logger(__name__)

_DEFAULT_LANGUAGE_MODEL = "t5"

# Keywords that transformers itself passes to, or stores in, every configuration.
_INFRASTRUCTURE_KEYWORDS = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_internal",
        "_commit_hash",
        "_experts_implementation_internal",
        "_name_or_path",
        "attn_implementation",
        "auto_map",
        "experts_implementation",
        "model_type",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "quantization_config",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)


def _installed_version() -> str | None:
    """The version of the imported rablip package, or None in a flat copy that runs without it."""
    return getattr(sys.modules.get("rablip"), "__version__", None)


class _KnownFieldsConfig(PreTrainedConfig):
    """A configuration that refuses keywords it does not know instead of keeping them as silent attributes."""

    rablip_version: str | None = None

    @classmethod
    def _unknown_keywords(cls, keywords: dict[str, Any]) -> list[str]:
        known = {field.name for field in fields(cls)} | set(cls.attribute_map) | _INFRASTRUCTURE_KEYWORDS
        return [name for name in keywords if name not in known]

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = self._unknown_keywords(kwargs)
        if unknown:
            names = [field.name for field in fields(self)]
            hints = []
            for name in unknown:
                nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
                hints.append(f"`{name}` (the nearest field is `{nearest[0]}`)")
            raise TypeError(
                f"{type(self).__name__} has no field {', '.join(hints)}. Correct the name, or leave the keyword out."
            )
        self._build_sub_configs()
        super().__post_init__(**kwargs)

    def _build_sub_configs(self) -> None:
        """Make configurations of the parts that were given as dictionaries, or not at all.

        transformers does this from a declaration of its own that its earlier 5.x versions do not know.
        """
        for name, config_class in self.sub_configs.items():
            value = getattr(self, name)
            if isinstance(value, PreTrainedConfig):
                continue
            values = dict(value or {})
            if config_class is AutoConfig:
                model_type = values.pop("model_type", _DEFAULT_LANGUAGE_MODEL)
                setattr(self, name, AutoConfig.for_model(model_type, **values))
            else:
                setattr(self, name, config_class(**values))

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Build a configuration from a dictionary read from disk; fields of another version are named and left out.

        Args:
            config_dict: the content of a `config.json`.
            kwargs: overrides, as in `PreTrainedConfig.from_dict`.
        """
        config_dict = cls._drop_unknown_fields(config_dict, written_by=config_dict.get("rablip_version"))
        return super().from_dict(config_dict, **kwargs)

    @classmethod
    def _drop_unknown_fields(cls, config_dict: dict[str, Any], *, written_by: str | None) -> dict[str, Any]:
        unknown = cls._unknown_keywords(config_dict)
        if unknown:
            logger.warning_once(
                f"{cls.__name__}: the stored fields {sorted(unknown)} are unknown to this version of rablip "
                f"({_installed_version()}) and are ignored; the file was written by rablip {written_by}."
            )
        known = {name: value for name, value in config_dict.items() if name not in unknown}
        for name, config_class in cls.sub_configs.items():
            sub_config = known.get(name)
            if isinstance(sub_config, dict) and issubclass(config_class, _KnownFieldsConfig):
                known[name] = config_class._drop_unknown_fields(sub_config, written_by=written_by)
        return known

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a JSON-ready dictionary, stamped with the rablip version that writes it."""
        output = super().to_dict()
        output["rablip_version"] = _installed_version() or self.rablip_version
        return output


def _require_positive(config: PreTrainedConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"`{name}` must be at least 1, got {getattr(config, name)} in {type(config).__name__}.")


@strict
class RablipFusionConfig(_KnownFieldsConfig):
    r"""
    The adaptive fusion module: bidirectional layers over [query outputs ; text states].

    Args:
        num_hidden_layers (`int`, defaults to 3): number of fusion layers; 0 leaves the Q-Former's states as they are.
        num_attention_heads (`int`, defaults to 12): heads; must divide the Q-Former's hidden size.
        intermediate_size (`int`, defaults to 3072): width of the feed-forward part.
        hidden_act (`str`, defaults to `"gelu"`): activation of the feed-forward part.
        hidden_dropout_prob (`float`, defaults to 0.1): dropout after attention and feed-forward.
        attention_probs_dropout_prob (`float`, defaults to 0.1): dropout on attention weights.
        layer_norm_eps (`float`, defaults to 1e-12): epsilon of the layer norms.
        initializer_range (`float`, defaults to 0.02): standard deviation of the weights' initialisation.
    """

    model_type = "rablip_fusion"
    base_config_key = "adaptive_fusion_config"

    num_hidden_layers: int = 3
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02

    def validate_architecture(self) -> None:
        """Layer and head counts are possible."""
        if self.num_hidden_layers < 0:
            raise ValueError(f"`num_hidden_layers` must not be negative, got {self.num_hidden_layers}.")
        _require_positive(self, "num_attention_heads", "intermediate_size")


@strict
class RablipRetrievalConfig(_KnownFieldsConfig):
    r"""
    The one space that questions and knowledge items share.

    Args:
        embedding_dim (`int`, defaults to 256): dimension of the L2-normalised embeddings.
        vectors (`str`, defaults to `"one"`): what an item is embedded as. `"one"`: one vector, pooled from the fused
            states of picture and text. `"per_query"`, as in BLIP-2: one vector per query output and one of the text,
            which are extracted apart; the score is the largest inner product.
        initial_temperature (`float`, defaults to 0.07): divisor of the inner products in the contrastive loss at the
            start of training; it is learned as `logit_scale = log(1 / temperature)`.
        max_logit_scale (`float`, defaults to 100.0): upper bound of `1 / temperature`, as in CLIP.
    """

    model_type = "rablip_retrieval"
    base_config_key = "retrieval_config"

    embedding_dim: int = 256
    vectors: Literal["one", "per_query"] = "one"
    initial_temperature: float = 0.07
    max_logit_scale: float = 100.0

    def validate_architecture(self) -> None:
        """The space has a dimension and the temperature is a usable divisor."""
        _require_positive(self, "embedding_dim")
        if self.initial_temperature <= 0 or 1 / self.initial_temperature > self.max_logit_scale:
            raise ValueError(
                f"`initial_temperature` must be at least 1 / `max_logit_scale` = {1 / self.max_logit_scale:g}, "
                f"got {self.initial_temperature}."
            )


@strict
class _RablipTrunkConfig(_KnownFieldsConfig):
    """The parts that every rablip model holds: vision tower, Q-Former, query tokens, image slots, fusion."""

    sub_configs = {
        "vision_config": InstructBlipVisionConfig,
        "qformer_config": InstructBlipQFormerConfig,
        "adaptive_fusion_config": RablipFusionConfig,
    }

    vision_config: dict | PreTrainedConfig | None = None
    qformer_config: dict | PreTrainedConfig | None = None
    adaptive_fusion_config: dict | PreTrainedConfig | None = None
    num_query_tokens: int = 32
    max_images: int = 2
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.qformer_config.encoder_hidden_size = self.vision_config.hidden_size

    def validate_architecture(self) -> None:
        """Counts are positive and the fusion heads divide the Q-Former's hidden size."""
        _require_positive(self, "num_query_tokens", "max_images")
        hidden_size = self.qformer_config.hidden_size
        num_heads = self.adaptive_fusion_config.num_attention_heads
        if self.adaptive_fusion_config.num_hidden_layers and hidden_size % num_heads:
            raise ValueError(
                f"`adaptive_fusion_config.num_attention_heads` ({num_heads}) must divide `qformer_config.hidden_size` "
                f"({hidden_size})."
            )

    @property
    def num_image_tokens(self) -> int:
        """Tokens of one picture as the vision tower gives them: its patches and the class token."""
        size, patch = self.vision_config.image_size, self.vision_config.patch_size
        height, width = (size, size) if isinstance(size, int) else size
        patch_height, patch_width = (patch, patch) if isinstance(patch, int) else patch
        return (height // patch_height) * (width // patch_width) + 1


@strict
class _RablipRetrievalTrunkConfig(_RablipTrunkConfig):
    """The trunk and the space in which questions and knowledge items are compared."""

    sub_configs = {
        **_RablipTrunkConfig.sub_configs,
        "retrieval_config": RablipRetrievalConfig,
    }

    retrieval_config: dict | PreTrainedConfig | None = None

    @property
    def embedding_dim(self) -> int:
        """Dimension of the embeddings (`retrieval_config.embedding_dim`)."""
        return self.retrieval_config.embedding_dim

    @property
    def max_vectors(self) -> int:
        """How many vectors a knowledge item may have: one, or one per query and one of its text."""
        return 1 if self.retrieval_config.vectors == "one" else self.num_query_tokens + 1


@strict
class RablipRetrieverConfig(_RablipRetrievalTrunkConfig):
    r"""
    Configuration of [`RablipRetriever`], the dense retriever.

    Args:
        vision_config, qformer_config (`dict` or config): as in InstructBLIP.
        adaptive_fusion_config (`dict` or [`RablipFusionConfig`]): the adaptive fusion module.
        retrieval_config (`dict` or [`RablipRetrievalConfig`]): the shared embedding space.
        num_query_tokens (`int`, defaults to 32): learnable queries of the Q-Former.
        max_images (`int`, defaults to 2): image slots of one input.
        initializer_range (`float`, defaults to 0.02): standard deviation of the weights' initialisation.

    Example:

    ```python
    >>> from rablip import RablipRetrieverConfig

    >>> config = RablipRetrieverConfig(num_query_tokens=8, retrieval_config={"embedding_dim": 64})
    >>> config.retrieval_config.embedding_dim
    64

    ```
    """

    model_type = "rablip_retriever"


@strict
class RablipRerankerConfig(_RablipRetrievalTrunkConfig):
    r"""
    Configuration of [`RablipReranker`], the question-instructed relevance classifier.

    Args:
        relevance_temperature (`float`, defaults to 1.0): divisor of the relevance logit, fitted on validation data.
        relevance_threshold (`float`, defaults to 0.5): probability from which a candidate is selected as evidence,
            fitted on validation data.
        retrieval_config (`dict` or [`RablipRetrievalConfig`]): the space in which question and candidate are compared;
            a warm start from a retriever needs the retriever's.
        vision_config, qformer_config, adaptive_fusion_config, num_query_tokens, max_images, initializer_range: as in
            [`RablipRetrieverConfig`].
    """

    model_type = "rablip_reranker"

    relevance_temperature: float = 1.0
    relevance_threshold: float = 0.5

    def validate_calibration(self) -> None:
        """The temperature is a divisor and the threshold a probability."""
        if self.relevance_temperature <= 0:
            raise ValueError(f"`relevance_temperature` must be positive, got {self.relevance_temperature}.")
        if not 0 <= self.relevance_threshold <= 1:
            raise ValueError(f"`relevance_threshold` must lie in [0, 1], got {self.relevance_threshold}.")


@strict
class RablipConfig(_RablipTrunkConfig):
    r"""
    Configuration of [`RablipForConditionalGeneration`], the generator with adaptive selection of knowledge (ASKG).

    Args:
        text_config (`dict` or config): the language model, encoder-decoder (T5 family) or decoder-only.
        image_token_index (`int`, *optional*): id of the placeholder token that the projected queries replace.
        queries_without_pictures (`bool`, defaults to `False`): whether a row without pictures has query outputs in
            its prompt all the same, of queries that look evenly at empty pictures, as in the public release.
        matching_dim (`int`, defaults to 256): dimension in which question and candidates are compared.
        relevance_temperature (`float`, defaults to 1.0): divisor of the relevance logits, fitted on validation data.
        citation_threshold (`float`, defaults to 0.5): relevance from which shown evidence is cited.
        abstain_threshold (`float`, defaults to 0.5): the model abstains when no evidence reaches this relevance.
        askg_loss_weight (`float`, defaults to 0.1): lambda in L = L_QA + lambda * L_ASKG (paper, Eq. of the total
            loss).
        vision_config, qformer_config, adaptive_fusion_config, num_query_tokens, max_images, initializer_range: as in
            [`RablipRetrieverConfig`].
    """

    model_type = "rablip"
    attribute_map = {"image_token_id": "image_token_index"}
    sub_configs = {
        **_RablipTrunkConfig.sub_configs,
        "text_config": AutoConfig,
    }

    text_config: dict | PreTrainedConfig | None = None
    image_token_index: int | None = None
    queries_without_pictures: bool = False
    matching_dim: int = 256
    relevance_temperature: float = 1.0
    citation_threshold: float = 0.5
    abstain_threshold: float = 0.5
    askg_loss_weight: float = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.is_encoder_decoder = bool(self.text_config.is_encoder_decoder)

    def validate_calibration(self) -> None:
        """The temperature is a divisor, the thresholds are probabilities, the loss weight is not negative."""
        _require_positive(self, "matching_dim")
        if self.relevance_temperature <= 0:
            raise ValueError(f"`relevance_temperature` must be positive, got {self.relevance_temperature}.")
        for name in ("citation_threshold", "abstain_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1], got {getattr(self, name)}.")
        if self.askg_loss_weight < 0:
            raise ValueError(f"`askg_loss_weight` must not be negative, got {self.askg_loss_weight}.")


__all__ = [
    "RablipConfig",
    "RablipFusionConfig",
    "RablipRerankerConfig",
    "RablipRetrievalConfig",
    "RablipRetrieverConfig",
]
