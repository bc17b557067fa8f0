"""Functions that no module holds, on their way to where they train.

They are typed into a notebook, made by another function, or are an object with its state. `packed` pickles them, with a
small module that loads them; `fingerprint` names that module by what they are; `kept` keeps them for runs on this
machine, while `bandstand.client` sends them to a server.
"""
