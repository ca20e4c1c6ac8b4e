import { parse } from "yaml";
import type { Arguments } from "./command-line.ts";
import { dial } from "./dial.ts";
import { HttpClient } from "./http-client.ts";
import { HttpService } from "./http-service.ts";
import type { Program } from "./program.ts";
import { type PullSettings, pull } from "./pull.ts";
import { Stream } from "./stream.ts";

const SOCKET = "/run/k3s/containerd/containerd.sock";
const PULL_IMAGE = "/runtime.v1.ImageService/PullImage";
const REGISTRIES = "/etc/rancher/k3s/registries.yaml";
/** `k3s server`, or `k3s agent`. @throws {InputError} */
export function parseK3s(words: Arguments): Program {
  const word = words.operand("server or agent");
  if (word.text !== "server" && word.text !== "agent") throw words.error(word, "server or agent");
  words.finish();
  return k3s();
}

/**
 * The part of K3s that fetches images: containerd with the environment of K3s, in which `CONTAINERD_HTTP_PROXY` and its
 * like count for more, and with the mirrors of registries.yaml as it was when K3s started.
 */
export function k3s(): Program {
  return {
    name: "k3s",
    serves: true,
    start(environment) {
      const { unix, files } = environment;
      const mirrors = readMirrors(files.get(REGISTRIES) ?? "");
      if (mirrors === null) {
        environment.say(`k3s: ${REGISTRIES} cannot be read`);
        environment.exit(1);
        return;
      }
      const env: Record<string, string> = { ...environment.env };
      for (const [key, value] of Object.entries(environment.env))
        if (key.startsWith("CONTAINERD_")) env[key.slice("CONTAINERD_".length)] = value;
      const settings: PullSettings = { client: "containerd", mirrors, insecure: [] };
      const socket = unix.open();
      if (socket.bind(SOCKET) !== null) {
        environment.say("k3s: containerd runs already");
        environment.exit(1);
        return;
      }
      socket.listen();
      environment.say(`containerd is listening on ${SOCKET}`);
      socket.onAccept = (client) =>
        new HttpService(new Stream(client), ({ target, body }, respond) => {
          if (target !== PULL_IMAGE) respond({ status: 404 });
          else
            pull({ ...environment, env }, body, settings, ({ error, lines }) =>
              respond(error === null ? { status: 200, body: lines.join("\n") } : { status: 500, body: error }),
            );
        }).start();
    },
  };
}

/** The endpoints of each registry; null for a file that is no YAML. */
function readMirrors(text: string): ReadonlyMap<string, readonly string[]> | null {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    return null;
  }
  const entries = Object.entries(Object(Object(value).mirrors)) as [string, unknown][];
  return new Map(entries.map(([registry, mirror]) => [registry, textsOf(Object(mirror).endpoint)]));
}

const textsOf = (list: unknown): string[] =>
  Array.isArray(list) ? list.filter((item): item is string => typeof item === "string") : [];

/** `crictl pull image`. @throws {InputError} */
export function parseCrictl(words: Arguments): Program {
  const word = words.operand("pull");
  if (word.text !== "pull") throw words.error(word, "pull");
  const image = words.operand("an image such as rancher/mirrored-pause:3.6").text;
  words.finish();
  return {
    name: "crictl",
    serves: false,
    start(environment) {
      const fail = (why: string): void => {
        environment.say(why, environment.tcp.cause);
        environment.exit(1);
      };
      dial(
        environment,
        { unix: SOCKET },
        {
          connected(stream) {
            const client = new HttpClient(stream);
            client.onBroken = fail;
            client.send({ method: "POST", target: PULL_IMAGE, host: "localhost", body: image }, ({ status, body }) => {
              client.close();
              if (status !== 200) {
                fail(`E pulling image: ${body}`);
                return;
              }
              environment.say(`Image is up to date for ${image}`, environment.tcp.cause);
              environment.exit(0);
            });
          },
          failed: (why) => fail(`validate service connection: ${why}`),
        },
      );
    },
  };
}
