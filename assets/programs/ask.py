"""Ask the page's server from Python: `python ask.py [ADDRESS] FILE`. It needs `pip install gradio_client`."""

import sys

from gradio_client import Client, handle_file

*address, file = sys.argv[1:]
client = Client(address[0] if address else "http://127.0.0.1:7860", verbose=False)

# as it grows: `finish_reason` is None until the last
for result in client.submit("How many red shapes are there?", [handle_file(file)], api_name="/ask"):
    print(len(result["reasoning"]), "characters of thought", result["answer"])
print(result["tokens"], result["timing"]["total_ms"], "ms")

# or only the last
result = client.predict(handle_file(file), "red circle", api_name="/detect")
for region in result["regions"]:
    print(region["label"], region["box"])  # 0 to 1000 on the upright picture
