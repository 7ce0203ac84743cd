// Reads CloudEvents from stdin with the official SDK: [{headers, body}], in binary or structured mode; prints them.
import { readFileSync } from "node:fs";
import { HTTP } from "cloudevents";

const messages = JSON.parse(readFileSync(0, "utf8"));
const read = messages.map((message) => {
  const event = HTTP.toEvent(message);
  event.validate();
  return event.toJSON();
});
console.log(JSON.stringify(read));
