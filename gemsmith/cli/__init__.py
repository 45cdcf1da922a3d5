"""The command `gemsmith`: one file per command. Each parses, calls, prints."""
