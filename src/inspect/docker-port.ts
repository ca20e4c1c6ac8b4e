import { type Engine, isBefore } from "../docker/engine.ts";
import type { Container, DockerHost, PortBinding } from "../docker/model.ts";
import { findContainer } from "./docker-inspect.ts";
import { readOptions } from "./docker-options.ts";
import { lines, type Printed, printed, Refusal } from "./printed.ts";

/** Until 26 an IPv6 address stands without its brackets. */
const addressText = (address: string, engine: Engine): string =>
  address.includes(":") && !isBefore(engine, 27) ? `[${address}]` : address;

/** The column PORTS (`DisplayablePorts()`): what is open but not published, what has its own number, then the others. */
export function portsText(container: Container, engine: Engine): string {
  const { ports, exposed, state } = container;
  if (state !== "running") return "";
  const isPublished = (each: string) => ports.some((port) => each === `${port.containerPort}/${port.protocol}`);
  const open = exposed
    .filter((each) => !isPublished(each))
    .map((each) => {
      const [number, protocol] = each.split("/");
      return { containerPort: Number(number), protocol: protocol!, hostAddress: "", hostPort: 0 };
    });
  const all = [...open, ...ports].sort(
    (a, b) =>
      a.containerPort - b.containerPort ||
      order(a.hostAddress, b.hostAddress) ||
      a.hostPort - b.hostPort ||
      order(a.protocol, b.protocol),
  );
  const text = (before: string, protocol: string, first: number, last: number) => {
    const range = first === last ? `${first}` : `${first}-${last}`;
    return `${before === "" ? "" : `${before}${range}->`}${range}/${protocol}`;
  };
  const groups = new Map<string, Parameters<typeof text>>();
  const closed: string[] = [];
  const others: string[] = [];
  for (const { containerPort, protocol, hostAddress, hostPort } of all) {
    const before = hostAddress === "" ? "" : `${addressText(hostAddress, engine)}:`;
    if (before !== "" && hostPort !== containerPort) {
      others.push(`${before}${hostPort}->${containerPort}/${protocol}`);
      continue;
    }
    const key = `${before}/${protocol}`;
    const group = groups.get(key);
    const goesOn = group?.[3] === containerPort - 1;
    if (group !== undefined && !goesOn) closed.push(text(...group));
    groups.set(key, [before, protocol, goesOn ? group[2] : containerPort, containerPort]);
  }
  return [...closed, ...[...groups.values()].map((group) => text(...group)), ...others].join(", ");
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `docker port CONTAINER [PORT[/PROTOCOL]]`. */
export function dockerPort(host: DockerHost, args: readonly string[]): Printed {
  const { operands } = readOptions("port CONTAINER [PORT[/PROTOCOL]]", args, {});
  const [name, wanted] = operands;
  if (name === undefined) throw new Refusal('"docker port" requires at least 1 argument.', 1);
  const { ports } = findContainer(host, name);
  const text = ({ hostAddress, hostPort }: PortBinding) => {
    const address = hostAddress.includes(":") && !isBefore(host.engine, 23) ? `[${hostAddress}]` : hostAddress;
    return `${address}:${hostPort}`;
  };
  const inside = ({ containerPort, protocol }: PortBinding) => `${containerPort}/${protocol}`;
  if (wanted === undefined) {
    const all = [...ports].sort((a, b) => a.containerPort - b.containerPort || order(a.protocol, b.protocol));
    return printed(lines(all.map((port) => `${inside(port)} -> ${text(port)}`)));
  }
  const whole = wanted.includes("/") ? wanted : `${wanted}/tcp`;
  const found = ports.filter((port) => inside(port) === whole);
  if (found.length > 0) return printed(lines(found.map(text)));
  const said = isBefore(host.engine, 28) ? `Error: No public port '${whole}'` : `no public port '${wanted}'`;
  throw new Refusal(`${said} published for ${name}`, 1);
}
