import { formatIpv4 } from "../wire/address.ts";
import { devicesOf, hostnameOf, type Machine, readFile } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";

/** `cat FILE...`: the files that a scenario or Docker gives a host. */
export function cat(args: readonly string[], machine: Machine): Printed {
  let out = "";
  let err = "";
  for (const path of args) {
    const text = readFile(machine, path) ?? (path === "/etc/hostname" ? `${hostnameOf(machine)}\n` : null);
    if (text === null) err += `cat: ${path}: No such file or directory\n`;
    else out += text;
  }
  if (args.length === 0) throw new Refusal("a file is missing; such as /etc/hosts or /etc/resolv.conf", 1);
  return { out, err, status: err === "" ? 0 : 1 };
}

/** `hostname [-i|-I]`. */
export function hostname(args: readonly string[], machine: Machine): Printed {
  const [option] = args;
  if (option === undefined) return printed(`${hostnameOf(machine)}\n`);
  const addresses = devicesOf(machine.host.net).flatMap(
    ({ index }) => machine.host.net.inDevices.get(index)!.addresses,
  );
  if (option === "-I")
    return printed(
      `${addresses
        .filter(({ scope }) => scope !== "host")
        .map(({ address }) => `${formatIpv4(address)} `)
        .join("")}\n`,
    );
  throw unmodelled(`hostname ${option}`, "hostname and hostname -I");
}

/** `sysctl NAME`, `sysctl -n NAME`, `sysctl -w NAME=VALUE`. */
export function sysctl(args: readonly string[], machine: Machine): Printed {
  const { sysctls } = machine.host.net;
  const bare = args.includes("-n");
  let out = "";
  for (const word of args) {
    if (word === "-w" || word === "-n") continue;
    if (word.startsWith("-")) throw unmodelled(`sysctl ${word}`, "sysctl [-n] [-w] NAME[=VALUE]");
    const [name = "", value] = word.replaceAll("/", ".").split("=");
    try {
      if (value !== undefined) sysctls.set(name, value);
      out += `${bare ? "" : `${name} = `}${value ?? sysctls.read(name)}\n`;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new Refusal(error.message, 255);
    }
  }
  if (out === "") throw new Refusal("a name is missing, such as net.ipv4.ip_forward", 1);
  return printed(out);
}
