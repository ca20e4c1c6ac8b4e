import { containerValue } from "../docker/container-view.ts";
import { isBefore } from "../docker/engine.ts";
import type { Container, DockerHost, DockerNetwork } from "../docker/model.ts";
import { networkValue } from "../docker/network-view.ts";
import { type DockerOptions, readOptions } from "./docker-options.ts";
import { formatTemplate } from "./go-template.ts";
import { lines, type Printed, Refusal } from "./printed.ts";

/** By its name, or the beginning of its ID where it is of one alone. */
function find<T extends { readonly id: string }>(all: ReadonlyMap<string, T>, name: string): T | null {
  const byId = [...all.values()].filter(({ id }) => /^[0-9a-f]{3,}$/.test(name) && id.startsWith(name));
  return all.get(name) ?? (byId.length === 1 ? byId[0]! : null);
}

/** @throws {Refusal} in dockerd's words. */
export function findContainer(host: DockerHost, name: string): Container {
  const found = find(host.containers, name.replace(/^\//, ""));
  if (found === null) throw new Refusal(`Error response from daemon: No such container: ${name}`, 1);
  return found;
}

const OPTIONS = { format: { letter: "f", value: true }, type: { value: true }, size: { letter: "s" } } as const;

/** `docker inspect NAME...`: containers, then networks. */
export function inspectAny(host: DockerHost, args: readonly string[]): Printed {
  const options = readOptions("inspect", args, OPTIONS);
  const [type] = options.values("type");
  if (type === "container") return inspectContainers(host, args);
  if (type === "network") return inspectNetworks(host, args);
  const missing = isBefore(host.engine, 28) ? "Error: No such object" : "error: no such object";
  return inspect(options, "inspect", (name) => {
    const container = find(host.containers, name.replace(/^\//, ""));
    const network = container === null ? find(host.networks, name) : null;
    if (container !== null) return containerValue(container, host);
    return network === null ? `${missing}: ${name}` : networkValue(host, network);
  });
}

/** `docker container inspect NAME...`. */
export function inspectContainers(host: DockerHost, args: readonly string[]): Printed {
  return inspect(readOptions("container inspect", args, OPTIONS), "container inspect", (name) => {
    const found = find(host.containers, name.replace(/^\//, ""));
    return found === null ? `Error response from daemon: No such container: ${name}` : containerValue(found, host);
  });
}

/** `docker network inspect NAME...`. */
export function inspectNetworks(host: DockerHost, args: readonly string[]): Printed {
  return inspect(readOptions("network inspect", args, OPTIONS), "network inspect", (name) => {
    const found: DockerNetwork | null = find(host.networks, name);
    return found === null ? `Error response from daemon: network ${name} not found` : networkValue(host, found);
  });
}

/** What is there is printed, what is not is told; a look-up answers its complaint as a text. */
function inspect(options: DockerOptions, command: string, lookUp: (name: string) => object | string): Printed {
  const { operands } = options;
  if (operands.length === 0) throw new Refusal(`"docker ${command}" requires at least 1 argument.`, 1);
  const answers = operands.map(lookUp);
  const found = answers.filter((answer) => typeof answer === "object");
  const err = lines(answers.filter((answer) => typeof answer === "string"));
  const [format] = options.values("format");
  const whole = format === undefined || format === "json";
  const out = whole
    ? `${JSON.stringify(found, null, format === "json" ? undefined : 4)}\n`
    : lines(found.map((value) => formatTemplate(format, value)));
  return { out, err, status: err === "" ? 0 : 1 };
}
