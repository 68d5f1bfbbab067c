"""The same cells on many machines: Dask carries the work there and what is made back.

The cluster makes *records*; the process that the user started judges them, as it does any others.
`jobs` cuts the work of a run into tasks, `dispatch` says which may start, `driving` gives them to
Dask, and `making` is what happens on a worker. Products travel as `parcels`, checked by hash.
"""
