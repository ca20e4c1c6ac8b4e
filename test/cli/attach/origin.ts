import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes that look like chance and are the same every time. */
export function noise(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let word = 1;
  for (let at = 0; at < size; at++) {
    word = (Math.imul(word, 1_103_515_245) + 12_345) | 0;
    bytes[at] = word >>> 16;
  }
  return bytes;
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** An HTTP server on loopback: GET gives `content`, PUT answers with the checksum of what came. */
export async function origin(content: Buffer): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    if (request.method === "GET") {
      response.end(content);
      return;
    }
    const hash = createHash("sha256");
    request.on("data", (data: Buffer) => hash.update(data));
    request.on("end", () => response.end(`${hash.digest("hex")}\n`));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}
