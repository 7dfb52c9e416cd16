"""rablip's own benchmark: a seeded generator of a small multimodal encyclopaedia and of questions about it.

    world = make_world(seed=987, num_entities=600)       # about 2,350 items and 1,800 questions in memory
    world.items, world.questions, world.picture("30000000")
    write_world(world, "folder"); read_world("folder")    # WebQA files + rablip's JSONL

**Entities.** Each is a building with a made-up two-word name, and its boat. A name belongs to one split for ever (a
hash decides), so no seed can leak a test entity into training. An entity gives up to four knowledge items:

- the building, a picture ("image"). Visible: wall color, roof color, roof shape, number of windows, mark on the wall,
  side of the tree, day or night, object in front. Written: the caption "<name> in <place>".
- its boat, a picture with text ("image_text"). Visible: hull color, sail color, number of sails, mark on a sail.
  Written: the caption "Boat of <name>" and the text "It carries 340 barrels."
- two texts: "<name> was founded in 1743." and "<name> was built by <builder>." About 8 % of the entities lack one.

Titles are names. What is visible is in no text, what is written is in no picture, and all values are drawn uniformly
and independently, so that no language prior answers.

**Questions** have one short answer ("red", "three", "yes", "left", "1743", a place, a builder). `category` and
`metadata["kind"]` are WebQA's kinds color, shape (marks), number, YesNo (as many yes as no), choose (left or right, as
many of each), Others and text; and

- two_hop: a description tells which building is meant, a text tells the fact;
- question_picture: the question carries another picture of the building or boat it asks about;
- unanswerable, with `metadata["reason"]`: unknown_name, no_such_picture, missing_fact or unknown_picture.

Other metadata: `attribute` (what is asked), `evidence_modality` (of the item that holds the answer), `visual_only`
(only what is visible tells which picture is meant: a description that fits one picture of the world, or the question's
picture), `hops` (item ids, one list per hop). `negative_ids` are other items of the entity, look-alikes, name-alikes
and an item of another modality.

**Pre-training** (`make_pretraining_split`, `make_reading_rows`, `make_viewing_rows`, `make_look_rows`,
`make_replaced_rows`) gives nameless pictures with full descriptions; and rows whose names (of the train split) and
values are drawn anew in every row: reading comprehension, questions about those pictures, descriptions of one of
several that look almost the same, and questions in which some of the words say what the picture does not show.

**Frozen.** The same arguments give the same texts and pixels everywhere (PNG bytes can differ with the compression
library that Pillow was built with). `WORLD_VERSION` is a hash of what the generator makes; a change of content must
change it, and runs every reported figure again.
"""

from __future__ import annotations

from .files import read_world, write_world
from .knobs import KIND_SHARES, PICTURE_KINDS, QUESTION_KINDS, WorldKnobs
from .lexicon import names_of_split, split_of_name, world_vocabulary
from .looks import make_look_rows
from .pretraining import DescribedPicture, ReadingRow, make_pretraining_split, make_reading_rows
from .replacing import ReplacedRow, make_replaced_rows
from .version import WORLD_VERSION, compute_world_version
from .viewing import make_viewing_rows
from .world import World, make_world

__all__ = [
    "KIND_SHARES",
    "PICTURE_KINDS",
    "QUESTION_KINDS",
    "WORLD_VERSION",
    "DescribedPicture",
    "ReadingRow",
    "ReplacedRow",
    "World",
    "WorldKnobs",
    "compute_world_version",
    "make_look_rows",
    "make_pretraining_split",
    "make_reading_rows",
    "make_replaced_rows",
    "make_viewing_rows",
    "make_world",
    "names_of_split",
    "read_world",
    "split_of_name",
    "world_vocabulary",
    "write_world",
]
