"""Encyclopedic-VQA: the questions of its CSV files, with iNaturalist and Landmarks pictures, and its knowledge base.

The files have no ids: a question is `test-0`, `test-1` and so on, by its row in the file, counted from 0. Metadata:

- `answer`: the raw text; `references`: its alternatives, split at `|`, as the official metric takes them (the parts of
  a multi_answer reference stay joined by `&&`).
- `question_type`: templated, automatic, multi_answer or 2_hop; also the category.
- `wikipedia_urls`, `evidence_section_ids`: one entry, two of a 2_hop question; an unknown section is None.
- `hops`: the positive ids of each search: one search, two of a 2_hop question.
- `dataset_name`, `dataset_image_ids` (all pictures of the row), `image_id` (the one of this question).
- `wikipedia_url_used_in_train` (a bool), and as texts `dataset_category_id`, `wikipedia_title`, `evidence`,
  `evidence_section_title`, `question_original`: where the row has them.

Positive ids are those of the knowledge base: the address and section, or the address where items are articles. A
question whose section is not known has no positive section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, report_problem
from .benchmark import Benchmark
from .choices import check_choice
from .csv_rows import iterate_csv_rows
from .encyclopedic_kb import UNITS, read_encyclopedic_kb
from .fields import required_text
from .opening import existing_file, existing_folder
from .picture_files import find_picture, read_picture_map, row_problem

__all__ = ["QUESTION_TYPES", "SETTINGS", "SPLITS", "open_encyclopedic_vqa"]

SPLITS = ("train", "val", "test")
SETTINGS = ("full",)
QUESTION_TYPES = ("templated", "automatic", "multi_answer", "2_hop")
_COLUMNS = ("question", "answer", "dataset_image_ids", "dataset_name", "question_type", "wikipedia_url")
_SECTION = "evidence_section_id"
_TEXTS = ("dataset_category_id", "wikipedia_title", "evidence", "evidence_section_title", "question_original")
_KNOWLEDGE = "encyclopedic_kb_wiki.json"
_MAPS = ("train_id2name.json", "val_id2name.json")
_WHOLE = re.compile(r"(\d{1,9})(\.0+)?")
_LANDMARK = re.compile(r"[0-9A-Za-z_-]{3,}")


def open_encyclopedic_vqa(
    root: str | Path,
    *,
    split: str,
    setting: str = "full",
    units: str = "section",
    question_types: Iterable[str] | None = None,
    each_picture: bool = False,
    images: str | Path | None = None,
    picture_map: str | Path | Iterable[str | Path] | None = None,
    knowledge: str | Path | None = None,
    pictures: bool = True,
) -> Benchmark:
    """Open a split of Encyclopedic-VQA.

    Args:
        root: the folder of `train.csv`, `val.csv` and `test.csv`.
        split: "train", "val" or "test".
        setting: "full"; the questions have no candidates of their own.
        units: what is one knowledge item and one positive: "section" or "article".
        question_types: only questions of these types, as ("templated", "automatic", "multi_answer") for what papers
            call single-hop; None for all.
        each_picture: True gives a question once for each of its up to five pictures, as `test-0#1`; False once, with
            the first picture.
        images: the folder that holds `landmarks/` (`a/b/c/abcd.jpg`) and `inaturalist/`; the root by default.
        picture_map: files that map iNaturalist ids to paths in `inaturalist/` (a `.json` object, or the data set's
            own annotation files); `train_id2name.json` and `val_id2name.json` of the root by default.
        knowledge: the knowledge base; `encyclopedic_kb_wiki.json` of the root by default, where it is there.
        pictures: False leaves the pictures out, as for scoring predictions that were made elsewhere.

    Returns:
        The benchmark. Malformed rows and missing pictures are problems; questions that have one are left out.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is no such split, setting, unit or question type.

    Example:
        >>> import tempfile
        >>> root, url = Path(tempfile.mkdtemp()), "https://en.wikipedia.org/wiki/Harbor"
        >>> columns = "question,answer,dataset_image_ids,dataset_name,question_type,wikipedia_url,evidence_section_id"
        >>> _ = (root / "test.csv").write_text(f"{columns}\\nWho?,Ann|Anne,12,inaturalist,templated,{url},3")
        >>> (example,) = open_encyclopedic_vqa(root, split="test", pictures=False).questions()
        >>> example.id, example.answers, example.positive_ids
        ('test-0', ('Ann', 'Anne'), ('https://en.wikipedia.org/wiki/Harbor#3',))
    """
    check_choice("split of Encyclopedic-VQA", split, SPLITS)
    check_choice("setting of Encyclopedic-VQA", setting, SETTINGS)
    check_choice("unit of Encyclopedic-VQA's knowledge base", units, UNITS)
    wanted_types = QUESTION_TYPES if question_types is None else tuple(question_types)
    for name in wanted_types:
        check_choice("question type of Encyclopedic-VQA", name, QUESTION_TYPES)
    folder = existing_folder(root, f"It holds {split}.csv.")
    image_folder = existing_folder(folder if images is None else images, "It holds landmarks/ and inaturalist/.")
    files = {"questions": existing_file([folder / f"{split}.csv"], "It comes from Encyclopedic-VQA's page.")}
    given = [picture_map] if isinstance(picture_map, (str, Path)) else picture_map
    maps = [path for path in map(folder.joinpath, _MAPS) if path.is_file()] if given is None else map(Path, given)
    files |= {f"picture map {number}": path for number, path in enumerate(maps)}
    if knowledge is not None or (folder / _KNOWLEDGE).is_file():
        chosen = folder / _KNOWLEDGE if knowledge is None else Path(knowledge)
        files["knowledge"] = existing_file([chosen], f"It is {_KNOWLEDGE} of Encyclopedic-VQA's page, unzipped.")

    def questions(problems: list[Problem] | None) -> Iterator[QuestionExample]:
        picture = _picture_finder(files, image_folder) if pictures else None
        rows = iterate_csv_rows(files["questions"], (*_COLUMNS, _SECTION), problems=problems)
        for number, line, row in rows:
            name = f"{split}-{number}"
            try:
                metadata = _metadata(row, split, units)
            except ValueError as error:
                report_problem(Problem(f"line {line} ({name})", str(files["questions"]), str(error)), problems)
                continue
            if metadata["question_type"] not in wanted_types:
                continue
            chosen = metadata["dataset_image_ids"] if each_picture else metadata["dataset_image_ids"][:1]
            for place, image_id in enumerate(chosen):
                try:
                    example = _example(f"{name}#{place}" if each_picture else name, metadata, image_id, row, picture)
                except ValueError as error:
                    report_problem(row_problem(f"line {line} ({name})", files["questions"], error), problems)
                    continue
                yield example

    def items(problems: list[Problem] | None) -> Iterator[KnowledgeItem]:
        return read_encyclopedic_kb(files["knowledge"], units=units, problems=problems)

    return Benchmark(
        name="encyclopedic_vqa",
        split=split,
        setting=setting,
        root=image_folder,
        files=files,
        read_questions=questions,
        read_knowledge=items if "knowledge" in files else None,
    )


def _picture_finder(files: Mapping[str, Path], folder: Path) -> Callable[[str, str], ImageRef]:
    maps = [path for role, path in files.items() if role.startswith("picture map")]
    mapped: dict[str, str] = {}
    if maps:
        wanted = SeenIds()
        for _, _, row in iterate_csv_rows(files["questions"], _COLUMNS, problems=[]):  # reported when it is read
            if row["dataset_name"] == "inaturalist":
                for image_id in row["dataset_image_ids"].split("|"):
                    wanted.add(image_id.strip())
        mapped = read_picture_map(maps, wanted)

    def picture(data_set: str, image_id: str) -> ImageRef:
        if data_set == "inaturalist":
            if image_id not in mapped:
                raise ValueError(f"the iNaturalist picture {image_id} is in no map of ids to paths: give picture_map")
            return ImageRef(path=find_picture(folder, [f"inaturalist/{mapped[image_id]}"]))
        if not _LANDMARK.fullmatch(image_id):
            raise ValueError(f"the Landmarks picture id {image_id!r} must be three or more letters and digits")
        return ImageRef(path=find_picture(folder, [f"landmarks/{'/'.join(image_id[:3])}/{image_id}.jpg"]))

    return picture


def _example(
    name: str,
    metadata: Mapping[str, Any],
    image_id: str,
    row: Mapping[str, str],
    picture: Callable[[str, str], ImageRef] | None,
) -> QuestionExample:
    return QuestionExample(
        id=name,
        question=required_text(row, "question"),
        images=() if picture is None else (picture(metadata["dataset_name"], image_id),),
        answers=tuple(dict.fromkeys(metadata["references"])),
        positive_ids=tuple(dict.fromkeys(name for hop in metadata["hops"] for name in hop)),
        category=metadata["question_type"],
        metadata={**metadata, "image_id": image_id},
    )


def _metadata(row: Mapping[str, str], split: str, units: str) -> dict[str, Any]:
    kind, data_set = row["question_type"], row["dataset_name"]
    if kind not in QUESTION_TYPES:
        raise ValueError(f"question_type must be one of {', '.join(QUESTION_TYPES)}, found {kind!r}")
    if data_set not in ("inaturalist", "landmarks"):
        raise ValueError(f"dataset_name must be inaturalist or landmarks, found {data_set!r}")
    if row.get("encyclopedic_vqa_split", split) != split:
        raise ValueError(f"the row is of the split {row['encyclopedic_vqa_split']!r}, the file of {split!r}")
    references = tuple(row["answer"].split("|"))
    if not all(reference.strip() for reference in references):
        raise ValueError(f"answer has an empty alternative: {row['answer'][:80]!r}")
    image_ids = tuple([image_id.strip() for image_id in row["dataset_image_ids"].split("|")])
    if not all(image_ids):
        raise ValueError(f"dataset_image_ids has an empty id: {row['dataset_image_ids'][:80]!r}")
    num_hops = 2 if kind == "2_hop" else 1
    urls = _parts(row, "wikipedia_url", num_hops)
    if not all(urls) or any("#" in url for url in urls):
        shown = row["wikipedia_url"][:80]
        raise ValueError(f"wikipedia_url must hold {num_hops} address(es) without '#', found {shown!r}")
    sections = [_section(part) for part in _parts(row, _SECTION, num_hops)]
    hops = [_positives(url, section, units) for url, section in zip(urls, sections, strict=True)]
    metadata: dict[str, Any] = {"answer": row["answer"], "references": references, "question_type": kind}
    metadata |= {"wikipedia_urls": tuple(urls), "evidence_section_ids": tuple(sections), "hops": hops}
    metadata |= {"dataset_name": data_set, "dataset_image_ids": image_ids}
    metadata |= {field: row[field] for field in _TEXTS if row.get(field, "").strip()}
    seen = row.get("wikipedia_url_used_in_train", "").strip()
    if seen:
        if seen not in ("True", "False"):
            raise ValueError(f"wikipedia_url_used_in_train must be True or False, found {seen!r}")
        metadata["wikipedia_url_used_in_train"] = seen == "True"
    return metadata


def _parts(row: Mapping[str, str], field: str, count: int) -> list[str]:
    """The values of a field that has one for each hop; an empty field has none for any."""
    parts = [part.strip() for part in row[field].split("|")]
    if parts == [""]:
        return [""] * count
    if len(parts) != count:
        raise ValueError(
            f"{field} must hold {count} value(s), as the question is {row['question_type']}, found {parts}"
        )
    return parts


def _section(part: str) -> int | None:
    if not part:
        return None
    match = _WHOLE.fullmatch(part)
    if match is None:
        raise ValueError(f"{_SECTION} must be a whole number of zero or more, found {part!r}")
    return int(match[1])


def _positives(url: str, section: int | None, units: str) -> list[str]:
    if units == "article":
        return [url]
    return [] if section is None else [f"{url}#{section}"]
