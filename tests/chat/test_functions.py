"""Functions as tools: every kind of annotation, and every style of docstring."""

from __future__ import annotations

import functools

from tests.chat.examples import declared, weather


def test_a_function_with_everything() -> None:
    text = declared(weather)
    assert text.startswith("declaration:weather{description:'Weather now, in a place.\n\nAnd later.',parameters:{")
    for expected in (
        "city:{description:'The city, e.g. Paris: the capital',type:'STRING'}",
        "days:{description:'how many',type:'INTEGER'}",
        "unit:{enum:['c','f'],type:'STRING'}",
        "color:{enum:['red','green'],type:'STRING'}",
        "node:{description:'A node.',properties:{children:{items:{description:'Another Node, as above.',type:'OBJECT'},"
        "type:'ARRAY'},value:{description:'what it holds',type:'INTEGER'}},required:['value'],type:'OBJECT'}",
        "where:{properties:{label:{type:'STRING'},lat:{type:'NUMBER'}},required:['lat'],type:'OBJECT'}",
        "leaf:{description:'A leaf of the tree.',properties:{items:{items:{type:'INTEGER'},type:'ARRAY'},"
        "type:{enum:['x'],type:'STRING'}},required:['items','type'],type:'OBJECT'}",
        "point:{properties:{x:{type:'INTEGER'},y:{type:'INTEGER'}},required:['x'],type:'OBJECT'}",
        "heat:{description:'degrees',type:'NUMBER'}",
        "either:{nullable:true,type:'INTEGER|STRING'}",
        "rows:{items:{additionalProperties:{'type':'integer'},type:'OBJECT'},type:'ARRAY'}",
        "when:{nullable:true,type:'STRING'}",
        "guess:{type:'NUMBER'}",
        "required:['city','node','where','leaf','point','heat'],type:'OBJECT'}}",
    ):
        assert expected in text, expected


def test_docstring_styles() -> None:
    def numpy(a, b=3):  # type: ignore[no-untyped-def]
        """Short.

        Parameters
        ----------
        a : int or None
            The a,
            still.
        b : str
            The b.

        Returns
        -------
        int
            Nothing of b.
        """

    def sphinx(a: int, b: str):  # type: ignore[no-untyped-def]
        """Short.

        :param a: the a,
            still
        :param str b: the b
        :returns: nothing
        """

    for function in (numpy, sphinx):
        text = declared(function).lower()
        assert "description:'short.'" in text and "description:'the a, still" in text
        assert "description:'the b" in text and "nothing" not in text


def test_methods_callables_and_partials() -> None:
    class Adder:
        def add(self, a: int, b: int = 1) -> int:
            """Adds."""
            return a + b

        def __call__(self, a: int) -> int:
            """Calls."""
            return a

    expected = "declaration:add{description:'Adds.',parameters:{properties:{a:{type:'INTEGER'},b:{type:'INTEGER'}}"
    assert declared(Adder().add).startswith(expected)
    assert "a:{type:'INTEGER'}" in declared(Adder()) and "description:'Calls.'" in declared(Adder())
    assert declared(functools.partial(Adder().add, b=2)).startswith(expected)
    wrapped = functools.wraps(weather)(lambda *args, **kwargs: None)
    assert declared(wrapped) == declared(weather)
