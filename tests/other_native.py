"""A pytest plugin (`-p tests.other_native`): takes another build of the native kernels than the installed one.

GEMSMITH_TEST_NATIVE is the path of the extension module. Whatever asks for `gemsmith.kernels._native` then finds it.
"""

from __future__ import annotations

import importlib.util
import os
import sys

NAME = "gemsmith.kernels._native"

spec = importlib.util.spec_from_file_location(NAME, os.environ["GEMSMITH_TEST_NATIVE"])
assert spec and spec.loader
sys.modules[NAME] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[NAME])
