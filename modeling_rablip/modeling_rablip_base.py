"""The trunk that every rablip model holds, under InstructBLIP's flat names.

`vision_model`, `query_tokens.weight` and `qformer` are transformers' own InstructBLIP modules, composed, not copied;
`image_slots` and `fusion` are rablip's. The classes differ only in the heads that they put on top.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    InstructBlipQFormerModel,
    InstructBlipVisionModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.utils import ModelOutput

from .fusion_rablip import RablipFusion
from .matching_rablip import RablipLearnedScalar
from .visual_extraction_rablip import RablipImageSlots, RablipQueryTokens

_KEY_FAULTS = ("missing", "unexpected", "mismatched")


@dataclass
class RablipTrunkOutput(ModelOutput):
    """
    States of a batch of inputs with text, pictures or both.

    Args:
        hidden_states (`torch.FloatTensor` of shape `(batch_size, num_queries + seq_len, hidden_size)`): query
            outputs, then text states: after fusion, or before it where `extract` is told so. `num_queries` is
            `config.num_query_tokens` when any input of the batch has a picture, else 0.
        attention_mask (`torch.LongTensor` of shape `(batch_size, num_queries + seq_len)`): 1 = keep. The queries of
            an input without pictures are masked.
        num_queries (`int`): how many of the states are query outputs.
        image_embeds (`torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens, vision_hidden_size)`,
            *optional*): what the vision tower gave.
    """

    hidden_states: torch.FloatTensor | None = None
    attention_mask: torch.LongTensor | None = None
    num_queries: int | None = None
    image_embeds: torch.FloatTensor | None = None


def _raise_for_keys(what: str, faults: dict[str, list[str]], advice: str) -> None:
    """ValueError that lists the first keys of every fault, where there are any."""
    if any(faults.values()):
        listed = "; ".join(
            f"{len(keys)} {name} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
            for name, keys in faults.items()
            if keys
        )
        raise ValueError(f"{what}: {listed}. {advice}")


class RablipPreTrainedModel(PreTrainedModel):
    """Weights' initialisation, flags and the shared trunk of the rablip models."""

    base_model_prefix = "rablip"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    # What stays in full precision where the rest is loaded in 8 or 4 bits; None where nothing would be left.
    full_precision_modules: tuple[str, ...] | None = None
    # `rablip` sets `rablip.hub.push_model` here; a model file itself reaches nothing above it.
    pusher: Callable[..., Any] | None = None
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _no_split_modules = [
        "InstructBlipEncoderLayer",
        "InstructBlipQFormerEmbeddings",
        "InstructBlipQFormerLayer",
        "RablipFusionLayer",
        "T5Block",
    ]

    def __init__(self, config: PreTrainedConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__(config, *inputs, **kwargs)
        self.vision_model = InstructBlipVisionModel._from_config(config.vision_config)
        self.qformer = InstructBlipQFormerModel._from_config(config.qformer_config)
        hidden_size = config.qformer_config.hidden_size
        self.query_tokens = RablipQueryTokens(config.num_query_tokens, hidden_size)
        self.image_slots = RablipImageSlots(config)
        self.fusion = RablipFusion(config)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint of this very class; nothing may be missing, left over or of another shape.

        Args:
            pretrained_model_name_or_path: local folder or Hub id of a checkpoint in safetensors.
            model_args, kwargs: as in `PreTrainedModel.from_pretrained` (`dtype` is "auto" unless given; a
                `quantization_config` concerns the language model only).

        Returns:
            The model in evaluation mode (with loading information when `output_loading_info=True`).

        Raises:
            ValueError: weights are missing, unexpected or of another shape. To start from another class's checkpoint,
                build the model and call `load_trunk`. Or there is nothing to quantise.
            OSError: there is no safetensors file, or it is truncated or damaged.
        """
        return cls._load_whole(pretrained_model_name_or_path, *model_args, **kwargs)

    @classmethod
    def _load_whole(
        cls,
        source: Any,
        *model_args: Any,
        new_modules: tuple[str, ...] = (),
        unused_modules: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> Any:
        """`PreTrainedModel.from_pretrained` that lets no weight be missing or left over but those of these modules."""
        wants_info = kwargs.pop("output_loading_info", False)
        kwargs.setdefault("use_safetensors", True)
        kwargs.setdefault("dtype", "auto")
        if kwargs.get("quantization_config") is not None:
            kwargs["quantization_config"] = cls._spare_full_precision(kwargs["quantization_config"])
        # Mismatched shapes are reported with the other faults below instead of in a log line.
        kwargs["ignore_mismatched_sizes"] = True
        try:
            model, info = super().from_pretrained(source, *model_args, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise OSError(
                f"The weights in {source} are truncated or damaged ({error}). Copy or download the checkpoint again."
            ) from error
        faults = {name: sorted(map(str, info.get(f"{name}_keys") or ())) for name in _KEY_FAULTS}
        for name, excused in (("missing", new_modules), ("unexpected", unused_modules)):
            faults[name] = [key for key in faults[name] if key.split(".")[0] not in excused]
        _raise_for_keys(
            f"{source} is no complete checkpoint of {cls.__name__}",
            faults,
            "Load it with the class that saved it, or build the model and warm-start it with `load_trunk`.",
        )
        return (model, info) if wants_info else model

    def load_adapter(self, peft_model_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a PEFT adapter into the model; what transformers only reports is an error here.

        Args:
            peft_model_id: local folder or Hub id of the adapter.
            args, kwargs: as in `PreTrainedModel.load_adapter`.

        Raises:
            ValueError: keys of the adapter are missing or unexpected.
        """
        info = super().load_adapter(peft_model_id, *args, **kwargs)
        faults = {name: sorted(map(str, getattr(info, f"{name}_keys", None) or ())) for name in _KEY_FAULTS}
        advice = "Train or download it again."
        if any(".modules_to_save." in key for key in faults["missing"]) and faults["unexpected"]:
            advice = (
                "Where these are parts that the adapter holds whole, transformers is older than 5.18 and cannot load "
                "it so: update it, or use `rablip.training.load_adapter` or `merge_adapter`."
            )
        _raise_for_keys(f"{peft_model_id} is no complete adapter of this model", faults, advice)
        return info

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:
        """Push weights, configuration and a generated card; with `processor=` also that one.

        Args:
            repo_id: `owner/name`.
            kwargs: as in `rablip.hub.push_model` (`processor`, `fields`, `with_code`, `private`, `revision`, ...).
                Code that travelled with a checkpoint comes without rablip's hub; then those of transformers.

        Returns:
            What huggingface_hub says of the commit.
        """
        if self.pusher is None:
            return super().push_to_hub(repo_id, **kwargs)
        return self.pusher(repo_id, **kwargs)

    @property
    def dtype(self) -> torch.dtype:
        """The widest precision of the weights: what a checkpoint loads with, since trained weights are not rounded.

        What transformers keeps in fp32 beside fp16 weights in any case (T5's `wo`) does not count.
        """
        # Parts of names, as transformers compares them.
        kept = self._keep_in_fp32_modules or ()
        found = {
            parameter.dtype
            for name, parameter in self.named_parameters()
            if parameter.is_floating_point() and parameter.itemsize > 1 and not any(part in name for part in kept)
        }
        return functools.reduce(torch.promote_types, found) if found else super().dtype

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Save weights and configuration, always under rablip's own names, whatever checkpoint the weights come from.

        Args:
            save_directory: the folder.
            kwargs: as in `PreTrainedModel.save_pretrained`.
        """
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(save_directory, **kwargs)

    @classmethod
    def _spare_full_precision(cls, config: Any) -> Any:
        """A copy of a quantisation's configuration that leaves out what is to stay in full precision."""
        if cls.full_precision_modules is None:
            raise ValueError(
                f"{cls.__name__} has no language model, and its vision tower and Q-Former stay in full precision: "
                "there is nothing to quantise. Leave out `quantization_config`, or load it with dtype=torch.bfloat16."
            )
        config = copy.deepcopy(config)
        field = "llm_int8_skip_modules" if hasattr(config, "llm_int8_skip_modules") else "modules_to_not_convert"
        if not hasattr(config, field):
            raise TypeError(
                f"Got a `quantization_config` of type {type(config).__name__}, which cannot leave modules out. Give a "
                "BitsAndBytesConfig, or another one with `modules_to_not_convert`."
            )
        setattr(config, field, [*(getattr(config, field) or ()), *cls.full_precision_modules])
        return config

    @classmethod
    def _convert(
        cls,
        source: Any,
        configure: Callable[..., dict[str, Any]],
        *,
        config_fields: dict[str, Any] | None,
        key_mapping: dict[str, str],
        new_modules: tuple[str, ...],
        unused_modules: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> Any:
        """`_load_whole` of another model class's checkpoint; `configure` makes fields of ours of its configuration."""
        names = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
        foreign = AutoConfig.from_pretrained(source, **{name: kwargs[name] for name in names if name in kwargs})
        return cls._load_whole(
            source,
            config=cls.config_class(**configure(foreign, **(config_fields or {}))),
            key_mapping=key_mapping,
            new_modules=new_modules,
            unused_modules=unused_modules,
            **kwargs,
        )

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        if getattr(module, "starts_at_zero", False):
            # Before super(): a weight is initialised once, and children come before the module that holds them.
            for parameter in module.parameters(recurse=False):
                init.zeros_(parameter)
            return
        super()._init_weights(module)
        if isinstance(module, RablipQueryTokens):
            # Equal queries would stay equal for ever, so they do not start at zero.
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
        elif isinstance(module, RablipLearnedScalar):
            init.constant_(module.weight, module.initial_value)

    def get_input_embeddings(self) -> torch.nn.Module:
        """The Q-Former's word embeddings (the generator gives its language model's)."""
        return self.qformer.get_input_embeddings()

    def set_input_embeddings(self, value: torch.nn.Module) -> None:
        """Replace the embeddings that `get_input_embeddings` returns."""
        self.qformer.set_input_embeddings(value)

    def encode_images(self, pixel_values: torch.Tensor, image_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Run the vision tower over every picture of a batch.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_images, 3, height, width)`, or
                `(batch_size, 3, height, width)` for one picture each): prepared pictures.
            image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = there is a picture;
                empty slots are not computed.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens, vision_hidden_size)`; zeros in
            empty slots.

        Raises:
            ValueError: `pixel_values` has neither 4 nor 5 dimensions.
        """
        if pixel_values.dim() == 4:
            pixel_values = pixel_values.unsqueeze(1)
        if pixel_values.dim() != 5:
            raise ValueError(
                f"`pixel_values` has shape {tuple(pixel_values.shape)}; expected (batch_size, num_images, 3, height, "
                "width) as the processor gives it."
            )
        batch_size, num_images = pixel_values.shape[:2]
        flat = pixel_values.flatten(0, 1)
        if image_mask is None:
            features = self._look(flat)
            return features.unflatten(0, (batch_size, num_images))
        present = image_mask.reshape(-1).bool()
        shape = (batch_size * num_images, self.config.num_image_tokens, self.config.vision_config.hidden_size)
        scattered = torch.zeros(shape, dtype=self.vision_model.dtype, device=flat.device)
        if not present.any():
            return scattered.unflatten(0, (batch_size, num_images))
        features = self._look(flat[present]).to(scattered.dtype)
        return scattered.masked_scatter(present[:, None, None], features).unflatten(0, (batch_size, num_images))

    def _look(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """States of the tower. One in half precision computes in it, as for cached features, not in autocast's."""
        narrow = self.vision_model.dtype in (torch.bfloat16, torch.float16)
        with torch.autocast(pixel_values.device.type, enabled=False) if narrow else contextlib.nullcontext():
            return self.vision_model(pixel_values=pixel_values).last_hidden_state

    def extract(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        fuse: bool = True,
        apart: bool = False,
    ) -> RablipTrunkOutput:
        """Question-instructed visual extraction and fusion.

        A batch gives what its rows give alone: an input without pictures is encoded by the Q-Former's text branch
        whatever the other rows hold.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): Q-Former tokens.
            attention_mask (`torch.LongTensor` of shape `(batch_size, seq_len)`, *optional*): 1 = keep.
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_images, 3, height, width)`, *optional*):
                pictures; exclusive with `image_embeds`.
            image_embeds (`torch.FloatTensor` of shape `(batch_size, num_images, num_image_tokens,
                vision_hidden_size)`, *optional*): features of the frozen tower, as `encode_images` gives them.
            image_mask (`torch.LongTensor` of shape `(batch_size, num_images)`, *optional*): 1 = there is a picture.
            fuse (`bool`, *optional*): whether the states go through the fusion module; False gives the Q-Former's own.
            apart (`bool`, *optional*): whether queries and text pass through the Q-Former without seeing each other,
                as in BLIP-2's contrastive objective; they meet in the fusion module.

        Returns:
            [`RablipTrunkOutput`].

        Raises:
            ValueError: both kinds of pictures are given, or neither text nor pictures.
        """
        if pixel_values is not None and image_embeds is not None:
            raise ValueError("Got both `pixel_values` and `image_embeds`; give the pictures in one form only.")
        if pixel_values is not None:
            image_embeds = self.encode_images(pixel_values, image_mask)
        if input_ids is None and image_embeds is None:
            raise ValueError("Got neither `input_ids` nor pictures; there is nothing to encode.")
        if input_ids is not None and attention_mask is None:
            attention_mask = torch.ones_like(input_ids)

        if image_embeds is None:
            num_queries = 0
            states, mask = self._read_text(input_ids, attention_mask), attention_mask
        else:
            batch_size, num_images = image_embeds.shape[:2]
            if image_mask is None:
                image_mask = torch.ones((batch_size, num_images), dtype=torch.long, device=image_embeds.device)
            image_tokens, image_token_mask = self._lay_out(image_embeds, image_mask)
            queries = self.query_tokens(batch_size)
            num_queries = queries.shape[1]
            has_picture = image_mask.bool().any(dim=1, keepdim=True).long()
            image_tokens, has_picture = self._look_at_nothing(image_tokens, has_picture)
            mask = has_picture.expand(-1, num_queries)
            if input_ids is not None:
                mask = torch.cat([mask, attention_mask.to(mask.dtype)], dim=1)
            joined_ids = None if apart else input_ids
            seen = mask[:, :num_queries] if apart else mask
            # A row with neither pictures nor text has nothing to attend to; its states are never read, but they
            # must be finite, so it attends to its own queries.
            attendable = torch.where(seen.any(dim=1, keepdim=True), seen, torch.ones_like(seen))
            states = self.qformer(
                input_ids=joined_ids,
                attention_mask=attendable,
                query_embeds=queries,
                encoder_hidden_states=image_tokens,
                encoder_attention_mask=image_token_mask,
            ).last_hidden_state
            if apart and input_ids is not None:
                states = torch.cat([states, self._read_text(input_ids, attention_mask)], dim=1)
        if fuse:
            states = self.fusion(states, mask, num_queries=num_queries)
        return RablipTrunkOutput(
            hidden_states=states, attention_mask=mask, num_queries=num_queries, image_embeds=image_embeds
        )

    def _lay_out(self, image_embeds: torch.Tensor, image_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens and mask of `image_slots`; tower, slots and Q-Former may each be in a precision of its own."""
        image_embeds = image_embeds.to(self.image_slots.slot_embeddings.weight.dtype)
        image_tokens, mask = self.image_slots(image_embeds, image_mask)
        return image_tokens.to(self.qformer.embeddings.layernorm.weight.dtype), mask

    def _look_at_nothing(
        self, image_tokens: torch.Tensor, has_picture: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What rows without pictures show to the queries, and which rows count as having one: as given here."""
        return image_tokens, has_picture

    def _read_text(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """States of the Q-Former's text branch; finite also where a row has no text."""
        attendable = torch.where(attention_mask.any(dim=1, keepdim=True), attention_mask, 1)
        return self.qformer(input_ids=input_ids, attention_mask=attendable).last_hidden_state

    def freeze_vision_tower(self) -> None:
        """Freeze the vision tower, as every stage after its own pre-training does."""
        self.vision_model.requires_grad_(False)

    def load_trunk(self, source: RablipPreTrainedModel) -> list[str]:
        """Warm start: copy every weight that `source` has under the same name and shape.

        A source with fewer image slots fills the first ones of this model; the others keep their own values, which add
        nothing until they are trained.

        Args:
            source: a model of any rablip class.

        Returns:
            `list[str]`: the names of this model's weights that `source` does not give, i.e. the ones that keep their
            own values and still have to be trained.

        Raises:
            ValueError: a weight has the same name but another shape.
        """
        own, given = self.state_dict(), dict(source.state_dict())
        for name in own.keys() & given.keys():
            if name.startswith("image_slots.") and given[name].shape[1:] == own[name].shape[1:]:
                missing = own[name][len(given[name]) :]
                given[name] = torch.cat([given[name].to(missing), missing])
            if own[name].shape != given[name].shape:
                raise ValueError(
                    f"`{name}` has shape {tuple(own[name].shape)} here and {tuple(given[name].shape)} in the given "
                    f"{type(source).__name__}; warm starts need the same trunk configuration."
                )
        self.load_state_dict({name: given[name] for name in own.keys() & given.keys()}, strict=False)
        return sorted(own.keys() - given.keys())


__all__ = ["RablipPreTrainedModel", "RablipTrunkOutput"]
