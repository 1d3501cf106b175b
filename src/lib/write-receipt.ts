/** A write that the buffer has taken. */
export interface Receipt {
  entity: string;
  key: string;
  version: number;
}

/** An acknowledged write, and where it is. */
export interface WriteReceipt extends Receipt {
  /** False: it is in its database already. */
  isPending: boolean;
  /** Until when it is stored at the latest; absent once it is. */
  storedBy?: Date;
}

/** Under this id its state can be asked for. */
export const writeId = ({ entity, key, version }: Receipt): string => `${entity}~${key}~${version}`;

export function parseWriteId(id: string): Receipt | undefined {
  const [entity = '', key = '', version = '', ...rest] = id.split('~');
  const isWhole = entity !== '' && key !== '' && /^[1-9]\d{0,15}$/.test(version) && rest.length === 0;
  return isWhole ? { entity, key, version: Number(version) } : undefined;
}
