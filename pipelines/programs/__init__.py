"""What programs can ask for: seven tools, each with a typed result, the same over HTTP and over MCP."""
