"""`espalier serve`: models and indexes behind OpenAI's protocol, with a page to talk to them.

requests   what a client asks for, checked
running    rows of several requests, written together
writer     the one thread that computes, and the queue before it
served     a model on this machine; what strategies ask in its place
knowledge  an index, which answers with its sources
upstream   another server, to which requests are passed on
replies    answers in the protocol's form
guard      who may ask, how much, how long
app        the routes;  process: the port, the key and the end
"""
