"""From a name to a model: embedded weights, local paths, Hugging Face's cache, downloads, random stand-ins.

    names.py       what a name leads to on this machine, or on the Hub
    known.py       the names people know, and the repositories they mean
    places.py      what the environment says: cache, host, offline
    cache.py       what is in Hugging Face's cache
    fetch.py       a model that is here, or is made to be
    pull.py        look up, check that it fits, fetch, check, make visible
    repository.py  what the Hub lists, and which of it is needed
    connection.py  requests, and their failures in a person's words
    transfer.py    one file, whole and with the right sum
    partial.py     a file that is being fetched
    store.py       how files arrive in the cache, and how they appear
    remove.py      taking a model out again
    report.py      what a person hears meanwhile
    pebble/        the weights that come with the package

Opens no weights; that is for `formats`. Imports huggingface_hub only where the network is asked.
"""

from gemsmith.hub.names import Resolved, available_names, resolve

__all__ = ["Resolved", "available_names", "resolve"]
