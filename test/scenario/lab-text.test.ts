import { describe, expect, it } from "vitest";
import { LabText } from "../../src/scenario/lab-text.ts";
import { InputError } from "../../src/wire/input-error.ts";

const A = '"namespaces": {"a": {}}';

function refusal(text: string): string {
  try {
    new LabText(text, "case.json").run();
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("a lab case", () => {
  it.each<[string, string, string]>([
    ["text that is no JSON", '{"namespaces": {"a": {}},}', 'case.json:1:26: found "}", expected JSON'],
    ["text that ends early", '{"namespaces": {', "case.json:1:17: found the end of the line, expected JSON"],
    ["a list", "[]", "case.json:1:1: found a list, expected a lab case: an object with namespaces"],
    [
      "a key that a namespace has not",
      '{"namespaces": {"a": {\n  "rule": ""}}}',
      'case.json:2:3: found "rule", expected a key of a namespace (sysctls, devs, addrs, routes, policy, neigh, fdb, ipsets, rules) at namespaces.a.rule',
    ],
    [
      "an address that is none",
      '{"namespaces": {"a": {"addrs": [["lo", "10.0.0/24"]]}}}',
      'case.json:1:40: found "10.0.0/24", expected an IPv4 address with its prefix length such as 172.17.0.2/16 at namespaces.a.addrs.0.1',
    ],
    [
      "a device that is not there",
      '{"namespaces": {"a": {"addrs": [["eth0", "10.0.0.1/24"]]}}}',
      "case.json:1:33: found a list, expected an address of a device (no device eth0 in namespace a) at namespaces.a.addrs.0",
    ],
    [
      "a device that nothing makes",
      '{"namespaces": {"a": {"devs": {"eth0": {}}}}}',
      "case.json:1:40: found a map, expected a bridge, a dummy or the end of a cable at namespaces.a.devs.eth0",
    ],
    [
      "a cable to nowhere",
      `{${A}, "veths": [["a/eth0", "b/eth0"]]}`,
      'case.json:1:48: found "b/eth0", expected a free end of a cable (no namespace b) at veths.0.1',
    ],
    [
      "a rule that iptables refuses, by its line",
      '{"namespaces": {"a": {"rules": "*filter\\n-A INPUT -p upd -j DROP\\nCOMMIT\\n"}}}',
      "line 2, column 13: found",
    ],
    [
      "a step that is none",
      `{${A}, "steps": [{"op": "explode"}]}`,
      'case.json:1:44: found "explode", expected a step (frame, raw, udp,',
    ],
    [
      "a step with the name of what every object has",
      `{${A}, "steps": [{"op": "constructor"}]}`,
      'case.json:1:44: found "constructor", expected a step (frame, raw, udp,',
    ],
    [
      "a sysctl with such a name",
      '{"namespaces": {"a": {"sysctls": {"constructor": 1}}}}',
      "expected a sysctl that hopscope models",
    ],
    [
      "a route to a table with such a name",
      '{"namespaces": {"a": {"routes": [{"dst": "10.0.0.0/8", "dev": "lo", "table": "constructor"}]}}}',
      "found",
    ],
    [
      "a step that says too little",
      `{${A}, "steps": [{"op": "rules", "ns": "a"}]}`,
      "case.json:1:37: found a map, expected a step rules with text at steps.0",
    ],
    [
      "a sysctl that hopscope does not model",
      '{"namespaces": {"a": {"sysctls": {"net.ipv4.tcp_rmem": 1}}}}',
      "expected a sysctl that hopscope models",
    ],
    [
      "a packet with a bad address, deep inside",
      `{${A}, "steps": [{"op": "raw", "ns": "a", "pkt": {"ip": {"src": "1.2.3.4", "dst": "x"}}}]}`,
      'found "x", expected an IPv4 address such as 172.17.0.2 at steps.0.pkt.ip.dst',
    ],
    [
      "a frame with a bad address",
      `{${A}, "steps": [{"op": "frame", "at": "a/lo", "frame": {"eth": {"src": "x", "dst": "y"}}}]}`,
      "expected a MAC address such as 02:42:ac:11:00:02",
    ],
  ])("is refused: %s", (_, text, expected) => {
    expect(refusal(text)).toContain(expected);
  });

  it("may say more than hopscope reads", () => {
    expect(new LabText(`{${A}, "origin": "a bug report"}`, "case.json").run().steps).toEqual([]);
  });

  it("answers a use of a socket that is not open, as the kernel harness does", () => {
    const { steps } = new LabText(`{${A}, "steps": [{"op": "recv", "id": "x"}]}`, "case.json").run();
    expect(steps[0]!.result).toEqual({ err: "no socket 'x'" });
  });
});
