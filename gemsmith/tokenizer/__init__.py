"""Text to token ids and back: Gemma 4's vocabulary without torch and without `tokenizers`.

- `tokenizer.py`: Tokenizer: encode content, decode ids, name control tokens
- `stream.py`: StreamDecoder: text as it is generated, never half a character
- `load.py`: load_tokenizer: from a folder, a tokenizer.json or a .gguf file
- `bpe.py`: byte-pair encoding itself, in Python
- `native.py`: … in native code, over a table
- `table.py`: a vocabulary as one mapped file; `table_writer.py` writes it, `kept_tables.py` keeps those of large ones
- `control.py`: which tokens are Gemma's control tokens
- `vocabulary.py`: what a tokenizer file says, and whether it contradicts itself
- `json_vocabulary.py`: … read from and written to tokenizer.json
- `gguf_vocabulary.py`: … read from GGUF metadata
- `gguf.py`: GGUF metadata in general
"""

from gemsmith.tokenizer.load import load_tokenizer
from gemsmith.tokenizer.stream import StreamDecoder
from gemsmith.tokenizer.tokenizer import Tokenizer

__all__ = ["StreamDecoder", "Tokenizer", "load_tokenizer"]
