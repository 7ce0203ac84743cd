// Reads an AsyncAPI document from stdin with the official parser, and prints what it makes of it.
import { readFileSync } from "node:fs";
import parser from "@asyncapi/parser";

const { document, diagnostics } = await new parser.Parser().parse(readFileSync(0, "utf8"));
const ids = (all) => all.map((one) => one.id());
console.log(
  JSON.stringify({
    channels: document ? ids(document.channels().all()) : [],
    operations: document ? ids(document.operations().all()) : [],
    diagnostics: diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path })),
  }),
);
