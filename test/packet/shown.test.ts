import { expect, it } from "vitest";
import { FRAME, type Packet } from "../../src/packet/packet.ts";
import { Pool } from "../../src/packet/pool.ts";
import { isLaterFragment, overwrite, show } from "../../src/packet/shown.ts";
import { frameBytes, type IpSpec } from "../../src/scenario/lab-packet.ts";

const ETHERNET = { src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" };

function fragment(ip: Partial<IpSpec> = {}, eth = ETHERNET): Packet {
  const whole = { src: "10.0.0.1", dst: "10.0.0.2", id: 9, off: 48, ...ip };
  const frame = frameBytes({ eth, ip: whole, raw: "0102030405060708", proto: 17 });
  const packet = new Pool().take(frame.length);
  packet.bytes.set(frame, FRAME);
  return packet;
}

const bytesOf = ({ bytes, end }: Packet) => bytes.slice(FRAME, end);

it("knows a fragment that is not the first", () => {
  expect(isLaterFragment(fragment())).toBe(true);
  expect(isLaterFragment(fragment({ off: 0, mf: true }))).toBe(false);
});

it("shows the arrival of a later fragment with the headers of its departure", () => {
  const arrived = fragment();
  const before = bytesOf(arrived);
  show(arrived, before);
  const left = fragment({ src: "192.0.2.1", ttl: 63 }, { ...ETHERNET, dst: "02:00:00:00:00:09" });
  left.shown = arrived.shown;
  show(left, bytesOf(left));
  expect(before).toEqual(bytesOf(left));
});

it("writes the headers before what is left of the payload", () => {
  const arrived = fragment();
  const shown = bytesOf(arrived);
  show(arrived, shown);
  const left = fragment({ off: 56 });
  left.shown = arrived.shown;
  left.shown![0]!.payload += 8;
  overwrite(left, FRAME);
  expect(shown.subarray(8, 42)).toEqual(bytesOf(left).subarray(0, 34));
  expect(shown.subarray(0, 8)).toEqual(bytesOf(arrived).subarray(0, 8));
});
