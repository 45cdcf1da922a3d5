"""The generate loop, one file per stage: ids (`tokens`), held-back text (`stop`), messages (`reply`), plain text."""
