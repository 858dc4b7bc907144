"""The demonstration world: pictures drawn by code, questions, thoughts, the data set, the scripted models of a rehearsal.

No run on data of one's own needs anything of it.
"""
