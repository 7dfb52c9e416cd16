"""From public checkpoints to model folders of rablip, each with its processor, and back to the release's form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .snapshots import is_hub_name

if TYPE_CHECKING:
    import torch

    from .modeling_rablip import RablipForConditionalGeneration
    from .processing import RablipProcessor, RablipRetrieverProcessor

__all__ = [
    "convert_blip2_itm",
    "convert_instructblip",
    "convert_official",
    "export_official",
    "make_blip2_processor",
    "make_instructblip_processor",
    "read_state_dict",
]

_OFFICIAL_WEIGHTS = "t5_model.safetensors"
_LEAST_TORCH = (2, 10)  # earlier ones have had ways around weights_only


def convert_instructblip(source: str | Path, out: str | Path, *, max_images: int = 2, **kwargs: Any) -> Path:
    """Make a generator of an InstructBLIP checkpoint.

    Args:
        source: local folder or Hub id of any InstructBLIP checkpoint with its processor.
        out: the model folder; the generator goes into its `generator/`.
        max_images: pictures of one question and its evidence together.
        kwargs: as in `from_pretrained` (`dtype`, `revision`, `token`, ...).

    Returns:
        The generator's folder.

    Raises:
        TypeError: the source is of another kind of model.
        ValueError: it lacks weights, or has some that are not used.
        FileExistsError: there is a generator already.
    """
    from .modeling_rablip import RablipForConditionalGeneration

    folder = _new_part(out, "generator")
    processor = make_instructblip_processor(source, max_images=max_images, **_only_hub(kwargs))
    model = RablipForConditionalGeneration.from_instructblip(
        source, config_fields={"max_images": max_images}, **kwargs
    )
    return _save(folder, model, processor, source)


def convert_blip2_itm(source: str | Path, out: str | Path, *, reranker: bool = False, **kwargs: Any) -> list[Path]:
    """Make a retriever, and on request a re-ranker, of BLIP-2's image-text matching.

    Args:
        source: local folder or Hub id of a `Blip2ForImageTextRetrieval` with its processor.
        out: the model folder; the parts go into its `retriever/` and `reranker/`.
        reranker: whether to make a re-ranker too; BLIP-2's judges pictures only.
        kwargs: as in `from_pretrained` (`dtype`, `revision`, `token`, ...).

    Returns:
        The folders made.

    Raises:
        As `convert_instructblip`.
    """
    from .modeling_rablip import RablipReranker, RablipRetriever

    classes: dict[str, Any] = {"retriever": RablipRetriever} | ({"reranker": RablipReranker} if reranker else {})
    folders = {name: _new_part(out, name) for name in classes}
    processor = make_blip2_processor(source, **_only_hub(kwargs))
    return [
        _save(folders[name], model_class.from_blip2_itm(source, **kwargs), processor, source)
        for name, model_class in classes.items()
    ]


def convert_official(
    file: str | Path,
    out: str | Path,
    *,
    language_model: str | Path,
    qformer: str | Path,
    num_vision_heads: int = 16,
    dtype: torch.dtype | str = "float32",
) -> Path:
    """Make a generator of a checkpoint file of the public RA-BLIP release.

    Args:
        file: the state dict, `.pth` (read with `weights_only=True`) or `.safetensors`.
        out: the model folder; the generator goes into its `generator/`.
        language_model: local folder or Hub id whose configuration and tokenizer the release used, such as
            `google/flan-t5-xl`; its weights are not read.
        qformer: local folder or Hub id of the Q-Former's BERT (`bert-base-uncased`); its weights are not read.
        num_vision_heads: heads of the vision tower; 16 is ViT-g's.
        dtype: in which the weights are kept; the release computes in float32 but for its bfloat16 language model.

    Returns:
        The generator's folder.

    Raises:
        ValueError: a key is unknown, missing or of another shape; all are named.
        FileExistsError: there is a generator already.
    """
    from transformers import AutoConfig, AutoTokenizer, BlipImageProcessorPil

    from .modeling_rablip import RablipForConditionalGeneration
    from .modeling_rablip.conversion_official_rablip import configure_from_official
    from .processing import RablipProcessor

    folder = _new_part(out, "generator")
    state = read_state_dict(file)
    text_config = AutoConfig.from_pretrained(language_model)
    tokenizer, qformer_tokenizer = (AutoTokenizer.from_pretrained(source) for source in (language_model, qformer))
    # The release adds one token to BERT's, which its word embeddings have a row for.
    qformer_tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    config: Any = configure_from_official(
        state,
        qformer_config=AutoConfig.from_pretrained(qformer).to_dict(),
        text_config=text_config,
        image_token_index=len(tokenizer),
        num_vision_heads=num_vision_heads,
    )
    size = config.vision_config.image_size
    processor = RablipProcessor(
        BlipImageProcessorPil(size={"height": size, "width": size}),
        tokenizer,
        qformer_tokenizer,
        num_query_tokens=config.num_query_tokens,
        max_images=config.max_images,
        queries_without_pictures=True,
        **_token_limits(config),
    )
    model = RablipForConditionalGeneration.from_official_state_dict(state, config, dtype=dtype)
    return _save(folder, model, processor, None)


def export_official(model: RablipForConditionalGeneration | str | Path, out: str | Path) -> Path:
    """Write a converted generator in the release's form: its keys, the language model in bfloat16, the rest float32.

    Args:
        model: a generator of `convert_official` or its folder; or one trained from it, but for what the release lacks.
        out: the folder; the file is `t5_model.safetensors`, since rablip writes no pickle. The release reads it by
            `model.load_state_dict(safetensors.torch.load_file(...), strict=False)`.

    Returns:
        The file.

    Raises:
        ValueError: a part was trained that the release has no place for.
    """
    import torch
    from safetensors.torch import save_file

    from .modeling_rablip import RablipForConditionalGeneration
    from .modeling_rablip.conversion_official_rablip import restore_official_state_dict

    loaded = RablipForConditionalGeneration.from_pretrained(model) if isinstance(model, (str, Path)) else model
    state = restore_official_state_dict(loaded.state_dict())
    dtypes = {True: torch.bfloat16, False: torch.float32}
    file = Path(out) / _OFFICIAL_WEIGHTS
    file.parent.mkdir(parents=True, exist_ok=True)
    # Copies, since a file of safetensors holds no tensor twice and T5's embeddings are one.
    kept = {key: value.to(dtypes[key.startswith("t5_model.")], copy=True) for key, value in state.items()}
    save_file({key: value.contiguous() for key, value in kept.items()}, file)
    return file


def read_state_dict(file: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict: safetensors, or a PyTorch file whose pickle may hold nothing but tensors.

    Args:
        file: `.safetensors`, or anything that `torch.save` wrote; LAVIS's files keep the state dict under "model".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else than named tensors, or torch is too old to read it safely.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        return load_file(path)
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _LEAST_TORCH:
        raise ValueError(
            f"torch {torch.__version__} does not read pickled weights safely; 2.10 or newer is needed for {path}. "
            "Update torch, or convert the file to safetensors elsewhere."
        )
    try:
        # The one place that reads a pickle, and only of a file that the user names.
        content = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:  # pickle and zip faults have no common class
        raise ValueError(f"{path} cannot be read as weights ({type(error).__name__}: {error}).") from error
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    named = isinstance(content, Mapping) and all(isinstance(key, str) for key in content)
    if not named or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{path} is no state dict: it holds something else than named tensors.")
    return dict(content)


def make_instructblip_processor(source: str | Path, *, max_images: int = 2, **kwargs: Any) -> RablipProcessor:
    """The processor that belongs to `RablipForConditionalGeneration.from_instructblip` of the same checkpoint.

    Args:
        source: local folder or Hub id of an InstructBLIP checkpoint with its processor.
        max_images: most pictures in one row; the model's.
        kwargs: `revision`, `token`, ...

    Raises:
        OSError: the checkpoint has no tokenizer for the Q-Former.
    """
    from transformers import AutoConfig, AutoTokenizer, BlipImageProcessorPil

    from .processing import RablipProcessor

    config = AutoConfig.from_pretrained(source, **kwargs)
    try:
        qformer_tokenizer = AutoTokenizer.from_pretrained(source, subfolder="qformer_tokenizer", **kwargs)
    except (OSError, ValueError) as error:
        raise OSError(f"{source} has no usable tokenizer in its sub-folder 'qformer_tokenizer': {error}") from error
    return RablipProcessor(
        BlipImageProcessorPil.from_pretrained(source, **kwargs),
        AutoTokenizer.from_pretrained(source, **kwargs),
        qformer_tokenizer,
        num_query_tokens=config.num_query_tokens,
        max_images=max_images,
        causal_lm=not config.text_config.is_encoder_decoder,
        **_token_limits(config),
    )


def make_blip2_processor(source: str | Path, **kwargs: Any) -> RablipRetrieverProcessor:
    """The processor that belongs to `from_blip2_itm` of the same checkpoint.

    Args:
        source: local folder or Hub id of a `Blip2ForImageTextRetrieval` with its processor.
        kwargs: `revision`, `token`, ...
    """
    from transformers import AutoConfig, AutoTokenizer, BlipImageProcessorPil

    from .processing import RablipRetrieverProcessor

    # A pair may have as many tokens as question and item together, and no more than the Q-Former has positions.
    num_positions = AutoConfig.from_pretrained(source, **kwargs).qformer_config.max_position_embeddings
    max_question_tokens = min(64, num_positions // 3)
    return RablipRetrieverProcessor(
        BlipImageProcessorPil.from_pretrained(source, **kwargs),
        AutoTokenizer.from_pretrained(source, **kwargs),
        max_question_tokens=max_question_tokens,
        max_knowledge_tokens=min(128, num_positions - max_question_tokens),
        reads_empty_texts=False,
    )


def _token_limits(config: Any) -> dict[str, Any]:
    """Limits of the processor that the Q-Former and the language model have positions for."""
    answer = 64
    limits = {"max_instruction_tokens": min(128, config.qformer_config.max_position_embeddings)}
    positions = getattr(config.text_config, "max_position_embeddings", None)
    if positions is None:  # relative positions, such as T5's
        return limits
    answer = min(answer, positions // 4)
    prompt = min(512, positions - answer)
    question = min(128, (prompt - config.num_query_tokens) // 2)
    return {**limits, "max_answer_tokens": answer, "max_prompt_tokens": prompt, "max_question_tokens": question}


def _only_hub(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = ("cache_dir", "local_files_only", "revision", "token")
    return {name: kwargs[name] for name in names if name in kwargs}


def _new_part(out: str | Path, name: str) -> Path:
    folder = Path(out) / name
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something already. Remove it, or name another folder.")
    return folder


def _save(folder: Path, model: Any, processor: Any, source: str | Path | None) -> Path:
    from huggingface_hub import metadata_save

    from .answering.checking import check_processor

    check_processor(folder.name, model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if source is not None and is_hub_name(source) and not Path(source).is_dir():
        # For the card of a later push, which could not know it any more.
        metadata_save(folder / "README.md", {"base_model": str(source)})
    return folder
