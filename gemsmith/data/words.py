"""The words examples are made of: things, colours, names, cities. Short and common, so that each is one token."""

from __future__ import annotations


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


THINGS = words_of(
    """
    apple arrow badge ball barn basket beach bear bell bird boat bone book boot bottle bowl box branch bread brick
    bridge broom brush bucket butter button cabin cake camel camera candle card carpet castle cat chain chair cheese
    cherry clock cloud coat coin comb corn cow crab crane crown cup desk dog door dragon dress drum duck eagle ear egg
    engine farm feather fence field fig fire fish flag flower flute forest fork fox frog garden gate ghost glass glove
    goat gold grape grass hammer hat hill honey horse house ice ink iron island jacket jar jewel key king kite knife
    ladder lake lamp leaf lemon letter lion lock map market mask melon milk mirror moon moss mouse nail needle nest
    net nut oak ocean olive onion orange oven owl paint paper park pear pencil pepper piano pillow pin pipe plant
    plate plum pocket pond pony pot queen rabbit radio rain ring river road robot rock roof root rope rose ruby rug
    sail salt sand scarf school sea seed shell ship shoe silk silver sink snail snow soap sock spoon star stone
    stool storm sugar sun table tent tiger tower train tree truck turtle valley vase violin wagon wall watch water
    whale wheel wind window wolf wood wool zebra
    """
)

COLOURS = words_of("red blue green yellow black white brown pink purple grey")

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

NAMES = words_of(
    """
    Ada Alan Alice Amir Anna Ben Bob Carl Carol Chen Clara David Diego Emma Erik Eva Fatima Frank George Grace Hana
    Henry Ivan Jack Jane Jim John Julia Kate Kim Laura Leo Lily Lucy Luis Maria Mark Mary Max Maya Mia Nina Noah Nora
    Olga Omar Oscar Paul Peter Priya Rosa Ruth Sam Sara Sofia Tim Tom Vera Victor Yuki Zoe
    """
)

CITIES = words_of(
    """
    Amsterdam Athens Berlin Bern Boston Cairo Chicago Delhi Dublin Geneva Hamburg Helsinki Lagos Lima Lisbon London
    Madrid Milan Montreal Moscow Mumbai Munich Nairobi Oslo Paris Prague Rome Seattle Seoul Sydney Tokyo Toronto
    Venice Vienna Warsaw Zurich
    """
)

SYLLABLES = words_of(
    "ba be bo da de do fa fi ga go ka ki ko la le lo ma mi mo na no pa pi ra ri ro sa so ta ti to va vi za zo"
)
