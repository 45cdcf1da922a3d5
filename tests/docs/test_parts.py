"""What is generated for the pages: tables, figures, layouts, docstrings, the index for models."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import fields

import pytest

from docs import parts
from docs.parts import family, index_for_models, prose, settings
from gemsmith.config import cost, preset
from gemsmith.engine.sampling import Sampling
from tests.docs.pages import DOCS, PAGES

FIGURES = [name for name in parts.PARTS if name.startswith("figure.")]
LAYOUTS = [name for name in parts.PARTS if name.startswith("layout.")]
FONT = {"": 13.0, "bold": 13.0, "small": 11.5, "tiny": 10.5}
LETTER = 0.53  # of the font's size: above the mean width in the sans serifs that browsers take


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_totals_are_those_of_the_released_files() -> None:
    """Counts of the safetensors files, as Hugging Face shows them; E2B and E4B with their 928 clip scalars."""
    last = cells(parts.part("family.parameters"))[-1]
    assert [cell.strip("*") for cell in last[1:4]] == ["5,123,178,979", "7,996,157,418", "11,959,730,224"]


@pytest.mark.parametrize("name", [name for name in parts.PARTS if name.startswith("family.")])
def test_tables_are_even(name: str) -> None:
    rows = cells(parts.part(name))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) >= 4


def test_a_tokens_bytes_count_shared_keys_and_values_as_often_as_they_are_read() -> None:
    e2b = preset("e2b")
    weights = 2 * cost.active_parameters(e2b)
    sliding, full = 28 * 512 * 512, 7 * 8192 * 1024  # layers · positions · numbers
    assert family.bytes_read(e2b, 8192) == weights + 2 * (sliding + full)


def test_every_sampling_keyword_has_its_row() -> None:
    assert [row[0].strip("`") for row in settings.rows(Sampling)] == [field.name for field in fields(Sampling)]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_one_block_of_markdown_and_its_words_fit(name: str) -> None:
    figure = parts.part(name)
    assert "\n\n" not in figure, "a blank line ends an HTML block"
    svg = ET.fromstring(figure).find("svg")
    assert svg is not None and svg.find("title") is not None
    width, height = map(float, svg.attrib["viewBox"].split()[2:])
    for text in svg.iter("text"):
        if "transform" in text.attrib:
            continue
        size = next(FONT[kind] for kind in [*text.get("class", "").split(), ""] if kind in FONT)
        length, x = len(text.text or "") * size * LETTER, float(text.attrib["x"])
        start = x - length * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
        assert start >= 0 and start + length <= width + 1, f"{text.text!r} spans {start:.0f} to {start + length:.0f}"
        assert 0 < float(text.attrib["y"]) < height


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_colours_exactly_the_control_tokens(name: str) -> None:
    layout = parts.part(name)
    assert "\n\n" not in layout
    chips = re.findall(r'<span class="gem-chip([^"]*)"><b>([^<]*)</b><i>(\d+)</i>', layout)
    control = {text for kinds, text, _ in chips if "control" in kinds}
    assert {"&lt;bos&gt;", "&lt;|turn&gt;", "&lt;turn|&gt;"} <= control
    assert all(text.startswith("&lt;") for text in control)
    assert any("written" in kinds for kinds, _, _ in chips)


def test_docstrings_become_restructuredtext() -> None:
    assert prose.as_rst(["Says `x` or ``y``; raises ToolError."]) == [
        "Says ``x`` or ``y``; raises :py:exc:`~gemsmith.ToolError`."
    ]
    assert prose.as_rst(["Letters:", "", "    B `batch`", "    T", ""]) == [
        *("Letters:", "", "::", "", "    B `batch`", "    T", "")
    ]
    assert prose.as_rst(["`SomeoneElsesError`"]) == ["``SomeoneElsesError``"]


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(KeyError):
        parts.expanded("<!-- no.such.part -->")


def test_the_index_for_models_has_every_page() -> None:
    text = index_for_models.text(DOCS)
    assert {f"{page.stem}.html" for page in PAGES} - {"index.html"} == set(re.findall(r"\]\(([\w-]+\.html)\)", text))
    assert all(len(line) > 60 for line in text.splitlines() if line.startswith("- "))
