import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, pool, refusal } from "../one-rule.ts";

const ask = (options: string, date: string): boolean =>
  attached([`-m time ${options}`]).ask(udpPacket(pool), Date.parse(`${date}Z`) / 1000)[0]!;

const STOP = "--datestop 2038-01-19T03:14:07";

describe("the match time", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m time", `-m time ${STOP}`],
      ["-m time --timestart 1:0:5 --timestop 2:00", `-m time --timestart 01:00:05 --timestop 02:00:00 ${STOP}`],
      ["-m time --weekdays Mo,Tuesday,3", `-m time --weekdays Mon,Tue,Wed ${STOP}`],
      ["-m time ! --weekdays Mon", `-m time --weekdays Tue,Wed,Thu,Fri,Sat,Sun ${STOP}`],
      [
        "-m time ! --monthdays 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28",
        `-m time --monthdays 29,30,31 ${STOP}`,
      ],
      ["-m time --datestart 2020-01", `-m time --datestart 2020-01-01T00:00:00 ${STOP}`],
      ["-m time --datestart 2020-02-31", `-m time --datestart 2020-03-02T00:00:00 ${STOP}`],
      ["-m time --localtz --datestop 2030", "-m time --datestop 2030-01-01T00:00:00 --kerneltz"],
      `-m time --timestart 10:00:00 --timestop 09:00:00 ${STOP} --contiguous`,
    ]);
  });

  it.each([
    ["", "1970-01-01T00:00:00", true],
    ["--timestart 09:00 --timestop 17:00", "1970-01-01T09:00:00", true],
    ["--timestart 09:00 --timestop 17:00", "1970-01-01T08:59:59", false],
    ["--timestart 09:00 --timestop 17:00", "1970-01-05T17:00:00", true],
    ["--timestart 09:00 --timestop 17:00", "1970-01-05T17:00:01", false],
    ["--timestart 23:00 --timestop 01:00", "1970-01-01T00:30:00", true],
    ["--timestart 23:00 --timestop 01:00", "1970-01-01T12:00:00", false],
    ["--weekdays Thu", "1970-01-01T00:00:00", true],
    ["--weekdays Fri", "1970-01-01T00:00:00", false],
    ["--weekdays Sun", "1970-01-04T12:00:00", true],
    ["! --weekdays Sun", "1970-01-04T12:00:00", false],
    ["--weekdays Mon --timestart 23:00 --timestop 01:00", "1970-01-06T00:30:00", false],
    ["--weekdays Mon --timestart 23:00 --timestop 01:00 --contiguous", "1970-01-06T00:30:00", true],
    ["--weekdays Mon --timestart 23:00 --timestop 01:00 --contiguous", "1970-01-05T00:30:00", false],
    ["--monthdays 29", "2000-02-29T10:00:00", true],
    ["--monthdays 1", "2000-03-01T00:00:00", true],
    ["--monthdays 31", "2023-12-31T23:59:59", true],
    ["! --monthdays 31", "2023-12-31T23:59:59", false],
    ["--datestart 2020-01-01 --datestop 2020-06-01", "2020-03-01T00:00:00", true],
    ["--datestart 2020-01-01 --datestop 2020-06-01", "2019-12-31T23:59:59", false],
    ["--datestart 2020-01-01 --datestop 2020-06-01", "2020-06-01T00:00:01", false],
  ])("with %s at %s says %s", (options, date, expected) => {
    expect(ask(options, date)).toBe(expected);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m time --timestart 24:00")).toMatch(/^21 "24:00" \| a time of day/);
    expect(refusal("-m time --monthdays 32")).toBe('21 "32" | a day of the month (1-31)');
    expect(refusal("-m time --weekdays Foo")).toMatch(/^20 "Foo" \| a day of the week/);
    expect(refusal("-m time --datestart 2020-13-01")).toMatch(/^21 "2020-13-01" \| a date/);
    expect(refusal("-m time --timestart 09:00 --timestop 10:00 --contiguous")).toMatch(/^44 "--contiguous"/);
  });
});
