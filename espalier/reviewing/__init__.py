"""Pages on this machine to look through questions, and to say which of two answers is better.

server      a page behind a random address that only this machine can reach
questions   accept, edit, refuse
ballot      two answers side by side, blind
answers     where the answers come from
"""
