import { type DialTarget, dial } from "./dial.ts";
import { goProxy } from "./go-proxy.ts";
import { type HttpAnswer, HttpClient } from "./http-client.ts";
import { familiarName, type ImageReference, parseImage } from "./image.ts";
import type { Environment } from "./program.ts";
import type { Stream, StreamSocket } from "./stream.ts";
import { hostHeader, parseUrl, type Url } from "./url.ts";

export interface PullSettings {
  /** Whose habits it has. */
  readonly client: "dockerd" | "containerd";
  /** URLs that are tried before the registry itself, by the registry. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  /** Registries that are spoken to without TLS. */
  readonly insecure: readonly string[];
}

/** What became of it: an error, or what there is to say. */
export interface Pulled {
  readonly error: string | null;
  readonly lines: readonly string[];
}

const HUB = "registry-1.docker.io";
/** dockerd gives a registry 15 s to answer, containerd's dialer gives up after 30. */
const PATIENCE = { dockerd: 15e9, containerd: 30e9 };
const SLOW = "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)";

/**
 * Fetches an image: its manifest and its layers, each by a request of its own, from the first endpoint that has it. The
 * proxy is what the environment of this very program says. Unlike Docker it speaks HTTP to an insecure registry without
 * trying TLS first, and for https it goes as far as a connection or a tunnel: hopscope models no TLS.
 */
export function pull(
  environment: Environment,
  name: string,
  settings: PullSettings,
  done: (what: Pulled) => void,
): void {
  new Pull(environment, parseImage(name), settings, done).start();
}

class Pull {
  private readonly endpoints: { readonly url: Url; readonly mirror: boolean }[];
  private error = "";

  constructor(
    private readonly environment: Environment,
    private readonly reference: ImageReference,
    private readonly settings: PullSettings,
    private readonly done: (what: Pulled) => void,
  ) {
    const { registry } = reference;
    const { mirrors, insecure } = settings;
    const urls = (mirrors.get(registry) ?? []).flatMap((text) => parseUrl(text) ?? []);
    const local = /^(localhost|127\.[\d.]+)(:|$)/.test(registry);
    const scheme = local || insecure.includes(registry) ? "http" : "https";
    const own = parseUrl(`${scheme}://${registry === "docker.io" ? HUB : registry}`);
    this.endpoints = [
      ...urls.map((url) => ({ url, mirror: true })),
      ...(own === null ? [] : [{ url: own, mirror: false }]),
    ];
  }

  start(): void {
    const endpoint = this.endpoints.shift();
    if (endpoint === undefined) {
      this.done({ error: this.wrapped(this.error), lines: [] });
      return;
    }
    const { url, mirror } = endpoint;
    const manifests = `/v2/${this.reference.repository}/manifests/${this.reference.tag}`;
    // containerd tells a mirror which registry it stands for.
    const suffix = mirror && this.settings.client === "containerd" ? `?ns=${this.reference.registry}` : "";
    const fetchManifest = () =>
      this.get("GET", url, manifests + suffix, (answer) => {
        if (answer.status === 200) this.readManifest(url, answer, suffix);
        else this.missing(answer.status, mirror);
      });
    if (this.settings.client === "containerd")
      this.get("HEAD", url, manifests + suffix, (answer) => {
        if (answer.status === 200) fetchManifest();
        else this.missing(answer.status, mirror);
      });
    else
      this.get("GET", url, "/v2/", (answer) => {
        if (answer.status === 200 || answer.status === 401) fetchManifest();
        else this.missing(answer.status, mirror);
      });
  }

  private missing(status: number, mirror: boolean): void {
    const { tag, image } = this.reference;
    const unknown =
      this.settings.client === "dockerd"
        ? `manifest for ${familiarName(this.reference)}:${tag} not found: manifest unknown: manifest unknown`
        : `${image}:${tag}: not found`;
    const why = status === 404 ? unknown : `unexpected status from registry: ${status}`;
    if (!mirror || this.error === "") this.error = why;
    this.start();
  }

