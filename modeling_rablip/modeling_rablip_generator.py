"""The generator with adaptive selection of knowledge (ASKG): answers, and says which evidence is relevant."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationMixin
from transformers.utils import ModelOutput, logging

from ..configuration.configuration_rablip import RablipConfig
from .conversion_instructblip_rablip import (
    INSTRUCTBLIP_KEY_MAPPING,
    MODULES_NEW_TO_INSTRUCTBLIP,
    configure_from_instructblip,
)
from .conversion_official_rablip import MODULES_NEW_TO_OFFICIAL, convert_official_state_dict
from .fusion_rablip import RablipPooler
from .losses_rablip import language_modeling_loss, relevance_loss
from .matching_rablip import RablipMatchingHead
from .modeling_rablip_base import RablipPreTrainedModel
from .visual_extraction_rablip import project

logger = logging.get_logger(__name__)

# The logit of a candidate slot that holds no candidate: its probability is 0 in every dtype.
_NO_CANDIDATE_LOGIT = -1e4
# What is neither vision tower nor language model: RA-BLIP trains it whole, and it is never quantised.
TRAINED_PARTS = (
    "query_tokens",
    "qformer",
    "image_slots",
    "fusion",
    "language_projection",
    "relevance_head",
    "segment_pooler",
    "matching_projection",
    "matching_head",
)
_TRAINING_ONLY_INPUTS = (
    "labels",
    "relevance_labels",
    "reference_positions",
    "candidate_mask",
    "segment_ids",
    "askg_input_ids",
    "askg_attention_mask",
    "askg_labels",
    "askg_reference_positions",
    "askg_segment_ids",
    "decoder_input_ids",
)


@dataclass
class RablipOutput(ModelOutput):
    """
    Output of [`RablipForConditionalGeneration`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*): L_QA + lambda * L_ASKG over the terms whose labels are
            given.
        qa_loss (`torch.FloatTensor` of shape `(1,)`, *optional*): token cross-entropy of the answers.
        askg_loss (`torch.FloatTensor` of shape `(1,)`, *optional*): token cross-entropy of the reference lists plus
            the relevance loss, whichever of the two have labels.
        relevance_loss (`torch.FloatTensor` of shape `(1,)`, *optional*): binary cross-entropy at the reference
            markers, the mean of both passes where both are given; part of `askg_loss`.
        logits (`torch.FloatTensor` of shape `(batch_size, target_len, vocab_size)`, *optional*): of the answers.
        relevance_logits (`torch.FloatTensor` of shape `(batch_size, num_candidates)`, *optional*): read at the
            reference markers of the question-answering prompt; -1e4 where there is no candidate.
        query_states (`torch.FloatTensor` of shape `(batch_size, num_query_tokens, hidden_size)`, *optional*): fused
            query outputs, None when no input has a picture.
    """

    loss: torch.FloatTensor | None = None
    qa_loss: torch.FloatTensor | None = None
    askg_loss: torch.FloatTensor | None = None
    relevance_loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    relevance_logits: torch.FloatTensor | None = None
    query_states: torch.FloatTensor | None = None


class RablipForConditionalGeneration(RablipPreTrainedModel, GenerationMixin):
    r"""
    Generator of RA-BLIP: the Q-Former reads all evidence pictures under the question and captions, the fused query
    outputs become the prefix of a frozen language model (encoder-decoder or decoder-only), which answers from the
    numbered references in its prompt. The relevance of every candidate comes from the same pass: a head reads the
    language model's state at the candidate's reference marker, and, where the prompt's parts are known
    (`segment_ids`), another compares the states over the candidate with those over the question.

    Example:

    ```python
    >>> import torch
    >>> from rablip import RablipConfig, RablipForConditionalGeneration

    >>> config = RablipConfig(
    ...     vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    ...                    "num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    ...     qformer_config={"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    ...                     "intermediate_size": 16},
    ...     adaptive_fusion_config={"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ...     text_config={"model_type": "t5", "vocab_size": 60, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1,
    ...                  "num_heads": 2, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1},
    ...     num_query_tokens=2, image_token_index=59,
    ... )
    >>> model = RablipForConditionalGeneration(config).eval()
    >>> output = model(
    ...     input_ids=torch.tensor([[59, 59, 5, 7, 1]]), qformer_input_ids=torch.tensor([[2, 9, 3]]),
    ...     pixel_values=torch.zeros(1, 1, 3, 16, 16), labels=torch.tensor([[8, 1]]),
    ... )
    >>> output.logits.shape
    torch.Size([1, 2, 60])

    ```
    """

    config_class = RablipConfig
    full_precision_modules = ("vision_model", *TRAINED_PARTS, "lm_head")

    def __init__(self, config: RablipConfig) -> None:
        super().__init__(config)
        auto_class = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        self.language_model = auto_class.from_config(config.text_config)
        text_hidden_size = config.text_config.hidden_size
        self.language_projection = nn.Linear(config.qformer_config.hidden_size, text_hidden_size)
        self.relevance_head = nn.Linear(text_hidden_size, 1)
        self.segment_pooler = RablipPooler(text_hidden_size)
        self.matching_projection = nn.Linear(text_hidden_size, config.matching_dim)
        self.matching_head = RablipMatchingHead(config.matching_dim, config.matching_dim)
        self.post_init()

    @classmethod
    def _load_whole(cls, source: Any, *model_args: Any, **kwargs: Any) -> Any:
        loaded = super()._load_whole(source, *model_args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        head, words = model.get_output_embeddings(), model.get_input_embeddings()
        if head is not None and head.weight is not words.weight:
            # T5's configuration calls every head tied, Flan-T5's is not, and the next resize would tie it for good.
            for config in (model.language_model.config, model.config.text_config):
                config.tie_word_embeddings = False
        return loaded

    @classmethod
    def from_instructblip(
        cls, pretrained_model_name_or_path: Any, *, config_fields: dict[str, Any] | None = None, **kwargs: Any
    ) -> RablipForConditionalGeneration:
        """Start from an InstructBLIP checkpoint; with one picture it answers as that checkpoint does.

        What InstructBLIP does not have (further pictures, fusion, relevance) starts so that it changes nothing: slots
        and fusion add zeros, every candidate's relevance is 0.5, all shown evidence is cited.

        Args:
            pretrained_model_name_or_path: local folder or Hub id of any InstructBLIP checkpoint in safetensors.
            config_fields: fields of [`RablipConfig`] that the checkpoint does not decide (`max_images`,
                `adaptive_fusion_config`, `matching_dim`, ...).
            kwargs: as in `from_pretrained` (`dtype`, `device_map`, `revision`, `quantization_config`, ...).

        Returns:
            The model in evaluation mode.

        Raises:
            TypeError: the checkpoint is of another kind of model.
            ValueError: it lacks weights, or has some that are not used.
        """
        return cls._convert(
            pretrained_model_name_or_path,
            configure_from_instructblip,
            config_fields=config_fields,
            key_mapping=INSTRUCTBLIP_KEY_MAPPING,
            new_modules=MODULES_NEW_TO_INSTRUCTBLIP,
            **kwargs,
        )._unjudging()

    @classmethod
    def from_official_state_dict(
        cls, state: dict[str, torch.Tensor], config: RablipConfig, **kwargs: Any
    ) -> RablipForConditionalGeneration:
        """A generator with the weights of the public RA-BLIP release; losses and answers are the release's.

        Args:
            state: the release's state dict.
            config: of `configure_from_official`.
            kwargs: as in `from_pretrained` (`dtype`, ...).

        Returns:
            The model in evaluation mode.

        Raises:
            ValueError: a key is unknown, missing or of another shape.
        """
        state = convert_official_state_dict(state)
        return cls._load_whole(
            None, config=config, state_dict=state, new_modules=MODULES_NEW_TO_OFFICIAL, **kwargs
        )._unjudging()

    def _unjudging(self) -> RablipForConditionalGeneration:
        """Relevance 0.5 of every candidate: one that nobody has trained must not differ between two conversions."""
        for module in (self.relevance_head, self.segment_pooler, self.matching_head.output):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
        return self

    def get_input_embeddings(self) -> nn.Module:
        """The language model's word embeddings."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's word embeddings."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the language model's head."""
        self.language_model.set_output_embeddings(new_embeddings)

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """The language model's encoder."""
        return self.language_model.get_encoder() if modality is None else super().get_encoder(modality=modality)

    def get_decoder(self) -> nn.Module:
        """The language model's decoder."""
        return self.language_model.get_decoder()

    def freeze_language_model(self) -> None:
        """Freeze the language model; the Q-Former, fusion, projection and relevance heads stay trainable."""
        self.language_model.requires_grad_(False)

    def half(self) -> RablipForConditionalGeneration:
        """Cast to fp16, except T5's `wo` layers, whose activations overflow there."""
        super().half()
        kept = [module for name, module in self.language_model.named_modules() if name.endswith(".wo")]
        for module in kept:
            module.float()
        if kept:
            logger.warning_once("fp16 overflows in T5's `wo` layers; they stay in fp32. bf16 has no such limit.")
        return self

    def _embed_prompt(
        self, input_ids: torch.Tensor, query_states: torch.Tensor | None, has_picture: torch.Tensor | None
    ) -> torch.Tensor:
        """Prompt embeddings with the projected queries in place of the image tokens."""
        inputs_embeds = self.get_input_embeddings()(input_ids)
        image_token = self.config.image_token_index
        if query_states is not None and image_token is None:
            raise ValueError(
                "Pictures are given, but `config.image_token_index` is None; set it to the tokenizer's `<image>` id."
            )
        placeholders = input_ids == (-1 if image_token is None else image_token)
        expected = torch.zeros_like(input_ids[:, 0])
        if query_states is not None and has_picture is not None:
            expected = has_picture.long() * self.config.num_query_tokens
        found = placeholders.sum(dim=1)
        if not torch.equal(found, expected):
            row = int((found != expected).nonzero()[0])
            raise ValueError(
                f"Row {row} has {int(found[row])} image tokens in its prompt but its pictures give "
                f"{int(expected[row])} query outputs (num_query_tokens={self.config.num_query_tokens}). Build prompts "
                "with the model's own RablipProcessor."
            )
        if query_states is None:
            return inputs_embeds
        projected = project(self.language_projection, query_states[has_picture]).to(inputs_embeds.dtype)
        return inputs_embeds.masked_scatter(placeholders.unsqueeze(-1), projected)

    def _extract_queries(
        self,
        qformer_input_ids: torch.Tensor | None,
        qformer_attention_mask: torch.Tensor | None,
        pixel_values: torch.Tensor | None,
        image_embeds: torch.Tensor | None,
        image_mask: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Fused query outputs (batch_size, num_query_tokens, hidden_size) and which rows have a picture."""
        if self.config.queries_without_pictures and qformer_input_ids is not None:
            image_embeds, image_mask = self._fill_slots(len(qformer_input_ids), pixel_values, image_embeds, image_mask)
            pixel_values = None
        if pixel_values is None and image_embeds is None:
            return None, None
        extracted = self.extract(
            qformer_input_ids,
            qformer_attention_mask,
            pixel_values=pixel_values,
            image_embeds=image_embeds,
            image_mask=image_mask,
        )
        has_picture = extracted.attention_mask[:, 0].bool()
        return extracted.hidden_states[:, : extracted.num_queries], has_picture

    def _fill_slots(
        self,
        batch_size: int,
        pixel_values: torch.Tensor | None,
        image_embeds: torch.Tensor | None,
        image_mask: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of all `max_images` slots and their mask; slots of rows without pictures show empty ones.

        As in the public release, whose missing pictures are pictures of zeros.
        """
        num_slots, size = self.config.max_images, self.config.vision_config.image_size
        given = pixel_values if pixel_values is not None else image_embeds
        if image_mask is None:
            make = torch.zeros if given is None else torch.ones
            shape = (batch_size, 0) if given is None else given.shape[:2]
            image_mask = make(shape, dtype=torch.long, device=self.device)
        nowhere = ~image_mask.bool().any(dim=1, keepdim=True)
        if pixel_values is not None:
            image_embeds = self.encode_images(pixel_values, image_mask | nowhere)
        height, width = (size, size) if isinstance(size, int) else size
        empty = self.encode_images(torch.zeros((1, 1, 3, height, width), dtype=self.dtype, device=self.device))
        filled = empty.repeat(batch_size, num_slots, 1, 1)
        if image_embeds is not None:
            given_slots = image_embeds.shape[1]
            shown = image_embeds.any(dim=3).any(dim=2) | image_mask.bool()
            filled[:, :given_slots] = torch.where(shown[:, :, None, None], image_embeds, filled[:, :given_slots])
        return filled, nn.functional.pad(image_mask, (0, num_slots - image_mask.shape[1]))

    def _look_at_nothing(
        self, image_tokens: torch.Tensor, has_picture: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.config.queries_without_pictures:
            return image_tokens, has_picture
        # Even attention over some tokens is attention to their mean, and needs no mask that allows nothing.
        mean = image_tokens.mean(dim=1, keepdim=True)
        return torch.where(has_picture[:, :, None].bool(), image_tokens, mean), torch.ones_like(has_picture)

    def _run_language_model(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None,
        position_ids: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """States over the prompt (batch_size, seq_len, text_hidden_size) and, with labels, the logits."""
        if self.config.is_encoder_decoder:
            encoder_outputs = self.get_encoder()(inputs_embeds=inputs_embeds, attention_mask=attention_mask)
            states = encoder_outputs.last_hidden_state
            if labels is None:
                return states, None
            outputs = self.language_model(
                encoder_outputs=encoder_outputs,
                attention_mask=attention_mask,
                decoder_input_ids=self.language_model.prepare_decoder_input_ids_from_labels(labels),
                use_cache=False,
            )
            return states, outputs.logits
        arguments: dict[str, Any] = {}
        if "position_ids" in inspect.signature(self.language_model.forward).parameters:
            if position_ids is None:
                position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
            arguments["position_ids"] = position_ids
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            output_hidden_states=True,
            use_cache=False,
            **arguments,
        )
        return outputs.hidden_states[-1], outputs.logits

    def _language_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if not self.config.is_encoder_decoder:
            logits, labels = logits[:, :-1], labels[:, 1:]
        return language_modeling_loss(logits, labels)

    def _read_relevance(
        self,
        states: torch.Tensor,
        reference_positions: torch.Tensor,
        candidate_mask: torch.Tensor | None,
        segment_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        """Logits (batch_size, num_candidates): each candidate's marker, and its states against the question's."""
        if candidate_mask is None:
            candidate_mask = reference_positions >= 0
        index = reference_positions.clamp(min=0).unsqueeze(-1).expand(-1, -1, states.shape[-1])
        logits = project(self.relevance_head, states.gather(1, index)).squeeze(-1)
        if segment_ids is not None:
            numbers = torch.arange(1, 2 + reference_positions.shape[1], device=states.device)
            parts = self.segment_pooler(states, segment_ids[:, None] == numbers[:, None])
            vectors = project(self.matching_projection, parts)
            logits = logits + self.matching_head(vectors[:, :1], vectors[:, 1:])
        return logits.float().masked_fill(candidate_mask == 0, _NO_CANDIDATE_LOGIT)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        reference_positions: torch.Tensor | None = None,
        candidate_mask: torch.Tensor | None = None,
        segment_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        relevance_labels: torch.Tensor | None = None,
        askg_input_ids: torch.Tensor | None = None,
        askg_attention_mask: torch.Tensor | None = None,
        askg_labels: torch.Tensor | None = None,
        askg_reference_positions: torch.Tensor | None = None,
        askg_segment_ids: torch.Tensor | None = None,
    ) -> RablipOutput:
        """One pass over the question-answering prompt and, where given, one over the ASKG prompt.

        Both passes share the visual extraction: their instruction and pictures are the same.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, prompt_len)`): question-answering prompt, with
                `num_query_tokens` image tokens in every row that has a picture. For decoder-only models in training
                the answer follows the prompt.
            attention_mask (`torch.LongTensor` of shape `(batch_size, prompt_len)`, *optional*): 1 = keep; padding on
                either side.
            qformer_input_ids (`torch.LongTensor` of shape `(batch_size, instruction_len)`, *optional*): question and
                captions for the Q-Former; likewise `qformer_attention_mask`.
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_images, 3, height, width)`, *optional*).
            image_embeds (`torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower instead of pictures.
            image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = a picture.
            reference_positions (`torch.LongTensor` of shape `(batch_size, num_candidates)`, *optional*): token index
                of each candidate's closing reference marker.
            candidate_mask (`torch.LongTensor` of shape `(batch_size, num_candidates)`, *optional*): 1 = a candidate;
                by default where the position is not negative.
            segment_ids (`torch.LongTensor` of shape `(batch_size, prompt_len)`, *optional*): which part of the prompt
                a token belongs to: 1 the question, 1 + *i* the *i*-th candidate, 0 anything else. Without it only
                the markers are read.
            position_ids (`torch.LongTensor` of shape `(batch_size, prompt_len)`, *optional*): positions of the prompt
                for decoder-only models that take them. By default they count what is attended to, as `generate` does,
                so that padding changes no row; InstructBLIP's own forward counts the padding too.
            labels (`torch.LongTensor` of shape `(batch_size, target_len)`, *optional*): answers; -100 ignored.
            relevance_labels (`torch.FloatTensor` of shape `(batch_size, num_candidates)`, *optional*): 1 relevant,
                0 not, -100 ignored.
            askg_input_ids, askg_attention_mask, askg_labels, askg_reference_positions, askg_segment_ids (*optional*):
                the ASKG prompt of the same rows, its target (the list of relevant references), its markers and parts.

        Returns:
            [`RablipOutput`].

        Raises:
            ValueError: a prompt's image tokens do not match its pictures, or labels lack what they refer to.
        """
        if relevance_labels is not None and reference_positions is None:
            raise ValueError("`relevance_labels` need `reference_positions`: where the reference markers stand.")
        query_states, has_picture = self._extract_queries(
            qformer_input_ids, qformer_attention_mask, pixel_values, image_embeds, image_mask
        )
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        states, logits = self._run_language_model(
            self._embed_prompt(input_ids, query_states, has_picture), attention_mask, labels, position_ids
        )
        qa_loss = None if labels is None or logits is None else self._language_loss(logits, labels)
        relevance_logits = None
        relevance_losses = []
        if reference_positions is not None:
            relevance_logits = self._read_relevance(states, reference_positions, candidate_mask, segment_ids)
            if relevance_labels is not None:
                relevance_losses.append(relevance_loss(relevance_logits, relevance_labels))

        askg_terms = []
        if askg_input_ids is not None:
            if askg_attention_mask is None:
                askg_attention_mask = torch.ones_like(askg_input_ids)
            askg_states, askg_logits = self._run_language_model(
                self._embed_prompt(askg_input_ids, query_states, has_picture), askg_attention_mask, askg_labels
            )
            if askg_labels is not None and askg_logits is not None:
                askg_terms.append(self._language_loss(askg_logits, askg_labels))
            if askg_reference_positions is not None and relevance_labels is not None:
                askg_relevance_logits = self._read_relevance(
                    askg_states, askg_reference_positions, candidate_mask, askg_segment_ids
                )
                relevance_losses.append(relevance_loss(askg_relevance_logits, relevance_labels))

        mean_relevance_loss = torch.stack(relevance_losses).mean() if relevance_losses else None
        if mean_relevance_loss is not None:
            askg_terms.append(mean_relevance_loss)
        askg_loss = torch.stack(askg_terms).sum() if askg_terms else None
        loss = qa_loss
        if askg_loss is not None:
            weighted = self.config.askg_loss_weight * askg_loss
            loss = weighted if loss is None else loss + weighted
        return RablipOutput(
            loss=loss,
            qa_loss=qa_loss,
            askg_loss=askg_loss,
            relevance_loss=mean_relevance_loss,
            logits=logits,
            relevance_logits=relevance_logits,
            query_states=query_states,
        )

    @torch.no_grad()
    def generate(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        **generate_kwargs: Any,
    ) -> Any:
        """Generate answers.

        Args:
            input_ids, attention_mask, qformer_input_ids, qformer_attention_mask, pixel_values, image_embeds,
                image_mask: as in `forward`, without labels (labels and other training inputs are left aside, so that
                `Seq2SeqTrainer` may pass its whole batch).
            generate_kwargs: passed to the language model's `generate` (`max_new_tokens`, `num_beams`, ...).

        Returns:
            `torch.LongTensor` of shape `(batch_size, generated_len)`: generated ids only, the prompt is never
            repeated (encoder-decoder models start with their decoder start token); or what
            `return_dict_in_generate` asks for.
        """
        for name in _TRAINING_ONLY_INPUTS:
            generate_kwargs.pop(name, None)
        query_states, has_picture = self._extract_queries(
            qformer_input_ids, qformer_attention_mask, pixel_values, image_embeds, image_mask
        )
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        generation_config = copy.deepcopy(generate_kwargs.pop("generation_config", None) or self.generation_config)
        model_kwargs = generation_config.update(**generate_kwargs)
        inputs_embeds = self._embed_prompt(input_ids, query_states, has_picture)
        if self.config.is_encoder_decoder:
            return self.language_model.generate(
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                generation_config=generation_config,
                **model_kwargs,
            )
        # The ids are there for what looks back at the prompt, such as `repetition_penalty`; they come back with the
        # answer, and are cut off again.
        generated = self.language_model.generate(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            generation_config=generation_config,
            **model_kwargs,
        )
        if isinstance(generated, torch.Tensor):
            return generated[:, input_ids.shape[1] :]
        generated.sequences = generated.sequences[:, input_ids.shape[1] :]
        return generated

    @torch.no_grad()
    def predict_relevance(self, **inputs: Any) -> torch.Tensor:
        """Calibrated relevance of every candidate: sigmoid(logit / `config.relevance_temperature`).

        Args:
            inputs: as in `forward`, with `reference_positions`; labels are left aside.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, num_candidates)`, fp32 probabilities, 0 where there is no
            candidate.

        Raises:
            ValueError: `reference_positions` is missing.
        """
        if inputs.get("reference_positions") is None:
            raise ValueError("`predict_relevance` needs `reference_positions`, as `process_generation` gives them.")
        for name in ("labels", "relevance_labels", *(name for name in _TRAINING_ONLY_INPUTS if "askg" in name)):
            inputs.pop(name, None)
        logits = self(**inputs).relevance_logits.float()
        return torch.sigmoid(logits / self.config.relevance_temperature)


__all__ = ["TRAINED_PARTS", "RablipForConditionalGeneration", "RablipOutput"]
