"""Products from elsewhere: a store that several machines share, or another machine's cache.

What comes from there is checked before it gets a name here: the manifest must be that of the key,
and every file must have the manifest's size and sha256. So a damaged or hostile store costs time
and nothing else, with one exception that no hash removes: whoever may *write* to the store can put
a product of their own making under a key.
"""
