import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import {
  CLIENT,
  framesOn,
  fromClient,
  INNER,
  OUTER,
  runRouter,
  SERVER,
  table,
  tcp,
  textsOn,
  toClient,
  udp,
} from "./router.ts";

const FROM = `${CLIENT}:5000`;
const reject = (chain: string, kind: string, match = ""): string =>
  table("filter", `-A ${chain} ${match} -j REJECT --reject-with ${kind}`);
const answers = (step: LabStep, rules: string): string[] => toClient(runRouter([step], { rules }).steps[0]!);

describe("6 REJECT", () => {
  test.each([
    ["icmp-net-unreachable", "3/0"],
    ["icmp-host-unreachable", "3/1"],
    ["icmp-proto-unreachable", "3/2"],
    ["icmp-port-unreachable", "3/3"],
    ["icmp-net-prohibited", "3/9"],
    ["icmp-host-prohibited", "3/10"],
    ["icmp-admin-prohibited", "3/13"],
  ])("all seven ICMP codes check out: %s is %s", (kind, code) => {
    const packet = fromClient(udp(FROM, `${SERVER}:53`));
    expect(answers(packet, reject("FORWARD", kind))).toEqual([`icmp ${INNER} > ${CLIENT} ${code} ttl 64`]);
    const toUs = fromClient(udp(FROM, `${OUTER}:53`));
    expect(answers(toUs, reject("INPUT", kind))).toEqual([`icmp ${OUTER} > ${CLIENT} ${code} ttl 64`]);
  });

  const reset = reject("FORWARD", "tcp-reset", "-p tcp");

  test("tcp-reset gives RST|ACK with the destination's address", () => {
    const { steps } = runRouter([fromClient(tcp(FROM, `${SERVER}:80`, "S", { seq: 1000 }))], { rules: reset });
    const [frame] = framesOn(steps[0]!.frames, "router/eth0");
    expect(frame!.ip).toMatchObject({ text: `tcp ${SERVER}:80 > ${FROM} RA ttl 64`, valid: true });
    expect(frame!.ip!.tcp).toMatchObject({ sequence: 0, acknowledgement: 1001 });
  });

  test("or RST if ACK was set", () => {
    const { steps } = runRouter([fromClient(tcp(FROM, `${SERVER}:80`, "PA", { seq: 1000, ack: 77, size: 5 }))], {
      rules: reset,
    });
    const [frame] = framesOn(steps[0]!.frames, "router/eth0");
    expect(frame!.ip!.text).toBe(`tcp ${SERVER}:80 > ${FROM} R ttl 64`);
    expect(frame!.ip!.tcp).toEqual({ flags: "R", sequence: 77, acknowledgement: 0 });
  });

  test("never answers a RST", () => {
    expect(answers(fromClient(tcp(FROM, `${SERVER}:80`, "R", { seq: 1 })), reset)).toEqual([]);
    expect(answers(fromClient(tcp(FROM, `${SERVER}:80`, "F", { seq: 1 })), reset)).toHaveLength(1);
  });

  test("or an ICMP error", () => {
    const message = (type: number) =>
      fromClient({
        ip: { src: CLIENT, dst: SERVER },
        icmp: { type, code: 3, inner: udp(`${SERVER}:1`, `${CLIENT}:2`) },
      });
    const rules = reject("FORWARD", "icmp-port-unreachable");
    expect(answers(message(3), rules)).toEqual([]);
    expect(answers(message(8), rules)).toHaveLength(1);
  });

  test("local senders get EPERM plus the error over lo", () => {
    const steps: LabStep[] = [
      { op: "udp", ns: "router", id: "u", bind: ["0.0.0.0", 5000] },
      { op: "send", id: "u", to: [SERVER, 53], size: 4 },
      { op: "errq", id: "u" },
    ];
    const result = runRouter(steps, { rules: reject("OUTPUT", "icmp-port-unreachable", "-p udp") });
    expect(result.steps[1]!.result).toEqual({ err: "EPERM" });
    expect(textsOn(result.steps[1]!, "router/lo", "in")).toEqual([`icmp ${OUTER} > ${OUTER} 3/3 ttl 64`]);
    expect(result.steps[2]!.result).toMatchObject({ errq: [{ errno: "ECONNREFUSED", icmp: [3, 3], offender: OUTER }] });
  });
});
