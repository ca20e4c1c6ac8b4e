/** What two runs of one tool cannot have in common, and why. Nothing here hides an address, a rule, a route or a device. */
interface Mask {
  readonly command: RegExp;
  /** Why it differs. */
  readonly because: string;
  mask(text: string): string;
}

const MASKS: readonly Mask[] = [
  {
    command: /^ip (-\S+ )*n/,
    because: "the kernel lists neighbours in the order of a hash with a random seed",
    mask: (text) => inOrder(text),
  },
  {
    command: /^brctl showmacs/,
    because: "real time passes between a frame and the command",
    mask: (text) => text.replace(/\d+\.\d\d$/gm, "0.00"),
  },
];

const inOrder = (text: string): string =>
  text
    .split(/(?<=\n)/)
    .sort()
    .join("");

/** What a tool printed, without what two runs cannot have in common. */
export function toolText(command: string, text: string): string {
  return MASKS.filter((each) => each.command.test(command)).reduce((masked, { mask }) => mask(masked), text);
}
