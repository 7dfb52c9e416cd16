"""A handful of drawn items and questions, with everything that an evaluation needs and no generator behind it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image

from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample

COLORS = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (20, 160, 60), "yellow": (235, 215, 40)}


def png(color: tuple[int, int, int], stripe: int) -> ImageRef:
    """A filled square with one stripe, so that every picture differs."""
    image = Image.new("RGB", (16, 16), color)
    image.paste((255, 255, 255), (stripe % 15, 0, stripe % 15 + 1, 16))
    data = io.BytesIO()
    image.save(data, format="PNG")
    return ImageRef(data=data.getvalue())


@dataclass
class SmallWorld:
    """Items and questions as a world has them."""

    items: list[KnowledgeItem] = field(default_factory=list)
    questions: list[QuestionExample] = field(default_factory=list)
    seed: int = 0
    num_entities: int = 0
    split: str = "test"


def make_small_world(num_entities: int = 8) -> SmallWorld:
    """Per entity a picture, a boat (picture and text) and a fact; questions of five kinds."""
    world = SmallWorld(num_entities=num_entities)

    def ask(name, question, answers, hops, kind, modality, visual_only=False, images=()):
        positive = [gold for hop in hops for gold in hop]
        metadata = {"kind": kind, "attribute": kind, "hops": hops, "evidence_modality": modality}
        metadata["visual_only"] = visual_only
        world.questions.append(
            QuestionExample(
                id=name, question=question, answers=answers, positive_ids=positive, images=images, metadata=metadata
            )
        )

    for i in range(num_entities):
        name = f"{'abcdefgh'[i % 8]}or {'klmnop'[i % 6]}ale {i}"
        color = list(COLORS)[i % 4]
        world.items += [
            KnowledgeItem(id=f"pic{i}", image=png(COLORS[color], i), title=name, caption=f"{name} in Bree"),
            KnowledgeItem(id=f"boat{i}", image=png(COLORS[color], i + 8), title=name, text=f"It carries {300 + i}."),
            KnowledgeItem(id=f"year{i}", title=name, text=f"{name} was founded in {1700 + i}."),
        ]
        ask(f"color{i}", f"What color is {name}?", [color], [[f"pic{i}"]], "color", "image")
        ask(f"year{i}", f"When was {name} founded?", [str(1700 + i)], [[f"year{i}"]], "text", "text")
        ask(f"load{i}", "How much?", [str(300 + i)], [[f"boat{i}"]], "text", "image_text", visual_only=True)
        hops = [[f"pic{i}"], [f"year{i}"]]
        ask(f"two{i}", f"When was the {color} one?", [str(1700 + i)], hops, "two_hop", "text", visual_only=True)
        ask(
            f"shown{i}",
            "Which place is this?",
            ["Bree"],
            [[f"pic{i}"]],
            "question_picture",
            "image",
            images=[png(COLORS[color], i + 3)],
        )
    ask("none", "Who built nothing?", [], [], "unanswerable", "text")
    return world
