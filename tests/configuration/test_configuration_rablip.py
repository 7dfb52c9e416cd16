"""Configurations: strict, typed, round trip, foreign fields named."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from transformers import AutoConfig

import rablip
from rablip import RablipConfig, RablipRerankerConfig, RablipRetrieverConfig
from rablip.configuration import RablipFusionConfig, RablipRetrievalConfig
from tests.tiny import text_arguments, trunk_arguments

CONFIGS = [
    RablipRetrieverConfig(**trunk_arguments(), retrieval_config={"embedding_dim": 12}),
    RablipRerankerConfig(**trunk_arguments(), relevance_temperature=1.5, relevance_threshold=0.3),
    RablipConfig(**trunk_arguments(), text_config=text_arguments("t5"), image_token_index=7),
    RablipConfig(**trunk_arguments(), text_config=text_arguments("llama"), image_token_index=7),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.model_type}-{config.is_encoder_decoder}")
def test_saving_and_loading_gives_the_same_configuration(config, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    for loaded in (type(config).from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is type(config)
        assert {**loaded.to_dict(), "_name_or_path": ""} == {**config.to_dict(), "_name_or_path": ""}
    assert json.loads((tmp_path / "config.json").read_text())["rablip_version"] == rablip.__version__


def test_every_class_has_its_own_model_type() -> None:
    assert len({config.model_type for config in CONFIGS}) == 3


@pytest.mark.parametrize(
    ("config_class", "keyword", "nearest"),
    [
        (RablipRetrieverConfig, "num_query_token", "num_query_tokens"),
        (RablipRerankerConfig, "relevance_treshold", "relevance_threshold"),
        (RablipConfig, "citation_treshold", "citation_threshold"),
        (RablipFusionConfig, "num_layers", "num_hidden_layers"),
        (RablipRetrievalConfig, "embed_dim", "embedding_dim"),
    ],
)
def test_an_unknown_keyword_raises_and_names_the_nearest_field(config_class, keyword: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=rf"`{keyword}` \(the nearest field is `{nearest}`\)"):
        config_class(**{keyword: 1})


@pytest.mark.parametrize(
    ("config_class", "arguments", "named"),
    [
        (RablipRetrieverConfig, {"num_query_tokens": 0}, "num_query_tokens"),
        (RablipRetrieverConfig, {"num_query_tokens": "many"}, "num_query_tokens"),
        (RablipRetrieverConfig, {"max_images": 0}, "max_images"),
        (RablipRetrieverConfig, {"retrieval_config": {"initial_temperature": 0.0}}, "initial_temperature"),
        (RablipRetrieverConfig, {"retrieval_config": {"embedding_dim": 0}}, "embedding_dim"),
        (RablipRetrieverConfig, {"adaptive_fusion_config": {"num_attention_heads": 5}}, "must divide"),
        (RablipRetrieverConfig, {"adaptive_fusion_config": {"num_hidden_layers": -1}}, "num_hidden_layers"),
        (RablipRerankerConfig, {"relevance_temperature": 0.0}, "relevance_temperature"),
        (RablipRerankerConfig, {"relevance_threshold": 1.5}, "relevance_threshold"),
        (RablipConfig, {"citation_threshold": -0.1}, "citation_threshold"),
        (RablipConfig, {"abstain_threshold": 2.0}, "abstain_threshold"),
        (RablipConfig, {"askg_loss_weight": -1.0}, "askg_loss_weight"),
    ],
)
def test_an_impossible_value_is_refused_by_name(config_class, arguments: dict, named: str) -> None:
    with pytest.raises(Exception, match=named):
        config_class(**arguments)


def test_fields_of_another_version_are_named_with_that_version_and_left_out(tmp_path: Path) -> None:
    CONFIGS[0].save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    stored.update(rablip_version="9.9.9", future_field=1)
    stored["adaptive_fusion_config"]["future_gate"] = 2
    path.write_text(json.dumps(stored))
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("rablip.configuration.configuration_rablip")
    logger.addHandler(handler)
    loaded = RablipRetrieverConfig.from_pretrained(tmp_path)
    logger.removeHandler(handler)
    assert not hasattr(loaded, "future_field")
    assert not hasattr(loaded.adaptive_fusion_config, "future_gate")
    assert any("future_field" in record and "9.9.9" in record for record in records)
    assert any("future_gate" in record and "9.9.9" in record for record in records)


def test_the_encoder_decoder_flag_follows_the_language_model() -> None:
    assert CONFIGS[2].is_encoder_decoder
    assert not CONFIGS[3].is_encoder_decoder


def test_picture_tokens_are_the_patches_and_the_class_token() -> None:
    assert CONFIGS[0].num_image_tokens == 2 * 2 + 1
