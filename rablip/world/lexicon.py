"""The closed word lists of the world: made-up names, and every value an attribute or a text fact can take."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

__all__ = [
    "BOAT_ATTRIBUTES",
    "BUILDERS",
    "BUILDING_ATTRIBUTES",
    "COLORS",
    "FIRST_NAMES",
    "LOADS",
    "MARKS",
    "NUMBER_WORDS",
    "OBJECTS",
    "PLACES",
    "ROOF_SHAPES",
    "SECOND_NAMES",
    "SPLITS",
    "YEARS",
    "names_of_split",
    "split_of_name",
    "world_vocabulary",
]

FIRST_NAMES: tuple[str, ...] = tuple(
    """
    Melbald Nulis Grarath Trolock Drervald Valmock Pamor Tredath Furock Lurvar Drulmald Griris Rirdock Lurdom
    Silmen Drulbar Merdath Braskis Vivey Sarin Taley Bovar Wardor Griney Holbun Tristath Denel Gidor Fondom
    Thurvald Broskald Trolbath Pardald Mulen Drilmor Delmath Noren Tordun Lanen Mirdey Lastin Thinom Hundis Melmel
    Drerdel Perdar Polbey Belmun Tinis Trelor Zandey Fomel Bimin Theskock Fastom Sundath Thendar Thulun Gular
    Drulom Dovock Thundel Laskar Drordar
    """.split()
)

SECOND_NAMES: tuple[str, ...] = tuple(
    """
    Holti Thampo Rudeo Mecko Bofti Sild Pofto Theck Huska Dispo Bruska Komba Rento Bromba Karn Kecko Sarno Wolt
    Thilda Drolto Brolta Larvo Thomba Lunga Koft Bilda Thunga Secki Telki Thispa Hofta Narna Darvi Tharvo Brunga
    Gispi Grofta Dungo Helk Famp Dosta Wampo Tolto Warva Brenti Tholt Drampi Trarn Zelka Tisp Somb Thusk Kudea
    Hildi Tenti Bungo Grarvi Lildo Sungi Kampa Greck Drildo Pispa Busko
    """.split()
)

PLACES: tuple[str, ...] = tuple(
    """
    Kilham Pulmere Rilholm Dranby Hisdale Menham Bomdale Gralham Surholm Tamby Gosmere Penven Trolby Zelstead
    Thomstead Furstead Dendale Dirmere Kurford Bronmoor Hosven Rilby Thaswick Dralholm Thurham Kirven Bonford
    Nesford Grandale Hinwick Ramstead Zorham Brolven Fosmoor Ninstead Henmoor Drasstead Wurwick Granmere Monby
    """.split()
)

BUILDERS: tuple[str, ...] = tuple(
    """
    Willey Brokick Dolwin Tredmont Detman Ridman Ranous Notlow Netwin Grandor Viter Falmont Folous Widmont Gurson
    Drotley Lelick Makwin Dudmont Thetard Brudlow Hotard Setous Drarard Brelard Pelson Warick Senmont Wurard
    Morwin Drikwin Venard Kidous Madlow Zotmont Narick Pillard Thorer Borley Wudwin Gronous Virwin Grallow Dritlow
    Dratmont Drinson Ranley Thetley Tririck Thenman Talman Thilous Bralwin Thetick Gonard Grulick Drulman Brilmont
    Madard Gritard
    """.split()
)

YEARS: tuple[str, ...] = tuple(str(year) for year in range(1700, 1800))
LOADS: tuple[str, ...] = tuple(str(barrels) for barrels in range(110, 910, 10))

COLORS: tuple[str, ...] = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
MARKS: tuple[str, ...] = ("star", "moon", "cross", "heart", "ring", "square", "diamond", "arrow")
ROOF_SHAPES: tuple[str, ...] = ("pointed", "flat", "round", "stepped", "slanted")
OBJECTS: tuple[str, ...] = ("well", "cart", "bench", "fence", "sheep", "tent")
NUMBER_WORDS: tuple[str, ...] = ("one", "two", "three", "four")

BUILDING_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "wall_color": COLORS,
    "roof_color": COLORS,
    "roof_shape": ROOF_SHAPES,
    "num_windows": NUMBER_WORDS,
    "wall_mark": MARKS,
    "tree_side": ("left", "right"),
    "sky": ("day", "night"),
    "object": OBJECTS,
}
BOAT_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "hull_color": COLORS,
    "sail_color": COLORS,
    "num_sails": NUMBER_WORDS[:3],
    "sail_mark": MARKS,
}

SPLITS: tuple[str, ...] = ("train", "validation", "test")
_FUNCTION_WORDS = (
    "A An Boat Does How In Is It The What Who a an and at barrels boat building built by carries carry color day does "
    "founded front has have hull in is many mark night no of on or place right roof sail sails shape stands the this "
    "tree wall was what which window windows with year yes"
)


def split_of_name(name: str) -> str:
    """The one split a name belongs to, whatever the seed: 45 % train, 10 % validation, 45 % test.

    Example:
        >>> split_of_name("Melbald Holti") in SPLITS
        True
    """
    share = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big") / 2**32
    if share < 0.45:
        return "train"
    return "validation" if share < 0.55 else "test"


@cache
def names_of_split(split: str) -> tuple[str, ...]:
    """All two-word names of one split, in a fixed order.

    Raises:
        ValueError: when there is no such split.

    Example:
        >>> len(names_of_split("test")) >= 1500
        True
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    names = (f"{first} {second}" for first in FIRST_NAMES for second in SECOND_NAMES)
    return tuple(name for name in names if split_of_name(name) == split)


def world_vocabulary() -> tuple[str, ...]:
    """Every word the world's texts, captions, questions, answers and descriptions can hold, sorted.

    It is the same for all splits and seeds, so that a tokenizer built from it has one token for every word.

    Example:
        >>> {"red", "three", "1743", "340", "stands"} <= set(world_vocabulary())
        True
    """
    words = set(_FUNCTION_WORDS.split())
    for values in (FIRST_NAMES, SECOND_NAMES, PLACES, BUILDERS, YEARS, LOADS):
        words.update(values)
    for attributes in (BUILDING_ATTRIBUTES, BOAT_ATTRIBUTES):
        for values in attributes.values():
            words.update(values)
    return tuple(sorted(words))
