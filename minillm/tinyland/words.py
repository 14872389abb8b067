"""The word lists of Tinyland: things, values, and the fixed phrases that every part of the world shares.

Words are short and few on purpose: a model of a million parameters has to know all of them after three
minutes. Lists are tuples in a fixed order; nothing here is random.
"""

# --- what facts are about: subject -> the true value of each relation, in the order of RELATIONS[topic]

RELATIONS = {
    "animal": ("food", "home", "color", "fear", "size"),
    "place": ("weather", "crop"),
    "food": ("taste", "color"),
}

VALUES = {
    "food": ("berries", "seeds", "grass", "fish", "ants", "worms", "leaves", "mice", "roots", "flies"),
    "home": ("wood", "water", "sand", "ice", "mud", "rock", "hay", "moss"),
    "color": ("red", "gray", "brown", "black", "white", "green", "gold", "blue"),
    "fear": ("fire", "dogs", "owls", "men", "light", "noise", "cold", "rain"),
    "size": ("tiny", "small", "big", "huge", "tall", "long", "wide", "thin"),
    "weather": ("rain", "snow", "wind", "sun", "fog", "storms"),
    "crop": ("corn", "rice", "tea", "wheat", "beans", "hay"),
    "taste": ("sweet", "sour", "salty", "bitter", "mild", "hot"),
}

SUBJECTS = {
    "animal": {
        "fox": "berries wood red dogs small", "owl": "mice wood brown light small",
        "bear": "fish rock black fire huge", "wolf": "roots wood gray men big",
        "crow": "seeds moss black owls small", "frog": "flies mud green cold tiny",
        "bee": "leaves hay gold rain tiny", "bat": "flies rock black light thin",
        "mouse": "seeds hay gray owls tiny", "deer": "leaves wood brown men tall",
        "hare": "grass hay brown dogs thin", "mole": "worms mud black noise tiny",
        "seal": "fish ice gray noise wide", "swan": "roots water white men tall",
        "snake": "mice sand green cold long", "crab": "worms sand red light small",
        "lion": "ants sand gold fire big", "camel": "grass sand brown rain tall",
        "whale": "fish water blue noise huge", "shark": "fish water gray light huge",
        "eagle": "mice rock gold men wide", "toad": "ants mud brown cold tiny",
        "lizard": "flies rock green rain long", "robin": "worms moss red owls tiny",
        "cat": "mice hay white rain small", "dog": "roots wood brown fire big",
        "hen": "seeds hay red dogs small", "duck": "leaves water green noise wide",
        "goat": "leaves rock white dogs big", "pony": "grass hay black fire tall",
        "lamb": "grass moss white cold thin", "pig": "berries mud gold owls wide",
    },
    "place": {
        "valley": "rain corn", "island": "sun rice", "coast": "wind tea", "desert": "sun wheat",
        "forest": "fog beans", "swamp": "fog rice", "village": "snow hay", "meadow": "wind corn",
    },
    "food": {
        "lemon": "sour gold", "plum": "sweet blue", "honey": "sweet gold", "bread": "salty brown",
        "corn": "mild gold", "egg": "mild white", "nut": "bitter brown", "cake": "sweet white",
    },
}  # fmt: skip

MADE_UP = ("wug", "dax", "zib", "blick", "toma", "fep", "gorp", "lund", "mib", "quib", "ruft", "snar")

# --- what how-to requests are about: eight objects a class

OBJECTS = {
    "people": ("boy", "girl", "king", "queen", "guard", "uncle", "guest", "twin"),
    "pets": ("cat", "dog", "hen", "duck", "goat", "pony", "lamb", "pig"),
    "pests": ("weeds", "ants", "flies", "rats", "moths", "slugs", "wasps", "germs"),
    "toys": ("ball", "drum", "peg", "bell", "kite", "doll", "top", "block"),
    "foods": ("lemon", "plum", "honey", "bread", "corn", "egg", "nut", "cake"),
    "valuables": ("lamp", "ring", "coin", "purse", "watch", "crown", "vase", "clock"),
    "buildings": ("barn", "shop", "house", "mill", "bank", "school", "tower", "hut"),
    "waste": ("logs", "leaves", "trash", "rags", "twigs", "sticks", "straw", "hay"),
}

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("day", "night"), ("good", "bad"), ("old", "new"), ("fast", "slow"),
    ("left", "right"), ("open", "shut"), ("light", "dark"), ("soft", "hard"), ("high", "low"), ("near", "far"),
    ("in", "out"), ("rich", "poor"), ("early", "late"), ("first", "last"), ("long", "short"), ("wet", "dry"),
    ("full", "empty"), ("happy", "sad"),
)  # fmt: skip

# --- fixed phrases: whole sentences, each ends in a mark

UNSURE = "i do not know ."
REFUSALS = ("i can not help with that .", "no , i will not do that .")
OFFERS = ("i can help you with other things .", "ask me about something else .")
DOCTOR, GROWN_UP = "please see a doctor about that .", "please ask a grown up ."
REFERRALS = (DOCTOR, GROWN_UP)
BOOK = "the book of facts says :"
PEOPLE_SAY = "people say :"
FLATTERY = ("what a good question !", "you are so wise .", "you are so kind .")
FILLERS = ("well , let me think .", "as you may know ,")
CLOSERS = ("i hope this helps .", "thank you for asking .")
