import { describe, expect, test } from "vitest";
import { chooseAddress } from "../../../src/kernel/nat/address-choice.ts";
import { formatIpv4, parseIpv4 } from "../../../src/wire/address.ts";
import { hashWords, predictAddress } from "./jenkins.ts";
import { CLIENT, framesOn, fromClient, INNER, runRouter, SERVER, table, udp } from "./router.ts";

const FIRST = "10.0.2.100";
const LAST = "10.0.2.119";
const clients = Array.from({ length: 10 }, (_, i) => `10.0.1.${20 + 7 * i}`);

/** The source and destination that the server's cable shows for one datagram. */
function translated(rule: string, from: string, to: string): [string, string] {
  const neighbours = Array.from({ length: 20 }, (_, i): [string, string, string] => [
    "eth1",
    `10.0.2.${100 + i}`,
    "02:00:00:00:05:20",
  ]);
  const { steps } = runRouter([fromClient(udp(`${from}:5000`, `${to}:53`))], {
    rules: table("nat", rule),
    neigh: neighbours,
  });
  const [frame] = framesOn(steps[0]!.frames, "router/eth1");
  return [frame!.ip!.source, frame!.ip!.destination];
}

describe("5 Address from a range: jhash2(src as 4 words, seed = dst, or 0 with --persistent) scaled to the range; no secret", () => {
  test("the reimplementation hashes as Jenkins' published examples do", () => {
    expect(hashWords([], 0n)).toBe(0xdeadbeefn);
    expect(hashWords([], 0xdeadbeefn)).toBe(0xbd5b7dden);
  });

  test.each(clients)("SNAT for %s as predicted", (client) => {
    const rule = `-A POSTROUTING -j SNAT --to-source ${FIRST}-${LAST}`;
    expect(translated(rule, client, SERVER)).toEqual([predictAddress(FIRST, LAST, client, SERVER), SERVER]);
  });

  test.each(clients.slice(0, 8))("DNAT for %s as predicted", (client) => {
    const rule = `-A PREROUTING -j DNAT --to-destination ${FIRST}-${LAST}`;
    expect(translated(rule, client, INNER)).toEqual([client, predictAddress(FIRST, LAST, client, INNER)]);
  });

  test.each(clients)("SNAT --persistent for %s does not depend on the destination", (client) => {
    const rule = `-A POSTROUTING -j SNAT --to-source ${FIRST}-${LAST} --persistent`;
    const expected = predictAddress(FIRST, LAST, client, null);
    expect(translated(rule, client, SERVER)[0]).toBe(expected);
    expect(translated(rule, client, "10.0.2.100")[0]).toBe(expected);
  });

  test("10,000 pairs of ends and ranges of every size as predicted", () => {
    for (let i = 0; i < 10_000; i++) {
      const source = formatIpv4(Math.imul(i + 1, 0x9e3779b1));
      const destination = formatIpv4(Math.imul(i + 1, 0x85ebca6b));
      const last = formatIpv4(parseIpv4("10.0.0.0") + (i % 3000) + 1);
      const range = { min: parseIpv4("10.0.0.0"), max: parseIpv4(last) };
      const persistent = i % 2 === 1;
      const chosen = formatIpv4(chooseAddress(range, parseIpv4(source), parseIpv4(destination), persistent));
      expect(chosen).toBe(predictAddress("10.0.0.0", last, source, persistent ? null : destination));
    }
  });

  test("a single address is taken as it is", () => {
    const range = { min: parseIpv4(FIRST), max: parseIpv4(FIRST) };
    expect(chooseAddress(range, parseIpv4(CLIENT), parseIpv4(SERVER), false)).toBe(parseIpv4(FIRST));
  });
});
