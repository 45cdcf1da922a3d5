"""What a person can set, and where: flags over environment over project file over user file over defaults.

`table` has every setting, `values` checks one, `environment` and `files` read what is set, `settled` decides, and
`listing` shows it. Nothing below the command line reads the environment or a settings file.
"""
