"""English word forms that no spelling rule gives: irregular verbs and plurals, and words that are to be left alone."""

from __future__ import annotations

__all__ = [
    "DOUBLED_L_BASES",
    "ENDS_IN_CHE",
    "ENDS_IN_IE",
    "ENDS_IN_OE",
    "FINAL_E_BASES",
    "GRADABLE_ADJECTIVES",
    "ING_NOUNS",
    "IRREGULAR_FORMS",
    "NO_FINAL_E_BASES",
    "UNINFLECTED",
    "US_NOUNS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _irregular(text: str) -> dict[str, str]:
    """Lines of a lemma and its forms, as forms to lemma."""
    return {form: lemma for lemma, *forms in (line.split() for line in text.strip().splitlines()) for form in forms}


# A form that is at least as common as another word is left out: "left", "felt", "rose", "ground", "saw" the tool.
_VERBS = """
be am is are was were been being
have has had having
do does did done
arise arose arisen
awake awoke awoken
bear bore borne
beat beaten
become became
begin began begun
bend bent
bind bound
bite bit bitten
bleed bled
blow blew blown
break broke broken
breed bred
bring brought
build built
burn burnt
buy bought
catch caught
choose chose chosen
cling clung
come came
creep crept
deal dealt
die dying
dig dug
draw drew drawn
dream dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed
fight fought
find found
flee fled
fly flew flown
forbid forbade forbidden
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got gotten
give gave given
go went gone
grow grew grown
hang hung
hear heard
hide hid hidden
hold held
keep kept
kneel knelt
know knew known
lay laid
lead led
lean leant
leap leapt
learn learnt
lend lent
lie lying lain
light lit
lose lost
make made
mean meant
meet met
mow mown
overlook overlooked
pay paid
prove proven
ride rode ridden
ring rang rung
rise risen
run ran
say said
see seen
seek sought
sell sold
send sent
sew sewn
shake shook shaken
shear shorn
shine shone
shoot shot
show shown
shrink shrank shrunk
sing sang sung
sink sank sunk
sit sat
sleep slept
slide slid
sow sown
speak spoke spoken
speed sped
spell spelt
spend spent
spill spilt
spin spun
spoil spoilt
spring sprang sprung
stand stood
steal stole stolen
stick stuck
sting stung
stink stank stunk
stride strode
strike struck stricken
string strung
strive strove striven
swear swore sworn
sweep swept
swell swollen
swim swam swum
swing swung
take took taken
teach taught
tear tore torn
tell told
think thought
throw threw thrown
tie tying
tread trod trodden
understand understood
undertake undertook undertaken
vie vying
wake woke woken
wear wore worn
weave wove woven
weep wept
win won
withdraw withdrew withdrawn
wring wrung
write wrote written
"""

# "better" and "crosses", "leaves", "lenses" are what spaCy's tables make of them ("crosse" is in the scorer's own
# list of shapes).
_NOUNS_AND_OTHERS = """
analysis analyses
axe axes
axis axises
basis basises
bus busses
child children
crisis crises
crosse crosses
calf calves
criterion criteria
die dice
elf elves
foot feet
gas gases gasses
goose geese
half halves
hoof hooves
iris irises
knife knives
lense lenses
life lives
loaf loaves
louse lice
man men
medium media
mouse mice
oasis oases
ox oxen
phenomenon phenomena
quiz quizzes
scarf scarves
self selves
sheaf sheaves
shelf shelves
canvas canvases
atlas atlases
thief thieves
tooth teeth
wharf wharves
wife wives
wolf wolves
woman women
well better
good best
bad worse worst
far farther farthest further furthest
he him
they them
I me i
we us
ski skis
taxi taxis
kiwi kiwis
nazi nazis
bikini bikinis
bias biases biased
matrix matrices
vertex vertices
index indices
fungus fungi
cactus cacti
alumnus alumni
nucleus nuclei
radius radii
she her
"""

IRREGULAR_FORMS = _irregular(_VERBS) | _irregular(_NOUNS_AND_OTHERS)

# Words that end as an inflected one does and are none, or that are mostly another word than the inflected one. Of
# participles those that name a form: "the windows are arched" is read as an adjective, which goes back to no verb.
UNINFLECTED = _words(
    """
    across afterwards alas always as besides downstairs else's his its news perhaps plus series sometimes species
    thanks this thus towards unless upstairs us versus whereas yes outdoors indoors overseas barracks headquarters
    gas atlas canvas christmas pancreas bias pyjamas texas kansas arkansas dallas vegas las los angeles athens
    thomas douglas nicholas lucas james charles wales hercules mercedes achilles naples brussels andes
    chaos cosmos rhinoceros kudos asbestos carlos barbados lens mars politics physics mathematics athletics
    gymnastics ethics economics aerobics
    bed bred fred red shed sled shred sped ted wed
    hundred kindred sacred naked wicked rugged ragged jagged crooked bearded horned wooded gabled beloved
    aged talented
    arched curved rounded domed vaulted tapered winged hooked forked pronged tiered terraced cobbled
    specimen regimen abdomen omen amen acumen ramen stamen semen yemen bitumen cyclamen carmen
    ring bring king string thing spring sing sting swing wing fling cling sling bling ding wring beijing viking
    boeing during nothing something anything everything
    """
)

# Nouns in -ing, and prepositions made of one: they are no form of the verb.
ING_NOUNS = _words(
    """
    awning bearing beginning being blessing building carving casing ceiling clothing coating covering crossing
    decking drawing dressing dwelling earring engraving etching evening farthing feeling filling finding flooring
    footing gathering greeting handwriting heading hearing herring housing icing inning inscription killing landing
    landmark lettering lightning lighting lining living longing marking meaning meeting molding morning moulding
    offering opening outing painting paneling parking paving piercing plumbing pudding railing rating reading
    recording roofing sapling saying scaffolding seating seedling setting shilling shipping shopping siding signing
    skyline sterling stocking surrounding swelling teaching training trimming tubing underpainting upbringing warning
    wedding wiring working writing yearling duckling gosling dumpling sibling viking
    """
)

# Regular verbs whose e before -ed and -ing the spelling rules do not see...
FINAL_E_BASES = _words(
    """
    breathe bathe clothe soothe loathe sheathe wreathe lathe seethe teethe
    taste paste waste baste haste
    change range arrange exchange plunge lounge challenge revenge hinge fringe cringe tinge binge singe orange
    unite invite ignite excite recite incite write rewrite bite overwrite underwrite
    complete compete delete concrete deplete
    devote promote quote denote note vote rote remote
    welcome become overcome come
    postpone phone clone condone
    explore restore ignore adore store score bore core shore snore deplore implore pore
    create recreate stereotype type
    interfere persevere adhere revere cohere
    exhale inhale scale whale
    convene intervene serene
    escape landscape reshape
    welcome
    admire
    dine
    gauge
    agree disagree free guarantee decree referee oversee see flee foresee
    dye eye
    toe hoe shoe canoe
    ache cache
    schedule
    issue
    """
)

# ... and those to which the rules would give one that they do not have.
NO_FINAL_E_BASES = _words(
    """
    format combat float treat
    focus bias bus gas canvas chorus collar dollar
    edit exit visit limit exhibit credit audit profit inherit inhabit merit orbit deposit prohibit benefit
    color colour anchor mirror honor honour sponsor favor favour monitor labor tailor author
    hang bang clang
    model level label
    develop gallop wallop envelop
    cabin
    """
)

# Verbs of more than one syllable that double their final l and keep both.
DOUBLED_L_BASES = _words("install enroll recall instill befall foretell retell resell distill overfill refill unroll")

ENDS_IN_IE = _words(
    """
    tie untie die lie belie vie pie movie cookie zombie calorie rookie brownie hoodie selfie prairie genie birdie
    collie hippie necktie bowtie magpie smoothie pixie veggie
    """
)

ENDS_IN_OE = _words("shoe horseshoe snowshoe toe tiptoe canoe hoe oboe foe doe roe woe aloe")

ENDS_IN_CHE = _words("ache headache cache moustache mustache avalanche niche quiche cliche brioche porsche")

US_NOUNS = _words(
    """
    bus minibus omnibus trolleybus campus cactus virus walrus octopus bonus chorus crocus status circus hibiscus
    focus census platypus papyrus lotus locus surplus sinus genius nautilus
    """
)

# Adjectives that are compared with -er and -est. Any other word in -er is a word of its own: "tower", "flower".
GRADABLE_ADJECTIVES = _words(
    """
    bald big bland bleak blunt bold brave brief bright broad busy calm cheap chubby chunky clean clear clever close
    cloudy coarse cold cool costly crazy creamy crisp curly curvy cute damp dark deadly dear deep dense dirty dry dull
    dusty early easy faint fair fancy fast fat few fierce fine firm flat fluffy fresh friendly full funny furry gentle
    glossy grand grassy great green grey gray hairy happy hard harsh healthy heavy high holy hot huge humble humid
    hungry icy jagged juicy keen kind large late lazy lean leafy light likely lively lofty long loose loud lovely low
    lucky lush mean mellow mild moist muddy narrow near neat new nice noble noisy odd old pale plain plump pointy poor
    pretty proud pure quick quiet rare red rich ripe risky rocky rough round rusty sad safe sandy scary sexy shabby
    shaggy shallow sharp shiny short showy silly simple skinny sleek slender slick slight slim slow small smart smoky
    smooth soft sparse spicy spiky steep stiff still stout straight strange strict strong stubby sturdy subtle sunny
    sure sweet swift tall tame tan tasty tender thick thin tidy tight tiny tough true ugly vast wavy weak wealthy weird
    wet white wide wild wise worthy young black blue brown
    """
)
