"""The code that a study names: where it is found, whether it is there, and how it gets to where it trains.

    user_modules          modules of the user's, served beside Bandstand's
    needed_modules        the installed modules that Bandstand itself stands on
    code_check            whether the modules that a study names are there
    source_check          what their sources say, without importing them
    code_archive          a project as a zip file, for a server's cluster
    packed_functions      functions that no module holds, pickled, with a small module that loads them
    code_print       what of a user's sources a study can reach, as a digest for each part
    function_fingerprint  names that module by what the functions are
    kept_functions        keeps them for runs on this machine, while `bandstand.client` sends them to a server

Functions that no module holds are typed into a notebook, made by another function, or are an object with its state.
"""
