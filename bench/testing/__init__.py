"""For tests of other people: fixtures that measure, and what they return.

pytest loads `plugin` in every run of every project in the environment, so it imports nothing else
before a test asks for a fixture.
"""
