export const UUID_BYTES = 16;
const DASH = '-'.charCodeAt(0);
const NO_DIGIT = 255;
/** Values of hexadecimal digits by their character code. */
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (const digit of '0123456789abcdefABCDEF') DIGITS[digit.charCodeAt(0)] = Number.parseInt(digit, 16);
const digitAt = (text: string, at: number): number => DIGITS[text.charCodeAt(at)] ?? NO_DIGIT;

/** Writes a uuid's 16 bytes. @returns false for what is not a uuid: then the bytes hold anything */
export function writeUuid(uuid: string, bytes: Buffer, start: number): boolean {
  if (uuid.length !== 36) return false;
  let at = start;
  for (let character = 0; character < 36; character += 2) {
    if (character === 8 || character === 13 || character === 18 || character === 23) {
      if (uuid.charCodeAt(character) !== DASH) return false;
      character++;
    }
    const high = digitAt(uuid, character);
    const low = digitAt(uuid, character + 1);
    if (high === NO_DIGIT || low === NO_DIGIT) return false;
    bytes[at++] = (high << 4) | low;
  }
  return true;
}
