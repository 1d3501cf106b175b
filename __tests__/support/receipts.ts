import type { WriteReceipt } from '../../src/lib/write-receipt.ts';

/** Of a write that a test's route pretends to have buffered. */
export const receipt: WriteReceipt = {
  entity: 'thing',
  key: '1',
  version: 1,
  isPending: true,
  storedBy: new Date('2031-05-05T04:00:00.000Z'),
};
