"""The ground: errors, schemas, files, fingerprints, arrays, processes. Imports nothing of ours."""
