import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { quote, unexpected } from "../tokenizer.ts";

/** `comment_mt()` of xt_comment.c: always true. */
class CommentMatch implements Match {
  readonly name = "comment";

  constructor(private readonly text: string) {}

  matches(): boolean {
    return true;
  }

  print(): string {
    return `--comment ${quote(this.text)}`;
  }
}

export const commentKind: MatchKind = {
  name: "comment",
  options: [{ name: "comment" }],
  parse(options) {
    const token = options.need("comment").values[0]!;
    if (token.text.length > 255) throw unexpected(token, "a comment of at most 255 characters");
    return new CommentMatch(token.text);
  },
};
