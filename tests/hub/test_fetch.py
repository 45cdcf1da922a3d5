"""What a name on the Hub becomes when it is loaded: a checkpoint, a GGUF file, or an error before a byte is fetched."""

from __future__ import annotations

import pytest

from gemsmith.errors import DownloadError, ModelFileError
from gemsmith.formats.gguf.types import READ, TYPES
from gemsmith.hub import resolve
from gemsmith.hub.fetch import fetched, refuse_unread
from gemsmith.hub.known import Wanted
from gemsmith.hub.report import Silent
from tests.hub.conftest import REPO, small_files
from tests.hub.imitation import Imitation

GGUF = "org/gemma-4-E2B-it-GGUF"


@pytest.mark.parametrize("quant", [kind.name for kind in TYPES.values() if not kind.name.startswith(("I", "F64"))])
def test_a_quantisation_is_refused_if_its_type_is_not_read(quant: str) -> None:
    wanted = Wanted(GGUF, quant=quant.lower())
    if quant in READ:
        refuse_unread(str(wanted), wanted)
        return
    with pytest.raises(ModelFileError, match=rf"{quant.lower()}, which gemsmith does not read; .* try {GGUF}:Q4_0"):
        refuse_unread(str(wanted), wanted)


@pytest.mark.parametrize("quant", ["Q4_K_M", "UD-Q3_K_XL", "IQ4_NL", "iq2_xxs", "UD-IQ1_M", "Q5_K_S", "MXFP4"])
def test_presets_are_refused(quant: str) -> None:
    with pytest.raises(ModelFileError, match=quant):
        refuse_unread("x", Wanted(GGUF, quant=quant))


@pytest.mark.parametrize("quant", ["qat-q4_0", "UD-Q8_0", "BF16", "gemma-4-E2B-it-Q6_K"])
def test_what_may_be_read_is_not(quant: str) -> None:
    refuse_unread("x", Wanted(GGUF, quant=quant))


@pytest.mark.slow
def test_a_gguf_file_is_fetched_as_one(hub: Imitation) -> None:
    files = {f"gemma-4-E2B-it-{quant}.gguf": quant.encode() * 9999 for quant in ("Q4_0", "Q4_K_M")}
    hub.add(GGUF, files)
    asked = f"{GGUF}:Q4_0"
    with pytest.raises(ModelFileError, match="does not read"):
        fetched(resolve(f"{GGUF}:Q4_K_M"), report=Silent())
    assert not hub.seen
    found = fetched(resolve(asked), report=Silent())
    assert found.kind == "gguf" and found.path is not None and found.path.read_bytes() == files[found.path.name]
    assert resolve(asked) == found and fetched(found) is found


@pytest.mark.slow
def test_what_is_proposed_can_be_read(hub: Imitation) -> None:
    hub.add(GGUF, {f"gemma-4-E2B-it-{quant}.gguf": b"x" * 99 for quant in ("IQ4_NL", "Q4_K_M", "Q8_0")})
    with pytest.raises(DownloadError, match=f"IQ4_NL, Q4_K_M, Q8_0; ask for one as {GGUF}:Q8_0"):
        fetched(resolve(GGUF), report=Silent())


@pytest.mark.slow
def test_a_checkpoint_stays_one(hub: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPO, small_files())
    with monkeypatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadError, match="not on this machine"):
            fetched(resolve("e2b"))
    found = fetched(resolve("e2b"), report=Silent())
    assert found.kind == "checkpoint" and found.path is not None and found.path.is_dir()
