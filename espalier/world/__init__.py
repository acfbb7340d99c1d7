"""An invented world, as large as asked: entities, facts, documents, questions, and rows for every method."""
