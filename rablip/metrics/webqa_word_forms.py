"""English word forms that no rule of spelling gives: irregular verbs and plurals, and words to leave alone."""

from __future__ import annotations

__all__ = [
    "ADJECTIVES",
    "DOUBLED_L_VERBS",
    "FINAL_E_VERBS",
    "ING_NOUNS",
    "IRREGULAR_FORMS",
    "NOUNS_IN_CHE",
    "NOUNS_IN_IE",
    "NOUNS_IN_OE",
    "NOUNS_IN_US",
    "NO_FINAL_E_VERBS",
    "UNINFLECTED",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _irregular(text: str) -> dict[str, str]:
    """Entries of a lemma and its forms, one a line or parted by semicolons, as forms to lemma."""
    entries = (entry.split() for entry in text.replace("\n", ";").split(";"))
    return {form: lemma for lemma, *forms in (entry for entry in entries if entry) for form in forms}


# A form that is at least as common as another word is left out: "felt", "rose", "ground", "saw" the tool.
_VERBS = """
be am is are was were been being; have has had having; do does did done; arise arose arisen; awake awoke awoken
bear bore borne; beat beaten; become became; begin began begun; bend bent; bind bound; bite bit bitten
bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build built; burn burnt; buy bought
catch caught; choose chose chosen; cling clung; come came; creep crept; deal dealt; die dying; dig dug
draw drew drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed
fight fought; find found; flee fled; fly flew flown; forbid forbade forbidden; forget forgot forgotten
forgive forgave forgiven; freeze froze frozen; get got gotten; give gave given; go went gone; grow grew grown
hang hung; hear heard; hide hid hidden; hold held; keep kept; kneel knelt; know knew known; lay laid; lead led
lean leant; leap leapt; learn learnt; lend lent; lie lying lain; light lit; lose lost; make made; mean meant
meet met; mow mown; oversee oversaw overseen; pay paid; prove proven; rebuild rebuilt; ride rode ridden
ring rang rung; rise risen; run ran; say said; see seen; seek sought; sell sold; send sent; sew sewn
shake shook shaken; shear shorn; shine shone; shoot shot; show shown; shrink shrank shrunk; sing sang sung
sink sank sunk; sit sat; sleep slept; slide slid; sow sown; speak spoke spoken; speed sped; spell spelt
spend spent; spill spilt; spin spun; spoil spoilt; spring sprang sprung; stand stood; steal stole stolen
stick stuck; sting stung; stink stank stunk; stride strode; strike struck stricken; string strung
strive strove striven; swear swore sworn; sweep swept; swell swollen; swim swam swum; swing swung
take took taken; teach taught; tear tore torn; tell told; think thought; throw threw thrown; tie tying
traffic trafficked; tread trod trodden; undergo underwent undergone; understand understood
undertake undertook undertaken; vie vying; wake woke woken; wear wore worn; weave wove woven; weep wept; win won
withdraw withdrew withdrawn; wring wrung; write wrote written
"""

# "better", "crosses" and "lenses" are what the tables of spaCy's model make of them: "crosse" stands in the scorer's
# own list of shapes.
_NOUNS_AND_OTHERS = """
alga algae; alumnus alumni; analysis analyses; antenna antennae; atlas atlases; axe axes; axis axises
basis basises; bias biases biased; bikini bikinis; bus busses; cactus cacti; calf calves; canvas canvases
child children; crisis crises; criterion criteria; crosse crosses; die dice; dwarf dwarves; elf elves; foot feet
gas gases gasses; goose geese; half halves; hoof hooves; index indices; iris irises; kiwi kiwis; knife knives
larva larvae; lense lenses; life lives; loaf loaves; matrix matrices; medium media; menu menus; mouse mice
nazi nazis; nucleus nuclei; oasis oases; ox oxen; phenomenon phenomena; quiz quizzes; radius radii
scarf scarves; self selves; sheaf sheaves; shelf shelves; bookshelf bookshelves; ski skis; stimulus stimuli
taxi taxis; thief thieves; tooth teeth; vertebra vertebrae; vertex vertices; wharf wharves; wife wives
wolf wolves; well better; good best; bad worse worst; far farther farthest further furthest; he him; they them
we us; I me i; she her
"""

IRREGULAR_FORMS = _irregular(_VERBS) | _irregular(_NOUNS_AND_OTHERS)

# Words that end as an inflected one does and are none, or that are mostly another word than the inflected one.
UNINFLECTED = _words(
    """
    across afterwards upwards downwards backwards forwards inwards outwards onwards eastwards westwards alas
    always as besides downstairs his its news perhaps plus series sometimes species thanks this thus unless
    upstairs versus whereas yes outdoors indoors overseas barracks headquarters gas atlas canvas christmas
    pancreas bias pyjamas texas kansas arkansas dallas vegas las los angeles athens thomas douglas nicholas
    lucas james charles wales hercules mercedes achilles naples brussels andes chaos cosmos rhinoceros kudos
    asbestos carlos barbados lens mars politics physics mathematics athletics gymnastics ethics economics
    aerobics bed bred fred red shed sled shred sped ted wed hundred kindred sacred naked wicked rugged ragged
    jagged crooked bearded horned wooded gabled beloved aged talented rounded specimen regimen abdomen omen amen
    acumen ramen stamen semen yemen bitumen cyclamen carmen reggae sundae ring bring king string thing spring
    sing sting swing wing fling cling sling bling ding wring beijing viking boeing during nothing something
    anything everything
    """
)

# Nouns in -ing, as which such a word is meant more often than as the verb.
ING_NOUNS = _words(
    """
    awning bearing beginning blessing building carving casing ceiling clothing coating covering crossing decking
    drawing dressing dwelling earring engraving etching evening farthing feeling filling finding flooring
    footing gathering greeting handwriting heading hearing herring housing icing inning killing landing
    lettering lightning lighting lining living longing marking meaning meeting molding morning moulding offering
    opening outing painting paneling parking paving piercing plumbing pudding railing rating reading recording
    roofing sapling saying scaffolding seating seedling setting shilling shipping shopping siding signing
    sterling stocking surrounding swelling teaching training trimming tubing underpainting upbringing warning
    wedding wiring working writing yearling duckling gosling dumpling sibling
    """
)

# Regular verbs whose e before -ed and -ing the rules of spelling do not see...
FINAL_E_VERBS = _words(
    """
    breathe bathe clothe soothe loathe sheathe unsheathe wreathe lathe seethe teethe taste paste waste baste haste
    change range arrange exchange challenge revenge hinge fringe cringe tinge binge singe orange
    unite invite ignite excite recite incite write rewrite bite create recreate accrete complete compete delete deplete
    stereotype type devote promote quote denote note vote remote precede recede concede secede
    welcome overcome become postpone phone clone condone enthrone explore restore ignore adore store score core shore
    snore deplore implore interfere persevere adhere revere cohere premiere exhale inhale scale convene intervene
    escape landscape dine gauge agree disagree free guarantee decree referee dye eye hoe shoe canoe ache cache
    centre queue route reroute
    """
)

# ... and those to which they would give one that is not there.
NO_FINAL_E_VERBS = _words(
    """
    format combat float treat focus gas canvas chorus collar dollar debut vacuum
    edit exit visit limit exhibit credit audit profit inherit inhabit merit orbit deposit prohibit benefit
    color colour anchor mirror honor honour sponsor favor favour monitor labor tailor author
    hang overhang bang clang model level label develop gallop wallop envelop add egg err
    """
)

# Verbs of more than one syllable that keep both of a doubled final l.
DOUBLED_L_VERBS = _words("enroll recall befall foretell retell resell overfill refill unroll")

NOUNS_IN_IE = _words(
    """
    tie untie die lie belie vie pie movie cookie zombie calorie rookie brownie hoodie selfie prairie genie birdie
    collie hippie necktie bowtie magpie smoothie pixie veggie
    """
)
NOUNS_IN_OE = _words("shoe horseshoe snowshoe toe tiptoe canoe hoe oboe foe doe roe woe aloe")
NOUNS_IN_CHE = _words("ache headache cache moustache mustache avalanche niche quiche cliche brioche porsche cartouche")
NOUNS_IN_US = _words(
    """
    bus minibus omnibus trolleybus campus cactus virus walrus octopus bonus chorus crocus status circus hibiscus focus
    census platypus papyrus lotus locus surplus sinus genius nautilus
    """
)

# Adjectives that are compared with -er and -est. Any other word in -er is a word of its own: "tower", "flower".
ADJECTIVES = _words(
    """
    bald big black bland bleak blue blunt bold brave brief bright broad brown busy calm cheap chubby chunky
    clean clear clever close cloudy coarse cold cool costly crazy creamy crisp curly curvy cute damp dark deadly
    dear deep dense dirty dry dull dusty early easy faint fair fancy fast fat few fierce fine firm flat fluffy
    fresh friendly full funny furry gentle glossy grand grassy gray great green grey hairy happy hard harsh
    healthy heavy high holy hot huge humble humid hungry icy juicy keen kind large late lazy lean leafy lengthy
    light likely lively lofty long loose loud lovely low lucky lush mellow messy mild moist muddy narrow near
    neat new nice noble noisy odd old pale plain plump pointy poor pretty proud puffy pure quick quiet rare red
    rich ripe risky rocky rough round rusty sad safe sandy scary shabby shaggy shallow sharp shiny short showy
    silly simple skinny sleek slender slick slight slim slow small smart smoky smooth soft sparse spicy spiky
    spongy steep stiff still stormy stout straight strange strict strong stubby sturdy subtle sunny sure sweet
    swift tall tame tan tasty tender thick thin tidy tight tiny tough true ugly vast wavy weak wealthy weird wet
    white wide wild wise worthy young
    """
)
