import { describe, expect, test } from "vitest";
import { recording } from "./recorded/digest.ts";
import { RUNS } from "./recorded/runs.ts";
import { Stage } from "./recorded/stage.ts";

describe("hopscope tells a recorded run as the kernel's own tools told it:", () => {
  test.each(RUNS)("$name, $title", ({ name, host, protocol, namespace = "host", namedPorts, act }) => {
    const stage = new Stage(host, namespace);
    act(stage);
    const comparable = (text: string) => {
      // hopscope has no IPv6: the connection of docker-proxy is compared, not the client's own.
      const told = numbered(name === "t27" ? text.replace(/client local=\S+ -> \S+ \| /, "") : text);
      return namedPorts === undefined ? told : portClasses(told, namedPorts);
    };
    expect(comparable(stage.retell(protocol))).toBe(comparable(recording(`${name}.txt`)));
  });
});

function portClasses(text: string, named: readonly number[]): string {
  const port = /(?<=sport=|dport=|SPORT=|DPORT=|peer=[\d.]+:|IP \d+\.\d+\.\d+\.\d+\.| > \d+\.\d+\.\d+\.\d+\.)\d+/g;
  return text.replace(port, (digits) => {
    const number = Number(digits);
    if (named.includes(number)) return digits;
    return number < 512 ? "<512>" : number < 1024 ? "<512-1023>" : "<1024->";
  });
}

/** The first numbers of TCP streams, which the kernel draws at random, are numbered as they appear. */
function numbered(text: string): string {
  const first: number[] = [];
  const name = (digits: string): string => {
    const known = first.findIndex((number) => Number(digits) === number || Number(digits) === number + 1);
    if (known >= 0) return `#${known + 1}${Number(digits) === first[known] ? "" : "+1"}`;
    first.push(Number(digits));
    return `#${first.length}`;
  };
  return text.replace(/(?<=Flags \[S\.?\].* (?:seq|ack) |Flags \[R\], seq |Flags \[R\.\], seq 0, ack )\d{4,}/g, name);
}
