import { parseRules } from "../../src/kernel/netfilter/rule-text.ts";
import { parseCommand } from "../../src/program/commands.ts";
import type { Program } from "../../src/program/program.ts";
import { addRoute, parseRoute } from "../../src/scenario/routing.ts";
import { parseInterface } from "../../src/wire/address.ts";
import { World } from "../../src/world/world.ts";

/** client 10.0.1.2 - 10.0.1.1 router1 10.0.2.1 - 10.0.2.2 router2 10.0.3.1 - 10.0.3.2 server. */
export function smallWorld(): World {
  const world = new World(1);
  const names = ["client", "router1", "router2", "server"];
  for (const name of names)
    world.addNamespace(name).net.sysctls.set("net.ipv4.ip_forward", name.startsWith("router") ? 1 : 0);
  connect(world, "client/eth0 10.0.1.2/24", "router1/eth0 10.0.1.1/24");
  connect(world, "router1/eth1 10.0.2.1/24", "router2/eth0 10.0.2.2/24");
  connect(world, "router2/eth1 10.0.3.1/24", "server/eth0 10.0.3.2/24");
  addRoute(world, "client", parseRoute("default via 10.0.1.1"));
  addRoute(world, "router1", parseRoute("10.0.3.0/24 via 10.0.2.2"));
  addRoute(world, "router2", parseRoute("10.0.1.0/24 via 10.0.2.1"));
  addRoute(world, "server", parseRoute("default via 10.0.3.1"));
  return world;
}

function connect(world: World, ...ends: [string, string]): void {
  const parts = ends.map((end) => end.split(/[ /]/) as [string, string, string, string]);
  const [left, right] = parts.map(([namespace, device]) => ({ namespace, device }));
  for (const device of world.addCable(left!, right!)) device.setUp(true);
  for (const [namespace, device, address, length] of parts) {
    const parsed = parseInterface(`${address}/${length}`);
    world.host(namespace).net.addAddress(world.inDevice(namespace, device), parsed.address, parsed.length);
  }
}

export function loadRules(world: World, namespace: string, rules: string): void {
  world.host(namespace).net.netfilter.load(parseRules(rules, "test.rules"));
}

/** What a program printed, with the virtual second of each line, and its exit status. */
export interface Printed {
  readonly lines: string[];
  readonly seconds: number[];
  status: number | null;
}

/** Starts a program, or a command line; the world still has to run. */
export function start(world: World, namespace: string, program: Program | string, env = {}): Printed {
  const host = world.host(namespace);
  const { scheduler } = world.fabric;
  const printed: Printed = { lines: [], seconds: [], status: null };
  const place = { file: "test", line: 1, column: 1 };
  (typeof program === "string" ? parseCommand(program, place) : program).start({
    ...host,
    env: { ...host.env, ...env },
    scheduler,
    random: host.net.random.fork("program"),
    say(line) {
      printed.lines.push(line);
      printed.seconds.push(scheduler.now / 1e9);
    },
    exit(status) {
      if (printed.status !== null) throw new Error("the program ended twice");
      printed.status = status;
    },
  });
  return printed;
}

/** Runs one command to its end. */
export function run(world: World, namespace: string, command: string, env = {}): Printed {
  const printed = start(world, namespace, command, env);
  world.run();
  return printed;
}
