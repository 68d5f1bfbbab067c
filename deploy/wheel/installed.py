"""The Ethos-U55 regression bench, as it is installed.

Use it as the command `bench`, and from tests of your own through the fixtures `measure` and
`bench_cell`. What is inside of this package is not meant to be imported.
"""
