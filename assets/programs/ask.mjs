// Ask the page's server from JavaScript: `node ask.mjs [ADDRESS] FILE`. It needs `npm install @gradio/client`.
import { readFile } from "node:fs/promises";
import { Client } from "@gradio/client";

const [file, address = "http://127.0.0.1:7860"] = process.argv.slice(2).reverse();
const client = await Client.connect(address);
const picture = new Blob([await readFile(file)]);

// as it grows: `finish_reason` is null until the last
const job = client.submit("/ask", { question: "How many red shapes are there?", files: [picture] });
for await (const message of job) {
  if (message.type === "data") {
    const [result] = message.data;
    console.log(result.reasoning.length, "characters of thought", result.answer);
  }
}

// or only the last
const { data } = await client.predict("/detect", { file: picture, what: "red circle" });
for (const region of data[0].regions) {
  console.log(region.label, region.box.join(" ")); // 0 to 1000 on the upright picture
}
client.close();
process.exit(); // under Node the client's own heartbeat would keep the program alive
