"""How the answer of a mind is read: a stranger's text, of which a genome comes or a reason. Pure."""
