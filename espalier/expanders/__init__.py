"""Ways to rewrite a query before it is searched, one file each; each wraps a retriever and is one."""
