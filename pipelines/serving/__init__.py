"""What answers for a page: the models that are loaded, the conversation of each visitor, the stream of a reply."""
