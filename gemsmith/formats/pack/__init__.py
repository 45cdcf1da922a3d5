"""The packed checkpoint: a model as its kernels read it, in one safetensors file that is mapped and never copied.

plan.py     what a pack holds, from the config alone
policy.py   which format each tensor gets
source.py   what a pack is made from
content.py  the bytes of one tensor
head.py     the header, with sums
small_files.py  config, tokenizer and template beside it, with sums
open.py     a folder, opened
verify.py   all of it against its sums
stage.py    the hidden folder that takes a pack's name when it is whole
write.py    a folder, written
memory.py   a pack without a file
sizes.py    bytes, of a pack that is there or will be
"""

from gemsmith.formats.pack.head import PACK_FILE
from gemsmith.formats.pack.memory import pack_in_memory
from gemsmith.formats.pack.open import Pack, PackedView, is_pack, open_pack
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors, packed_tensors
from gemsmith.formats.pack.policy import POLICIES, Policy, pack_bytes, usually_read
from gemsmith.formats.pack.sizes import PackSizes, known_sizes, planned_sizes, sizes_of
from gemsmith.formats.pack.source import PackSource, SourceTensor
from gemsmith.formats.pack.verify import damaged, verify_pack
from gemsmith.formats.pack.write import write_pack

__all__ = [
    "PACK_FILE",
    "POLICIES",
    "Pack",
    "PackSizes",
    "PackSource",
    "PackedTensor",
    "PackedView",
    "Policy",
    "SourceTensor",
    "all_packed_tensors",
    "damaged",
    "is_pack",
    "known_sizes",
    "open_pack",
    "pack_bytes",
    "pack_in_memory",
    "packed_tensors",
    "planned_sizes",
    "sizes_of",
    "usually_read",
    "verify_pack",
    "write_pack",
]
