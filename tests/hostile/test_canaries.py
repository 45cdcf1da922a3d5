"""Nothing that comes with a checkpoint is imported, unpickled, rendered or otherwise executed.

Each canary writes a file if it runs. It must not; and running it by hand must, or the test would prove nothing.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

import gemsmith
from gemsmith.cli.main import main
from gemsmith.errors import GemsmithError
from tests.hostile.checkpoint import change_json, write_checkpoint

pytestmark = pytest.mark.slow  # starts interpreters

torch = pytest.importorskip("torch")


class Canary:
    """An object whose unpickling writes a file."""

    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sign),)


@pytest.fixture
def sign(tmp_path: Path) -> Path:
    """What a canary makes; gone again after the test has shown that it can."""
    return tmp_path / "sign-of-life"


def loads(source: Path) -> BaseException | None:
    """Load and use the model; the error of ours, if there was one."""
    with warnings.catch_warnings(action="ignore"):
        try:
            gemsmith.load(source, device="cpu").chat("hi", max_tokens=1)
        except GemsmithError as error:
            return error
    return None


PICKLES = ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "consolidated.ckpt", "x.pickle"]


def write_pickle(path: Path, sign: Path) -> None:
    """As torch.save lays it out for .pt and .bin: a zip with data.pkl; else a plain pickle."""
    if path.suffix in (".bin", ".pt", ".pth"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Canary(sign), protocol=2))
            archive.writestr("archive/version", "3")
    else:
        path.write_bytes(pickle.dumps(Canary(sign)))


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_is_refused_by_name_and_never_opened(name: str, tmp_path: Path, sign: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    write_pickle(folder / name, sign)
    for source in (folder, folder / name):
        error = loads(source)
        assert error is not None and name in str(error) and ("safetensors" in str(error)), error
        assert main(["show", str(source)]) in (0, 1)
    assert not sign.exists()


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_beside_safetensors_is_not_touched(name: str, tmp_path: Path, sign: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    write_pickle(folder / name, sign)
    (folder / name).chmod(0)
    assert loads(folder) is None and not sign.exists()


def test_a_pickle_called_safetensors_is_refused(tmp_path: Path, sign: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    write_pickle(folder / "model.pkl", sign)
    os.replace(folder / "model.pkl", folder / "model.safetensors")
    assert loads(folder) is not None and not sign.exists()


def test_the_pickle_canary_sings(tmp_path: Path, sign: Path) -> None:
    write_pickle(tmp_path / "x.pickle", sign)
    pickle.loads((tmp_path / "x.pickle").read_bytes())
    assert sign.exists()


CODE = "import os; os.mkdir({sign!r})\nclass Model: pass\nclass Config: pass\nclass Tokenizer: pass\n"
MODULES = ("modeling_evil.py", "configuration_evil.py", "__init__.py", "conftest.py", "sitecustomize.py", "torch.py")
AUTO_MAP = {"AutoConfig": "configuration_evil.Config", "AutoModelForCausalLM": "modeling_evil.Model"}


@pytest.mark.slow
def test_code_beside_the_weights_is_not_imported(tmp_path: Path, sign: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    for module in MODULES:
        (folder / module).write_text(CODE.format(sign=str(sign)))
    change_json(folder / "config.json", auto_map=AUTO_MAP, trust_remote_code=True, custom_pipelines={"x": AUTO_MAP})
    change_json(folder / "generation_config.json", custom_generate="modeling_evil.py", trust_remote_code=True)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["modeling_evil.T", None]}})
    )
    assert loads(folder) is None
    code = f"import gemsmith; gemsmith.load({str(folder)!r}, device='cpu').chat('hi', max_tokens=1)"
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", code], cwd=folder, check=True)
    assert not sign.exists()


def test_the_code_canary_sings(tmp_path: Path, sign: Path) -> None:
    (tmp_path / "modeling_evil.py").write_text(CODE.format(sign=str(sign)))
    subprocess.run([sys.executable, "-c", "import modeling_evil"], cwd=tmp_path, check=True)
    assert sign.exists()


GADGETS = [
    "{{ lipsum.__globals__['os'].mkdir(SIGN) }}",
    "{{ cycler.__init__.__globals__.os.mkdir(SIGN) }}",
    "{{ joiner.__init__.__globals__.os.mkdir(SIGN) }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.mkdir(SIGN) }}",
    "{% for x in range(10**9) %}{{ x }}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ range(10**10) | list }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% include '/dev/zero' %}",
    "{{ undefined.attribute.of.nothing }}",
    "{% import 'os' as os %}{{ os.mkdir(SIGN) }}",
    "{{ messages.__class__.__init__.__globals__ }}",
    "{{ raise_exception('no') }}",
    "{% set ns = namespace(x=1) %}{% while true %}{% endwhile %}",
    "{{ 10**(10**9) }}",
    "{%" * 10_000,
    "\0\x1b[2J",
]


@pytest.mark.parametrize("where", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json"])
@pytest.mark.parametrize("gadget", GADGETS, ids=lambda text: ascii(text)[:40])
def test_a_chat_template_is_text(gadget: str, where: str, tmp_path: Path, sign: Path) -> None:
    """Read, compared, told about, and never rendered: no gadget runs, and none takes time."""
    folder = write_checkpoint(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    template = gadget.replace("SIGN", repr(str(sign)))
    text = template if where.endswith("jinja") else json.dumps({"chat_template": template})
    (folder / where).write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.warns(UserWarning, match="a chat template we do not know"):
        model = gemsmith.load(folder, device="cpu")
    assert model.render("hi").text == "<bos><|turn>user\nhi<turn|>\n<|turn>model\n"
    assert time.process_time() - began < 5 and not sign.exists()


def test_the_template_canary_sings(sign: Path) -> None:
    jinja2 = pytest.importorskip("jinja2")
    jinja2.Template(GADGETS[0].replace("SIGN", repr(str(sign)))).render()
    assert sign.exists()


ADAPTER = {
    "peft_type": "LORA",
    "r": 8,
    "base_model_name_or_path": "google/gemma-4-E2B-it",
    "target_modules": ["q_proj"],
}


def test_an_adapter_offered_as_a_model_is_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    os.link(write_checkpoint(tmp_path / "x") / "model.safetensors", folder / "adapter_model.safetensors")
    for source in (folder, folder / "adapter_model.safetensors"):
        error = loads(source)
        assert error is not None and "is an adapter" in str(error) and "merge" in str(error), error


def test_an_adapter_beside_a_model_is_left_out_aloud(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    with pytest.warns(UserWarning) as said:
        gemsmith.load(folder, device="cpu")
    assert any("an adapter beside the model" in str(warning.message) for warning in said)
