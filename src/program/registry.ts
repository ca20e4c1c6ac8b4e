import type { Random } from "../sim/random.ts";
import type { Arguments } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import { type Answering, HttpService, type Received } from "./http-service.ts";
import { parseImage } from "./image.ts";
import type { Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { type ListenAt, listen } from "./tcp-listener.ts";

const NAME = "registry";
const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
/** Bytes of each layer. */
const LAYER = 512;

/** `registry [-b address] port image...`. @throws {InputError} */
export function parseRegistry(words: Arguments): Program {
  const bind = words.option("b");
  const address = bind === null ? 0 : words.address(bind);
  const port = words.port(words.operand("the port to listen on"));
  const images = [words.operand("an image such as rancher/k3s:v1.30").text];
  while (words.operands.length > 0) images.push(words.operand("an image").text);
  return registry({ address, port }, images);
}

/**
 * A registry of images (the distribution API), without TLS. Its images are made up: a configuration and two layers, named
 * by digests that are drawn from the seed.
 */
export function registry(at: ListenAt, images: readonly string[]): Program {
  return {
    name: NAME,
    serves: true,
    start(environment) {
      const shelf = new Shelf(images, environment.random);
      listen(environment, NAME, at, (socket) => {
        const from = formatEndpoint(socket.peer!);
        new HttpService(new Stream(socket), (request, respond) => {
          const answer = shelf.answer(request);
          environment.say(`from ${from}: ${request.method} ${request.target}, ${answer.status}`, environment.tcp.cause);
          respond(answer);
        }).start();
      });
    },
  };
}

class Shelf {
  /** By `repository:tag`, and by digest. */
  private readonly manifests = new Map<string, { readonly digest: string; readonly text: string }>();
  private readonly blobs = new Set<string>();

  constructor(images: readonly string[], random: Random) {
    for (const name of images) {
      const { repository, tag } = parseImage(name);
      const digest = (part: string): string => {
        const source = random.fork(`${repository}:${tag}/${part}`);
        return `sha256:${Array.from({ length: 8 }, () => (source.next() >>> 0).toString(16).padStart(8, "0")).join("")}`;
      };
      const blobs = ["config", "layer 1", "layer 2"].map((part) => ({ digest: digest(part), size: LAYER }));
      for (const blob of blobs) this.blobs.add(blob.digest);
      const [config, ...layers] = blobs;
      const manifest = {
        digest: digest("manifest"),
        text: JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }),
      };
      this.manifests.set(`${repository}:${tag}`, manifest);
      this.manifests.set(`${repository}:${manifest.digest}`, manifest);
    }
  }

  answer({ method, target }: Received): Answering {
    if (method !== "GET" && method !== "HEAD") return { status: 405 };
    const path = target.replace(/^https?:\/\/[^/]*/, "").replace(/\?.*$/, "");
    if (path === "/v2/") return { status: 200, body: "{}" };
    const [, repository = "", kind = "", name = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (kind === "blobs" && this.blobs.has(name)) return { status: 200, body: "x".repeat(LAYER) };
    const manifest = kind === "manifests" ? this.manifests.get(`${repository}:${name}`) : undefined;
    if (manifest === undefined) return { status: 404, body: '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}' };
    const headers = [
      ["Content-Type", MANIFEST],
      ["Docker-Content-Digest", manifest.digest],
    ] as const;
    return { status: 200, headers, body: manifest.text };
  }
}
