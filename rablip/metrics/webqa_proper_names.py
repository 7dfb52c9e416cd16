"""Common English given names and family names, places, and the titles that stand before a name."""

from __future__ import annotations

__all__ = ["PROPER_NAMES", "TITLES"]

TITLES = frozenset("st saint mr mrs ms dr sir king queen prince princess".split())

# Names that are also common words ("mark", "rose", "bill", "brown", "baker") are left out.
_GIVEN_NAMES = """
aaron adam alan albert alex alexander alfred alice amanda amy andrew angela anna anne anthony arthur barbara ben
benjamin bernard betty brian bruce carl carol caroline catherine charles charlotte chris christopher claire daniel
david dennis diana donald dorothy douglas edward eleanor elizabeth ellen emily emma eric ernest eva florence
francis frederick gary george gerald gordon graham hannah harold harry helen henry howard hugh ian jacob james jane
janet jason jean jennifer jerry jessica jim joan joe john jonathan joseph joshua judith judy julia karen kate keith
kelly kenneth kevin larry laura lawrence leonard linda lisa louis louise lucy luke margaret maria martha mary
matthew michael michelle mike nancy nathan nicholas oliver oscar pamela patricia patrick paul peter phil philip
phillip rachel ralph raymond rebecca richard robert roger ronald roy russell ruth ryan sam samuel sandra sara sarah
sean sharon sheila simon sophia stephen steve steven susan ted teresa theodore thomas tim timothy tom tony victor
victoria virginia walter william
"""

_FAMILY_NAMES = """
adams allen anderson campbell carter clark davis disney flores garcia gonzalez harris hernandez jackson johnson
jones lewis lopez macy martin martinez mitchell moore nelson nguyen perez ramirez rivera roberts robinson rodriguez
sanchez scott smith taylor thompson torres walker williams wilson wright
"""

_PLACES = """
africa alaska albania alberta algeria amazon amsterdam antarctica argentina arizona asia atlanta atlantic auckland
australia austria baltimore bangkok barcelona bavaria beijing belgium berlin birmingham bolivia boston brazil
brisbane bristol britain brooklyn budapest bulgaria california cambridge canada carolina chicago chile china
cleveland colombia colorado copenhagen croatia cuba delhi denmark denver detroit disneyland dublin edinburgh egypt
england ethiopia europe finland florence florida france frankfurt geneva georgia germany glasgow greece hamburg
hawaii hollywood houston hungary iceland idaho india indiana indonesia iowa iran iraq ireland israel istanbul italy
jamaica japan jerusalem kentucky kenya korea leicester lisbon liverpool london louisiana madrid maine manchester
manhattan maryland melbourne mexico miami michigan milan minneapolis minnesota missouri montana montreal morocco
moscow mumbai munich nebraska nepal nevada newcastle norway ohio oklahoma ontario oregon oslo ottawa oxford
pakistan pennsylvania peru philadelphia phoenix pittsburgh poland portland portugal prague quebec rico rome russia
sacramento scotland seattle serbia seville shanghai siberia sicily singapore slovakia spain stockholm sweden sydney
syria taiwan tennessee thailand tibet tokyo toronto turin ukraine utah vancouver venice vermont vienna vietnam
warsaw washington wisconsin york yorkshire zealand zurich
"""

PROPER_NAMES = frozenset((_GIVEN_NAMES + _FAMILY_NAMES + _PLACES).split())
