import { MOST_BODY_CHARACTERS, MOST_TITLE_CHARACTERS } from './notification.entity.ts';

/** A text of so many UTF-16 units at most; what is cut ends in an ellipsis and never in half a character. */
const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;

/** Texts as a notification has room for them; whoever wants all of it opens what it is about. */
export const shortened = ({ title, body }: { title: string; body: string }): { title: string; body: string } => ({
  title: cut(title, MOST_TITLE_CHARACTERS),
  body: cut(body, MOST_BODY_CHARACTERS),
});
