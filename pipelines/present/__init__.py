"""What a result looks like: as text, as JSON, and as the parts of the page. Nothing here knows the page's framework."""
