"""The FVP in a container."""
