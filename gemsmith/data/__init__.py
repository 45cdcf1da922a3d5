"""The synthetic curriculum: examples made from a seed, with answers known to be right. Knows no model and no torch.

- `curriculum.py`: abilities, and the endless stream of examples
- `example.py`: one example
- `split.py`: which content is held out
- `arithmetic.py`: sums and differences, with and without a thought
- `copying.py`: sequences to say again
- `sorting.py`: lists to put in order
- `lookup.py`: values to find in long lists
- `tools.py`: calls from requests, answers from results
- `catalogue.py`: the tools themselves
- `slots.py`: what a tool is made of, and where values come from
- `packing.py`: examples to batches
- `about.py`: questions about gemsmith
- `questions.toml`: those questions, their phrasings and answers
- `unknown.py`: questions to which the honest answer is that pebble does not know
- `conversation.py`: several turns, system prompts, thoughts beyond arithmetic
- `words.py`: the words that all of them use
"""
