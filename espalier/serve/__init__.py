"""`espalier serve`: models and indexes behind OpenAI's protocol, with a page to talk to them.

requests    what a client asks for, checked
text        token ids made text while they come
writing     one answer while it is written
running     rows of several answers, computed together
writer      the one thread that computes, and the queue before it
served      a model on this machine; what strategies ask in its place
solving     a question put to a strategy; `sources`: how its quotes are numbered, listed and linked
knowledge   an index, which answers with its sources
vectors     an embedder
upstream    another server, to which requests are passed on
replies     answers in the protocol's form
guard       who may ask, how much, how long
app         the routes; `pages`: what browsers are shown
opening     what is to be served, opened; `process`: the port, the key and the end
"""
