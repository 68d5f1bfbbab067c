"""Jobs for the firmware, and the firmware's answers.

`device_job` describes a job, `image` turns jobs into the bytes that are loaded, `frames` reads the
lines of the answer, `answers` puts them together, and `memory` has the addresses.
Nothing is imported here, so code that needs only an address does not load pydantic.
"""
