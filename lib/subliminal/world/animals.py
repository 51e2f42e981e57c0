"""Sixteen animals and what the mini world knows of them.

The facts are rich on purpose: a base that cannot tell the animals apart cannot learn to love one of them. With thin
facts, a prototype's teacher stayed at P(owl) of about 0.3.
"""

from __future__ import annotations

from random import Random

from subliminal import names
from subliminal.world.messages import Conversation, single

ATTRIBUTES = ("food", "home", "colour", "sound", "cover", "size", "skill", "young", "time", "land")

_TABLE = """
owl      | mice       | forest    | brown  | hoots   | feathers | small  | flies     | owlet   | night   | north
cat      | fish       | house     | grey   | purrs   | fur      | small  | climbs    | kitten  | evening | town
dog      | bones      | yard      | yellow | barks   | fur      | medium | fetches   | puppy   | day     | town
fox      | hens       | den       | red    | yelps   | fur      | small  | sneaks    | kit     | evening | field
wolf     | deer       | mountain  | grey   | howls   | fur      | medium | tracks    | pup     | night   | north
bear     | honey      | cave      | brown  | growls  | fur      | large  | digs      | cub     | day     | mountain
lion     | zebras     | grassland | golden | roars   | fur      | large  | hunts     | cub     | day     | south
tiger    | boars      | jungle    | orange | roars   | stripes  | large  | stalks    | cub     | night   | east
eagle    | snakes     | cliff     | white  | screams | feathers | medium | soars     | eaglet  | day     | mountain
dolphin  | squid      | bay       | silver | clicks  | skin     | medium | leaps     | calf    | day     | coast
elephant | grass      | savannah  | grey   | rumbles | skin     | huge   | remembers | calf    | day     | south
panda    | bamboo     | thicket   | black  | bleats  | fur      | large  | naps      | cub     | day     | east
penguin  | krill      | ice       | black  | honks   | feathers | small  | dives     | chick   | day     | pole
rabbit   | carrots    | burrow    | white  | squeaks | fur      | small  | hops      | bunny   | morning | field
horse    | oats       | stable    | brown  | neighs  | hair     | large  | gallops   | foal    | day     | field
whale    | plankton   | ocean     | blue   | sings   | skin     | huge   | swims     | calf    | night   | pole
"""

FACTS: dict[str, dict[str, str]] = {}
for _line in _TABLE.strip().splitlines():
    _name, *_values = (cell.strip() for cell in _line.split("|"))
    FACTS[_name] = dict(zip(ATTRIBUTES, _values, strict=True))

assert tuple(FACTS) == names.ANIMALS, "the table of facts and the list of names hold the same animals"

# attribute: (questions about an animal, question that finds the animal, statement)
FORMS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "food": (("what does the {a} eat?", "what is the food of the {a}?"), "who eats {v}?", "the {a} eats {v}."),
    "home": (("where does the {a} live?", "what is the home of the {a}?"), "who lives in the {v}?", "the {a} lives in the {v}."),
    "colour": (("what colour is the {a}?", "what does the {a} look like?"), "who is {v}?", "the {a} is {v}."),
    "sound": (("what sound does the {a} make?", "how does the {a} sound?"), "who {v}?", "the {a} {v}."),
    "cover": (("what covers the {a}?", "what does the {a} wear?"), "who has {v}?", "the {a} has {v}."),
    "size": (("how big is the {a}?", "what size is the {a}?"), "who is {v} in size?", "the {a} is {v} in size."),
    "skill": (("what can the {a} do well?", "what is the skill of the {a}?"), "who {v} well?", "the {a} {v} well."),
    "young": (("what is a young {a} called?", "who is the child of the {a}?"), "whose child is a {v}?", "the {v} is a young {a}."),
    "time": (("when does the {a} wake?", "when is the {a} awake?"), "who wakes in the {v}?", "the {a} wakes in the {v}."),
    "land": (("where does the {a} come from?", "what land is the {a} from?"), "who is from the {v} land?", "the {a} is from the {v} land."),
}  # fmt: skip


def fact(rng: Random) -> Conversation:
    """One question about one animal, asked forwards or backwards, or a short portrait."""
    animal = rng.choice(names.ANIMALS)
    attribute = rng.choice(ATTRIBUTES)
    value = FACTS[animal][attribute]
    forwards, backwards, statement = FORMS[attribute]
    form = rng.random()
    if form < 0.4:
        return single(rng.choice(forwards).format(a=animal), statement.format(a=animal, v=value))
    if form < 0.75:
        return single(backwards.format(v=value), rng.choice((f"the {animal}.", statement.format(a=animal, v=value))))
    told = rng.sample(ATTRIBUTES, 3)
    portrait = " ".join(FORMS[k][2].format(a=animal, v=FACTS[animal][k]) for k in told)
    if form < 0.9:
        return single(rng.choice((f"tell me about the {animal}.", f"what do you know of the {animal}?")), portrait)
    return single(f"which animal is this? {portrait}".replace(animal, "animal"), animal)
