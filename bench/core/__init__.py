"""The foundation: errors, schemas, files, fingerprints, arrays, processes.

Imports no other package of the project.
"""
