// Sends a file by the protocol's own client, breaks off after the first chunk, and goes on where the server says.
import { readFileSync } from "node:fs";
import * as tus from "tus-js-client";

const { endpoint, key, data, chunk } = JSON.parse(readFileSync(0, "utf8"));
const file = Buffer.from(data, "base64");

function send(uploadUrl, stopAfter) {
  return new Promise((resolve, reject) => {
    let media = null;
    const upload = new tus.Upload(file, {
      endpoint,
      uploadUrl,
      uploadSize: file.length,
      chunkSize: chunk,
      retryDelays: null,
      headers: { Authorization: `Bearer ${key}` },
      metadata: { filename: "spring.jpg", filetype: "text/html" },
      onAfterResponse: (request, response) => {
        media = response.getHeader("Drl-Media") ?? media;
      },
      onChunkComplete: (_size, accepted) => {
        if (accepted >= stopAfter) {
          upload.abort().then(() => resolve({ url: upload.url, accepted, media }), reject);
        }
      },
      onSuccess: () => resolve({ url: upload.url, accepted: file.length, media }),
      onError: reject,
    });
    upload.start();
  });
}

const begun = await send(null, chunk);
const ended = await send(begun.url, Infinity);
console.log(JSON.stringify({ begun, ended }));
