"""The page: its layout, and handlers that put what the other parts make into components. Gradio is known here alone."""
