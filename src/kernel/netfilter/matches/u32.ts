import { NETWORK, type Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { hex, parseInteger, printOption } from "../value.ts";

/** `XT_U32_MAXSIZE`: of tests, of steps to a value, and of ranges. */
const MOST = 10;
const LAST = 0xffffffff;
const OPERATORS = ["&", "<<", ">>", "@"] as const;
type Operator = (typeof OPERATORS)[number];

interface Step {
  readonly operator: Operator;
  readonly operand: number;
}

interface Test {
  readonly position: number;
  readonly steps: readonly Step[];
  /** First and last of each range in turn. */
  readonly ranges: readonly number[];
}

/** `u32_mt()` of xt_u32.c: four bytes at an offset from the IPv4 header, masked, shifted, and compared. */
class U32Match implements Match {
  readonly name = "u32";

  constructor(
    private readonly tests: readonly Test[],
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    let all = true;
    for (let i = 0; i < this.tests.length && all; i++) all = holds(packet, this.tests[i]!);
    return all !== this.not;
  }

  print(): string {
    return printOption("u32", `"${this.tests.map(formatTest).join("&&")}"`, this.not);
  }
}

function holds({ view, end }: Packet, { position, steps, ranges }: Test): boolean {
  const length = end - NETWORK;
  if (position > length - 4) return false;
  let value = view.getUint32(NETWORK + position);
  let base = 0;
  for (let i = 0; i < steps.length; i++) {
    const { operator, operand } = steps[i]!;
    if (operator === "&") value = (value & operand) >>> 0;
    else if (operator === "<<") value = operand > 31 ? 0 : (value << operand) >>> 0;
    else if (operator === ">>") value = operand > 31 ? 0 : value >>> operand;
    else {
      base += value;
      if (base > LAST || base + operand > length - 4) return false;
      value = view.getUint32(NETWORK + base + operand);
    }
  }
  for (let i = 0; i < ranges.length; i += 2) if (value >= ranges[i]! && value <= ranges[i + 1]!) return true;
  return false;
}

function formatTest({ position, steps, ranges }: Test): string {
  const way = steps.map(({ operator, operand }) => `${operator}${hex(operand)}`).join("");
  const values: string[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const [min, max] = [ranges[i]!, ranges[i + 1]!];
    values.push(min === max ? hex(min) : `${hex(min)}:${hex(max)}`);
  }
  return `${hex(position)}${way}=${values.join(",")}`;
}

/** Reads `0>>22&0x3C@4=0x29&&6=1:5,9`; blanks may stand anywhere. */
class Reader {
  private at = 0;

  constructor(private readonly token: Token) {}

  private refuse(expected: string): Error {
    return unexpected(part(this.token, this.at), expected);
  }

  private skip(): void {
    while (this.token.text[this.at] === " ") this.at++;
  }

  private take(word: string): boolean {
    this.skip();
    if (!this.token.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private number(): number {
    this.skip();
    const [digits = ""] = /^(0x[0-9a-f]+|\d+)/i.exec(this.token.text.slice(this.at)) ?? [];
    const value = parseInteger(digits);
    if (!(value <= LAST)) throw this.refuse(`a number (0-${LAST})`);
    this.at += digits.length;
    return value;
  }

  read(): Test[] {
    const tests: Test[] = [];
    do {
      if (tests.length === MOST) throw this.refuse(`at most ${MOST} tests`);
      tests.push(this.test());
    } while (this.take("&&"));
    this.skip();
    if (this.at < this.token.text.length) throw this.refuse("&& or the end");
    return tests;
  }

  private test(): Test {
    const position = this.number();
    const steps: Step[] = [];
    while (!this.take("=")) {
      const operator = OPERATORS.find((each) => this.take(each));
      if (operator === undefined) throw this.refuse(`${OPERATORS.join(", ")} or =`);
      if (steps.length === MOST - 1) throw this.refuse(`at most ${MOST} numbers before =`);
      steps.push({ operator, operand: this.number() });
    }
    const ranges: number[] = [];
    do {
      if (ranges.length === 2 * MOST) throw this.refuse(`at most ${MOST} values`);
      const min = this.number();
      ranges.push(min, this.take(":") ? this.number() : min);
    } while (this.take(","));
    return { position, steps, ranges };
  }
}

export const u32Kind: MatchKind = {
  name: "u32",
  options: [{ name: "u32", not: true }],
  parse(options) {
    const given = options.need("u32");
    return new U32Match(new Reader(given.values[0]!).read(), given.not);
  },
};