  private readManifest(url: Url, { body, head }: HttpAnswer, suffix: string): void {
    const digests = [...body.matchAll(/"digest":\s*"(sha256:[0-9a-f]{64})"/g)].map(([, digest]) => digest!);
    const own = head.headers.find(([name]) => name.toLowerCase() === "docker-content-digest")?.[1] ?? "";
    const [, ...layers] = digests;
    const left = [...digests];
    const next = (): void => {
      const digest = left.shift();
      if (digest === undefined) {
        this.done({ error: null, lines: this.told(layers, own) });
        return;
      }
      this.get("GET", url, `/v2/${this.reference.repository}/blobs/${digest}${suffix}`, (answer) => {
        if (answer.status === 200) next();
        else this.missing(answer.status, false);
      });
    };
    next();
  }

  private told(layers: readonly string[], digest: string): string[] {
    const { repository, tag } = this.reference;
    return [
      `${tag}: Pulling from ${repository}`,
      ...layers.map((layer) => `${layer.slice(7, 19)}: Pull complete`),
      `Digest: ${digest}`,
      `Status: Downloaded newer image for ${familiarName(this.reference)}:${tag}`,
    ];
  }

  private wrapped(error: string): string {
    if (this.settings.client === "dockerd") return error;
    const name = `"${this.reference.image}:${this.reference.tag}"`;
    return `failed to pull and unpack image ${name}: failed to resolve reference ${name}: ${error}`;
  }

  // One request.

  private get(method: string, url: Url, path: string, answered: (answer: HttpAnswer) => void): void {
    const { environment } = this;
    const whole = `${url.scheme}://${hostHeader(url)}${path}`;
    const failed = (why: string): void => {
      const request = `${method[0]}${method.slice(1).toLowerCase()} "${whole}": ${why}`;
      this.error = this.settings.client === "dockerd" ? request : `failed to do request: ${request}`;
      this.start();
    };
    const text = goProxy(environment.env, url);
    const proxy = text === null ? null : parseUrl(text);
    if (text !== null && proxy === null) {
      failed(`invalid proxy address "${text}"`);
      return;
    }
    const { client } = this.settings;
    const { host, port } = proxy ?? url;
    const target: DialTarget = { host, port, timeout: PATIENCE[client] };
    dial(environment, target, {
      connected: (stream, peer) => {
        const by = proxy === null ? "" : ` by the proxy ${peer}`;
        environment.say(`${client}: ${method} ${whole}${by}`, environment.tcp.cause);
        if (url.scheme === "https") this.secure(stream, url, proxy !== null, failed);
        else this.ask(stream, method, url, proxy === null ? path : whole, answered, failed);
      },
      failed: (why, slow) => {
        if (slow && client === "dockerd") failed(SLOW);
        else failed(proxy === null ? why : `proxyconnect tcp: ${why}`);
      },
    });
  }

  private ask(
    stream: Stream<StreamSocket>,
    method: string,
    url: Url,
    target: string,
    answered: (answer: HttpAnswer) => void,
    failed: (why: string) => void,
  ): void {
    const client = new HttpClient(stream);
    client.onBroken = failed;
    client.send(
      { method, target, host: hostHeader(url), headers: [["User-Agent", this.settings.client]] },
      (answer) => {
        client.close();
        answered(answer);
      },
    );
  }

  private secure(stream: Stream<StreamSocket>, url: Url, proxied: boolean, failed: (why: string) => void): void {
    const stop = "hopscope models no TLS: the connection stands, and here the handshake would begin";
    if (!proxied) {
      stream.close();
      failed(stop);
      return;
    }
    const client = new HttpClient(stream);
    client.onBroken = failed;
    const target = `${url.host}:${url.port}`;
    client.send({ method: "CONNECT", target, host: target }, ({ status, head }) => {
      client.close();
      failed(status === 200 ? stop : head.start.replace(/^\S+ \d+ /, ""));
    });
  }
}
