import type { Knex } from 'knex';
import type { Barrier } from '../../buffer/barrier.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { NEXT_VERSION } from '../write-through.ts';
import { sheetKey } from './attendance.entity.ts';

interface SheetPlace {
  class_id: string;
  on_date: string;
  period_no: number;
}

const keyOf = ({ class_id, on_date, period_no }: SheetPlace): string => sheetKey(class_id, on_date, period_no);

/** AT8: sheets of a day that becomes closed are void: kept, and not counted. They count again when the day is open again. */
export class SheetVoiding {
  readonly #buffer: WriteBuffer;
  readonly #barrier: Barrier;
  readonly #knex: Knex;

  constructor({ buffer, barrier, knex }: { buffer: WriteBuffer; barrier: Barrier; knex: Knex }) {
    this.#knex = knex;
    this.#buffer = buffer;
    this.#barrier = barrier;
  }

  /**
   * Follows the calendar in its transaction: what the buffer holds of the closed dates is stored first.
   *
   * @returns keys of the sheets that changed, for `forget` after the commit
   * @throws FlushPendingError when buffered sheets are not stored in time
   */
  async follow(
    knex: Knex,
    { closed, opened }: { closed: readonly string[]; opened: readonly string[] },
  ): Promise<string[]> {
    await this.#storePending(closed);
    // A sheet of a locked term was closed before it was void.
    const result = await knex.raw(
      `UPDATE attendance_sheets s SET updated_at = now(), version = ${NEXT_VERSION}, status = CASE
         WHEN s.on_date = ANY(:closed::date[]) THEN 'void'
         WHEN EXISTS (SELECT 1 FROM terms t WHERE t.locked_at IS NOT NULL AND s.on_date BETWEEN t.starts_on AND t.ends_on) THEN 'closed'
         ELSE 'open' END
       WHERE (s.on_date = ANY(:closed::date[]) AND s.status <> 'void') OR (s.on_date = ANY(:opened::date[]) AND s.status = 'void')
       RETURNING class_id, on_date, period_no`,
      { closed: [...closed], opened: [...opened] },
    );
    return (result.rows as SheetPlace[]).map(keyOf);
  }

  /**
   * Whether a roll that counts was taken on some of these dates; what the buffer holds of them is stored first.
   *
   * @throws FlushPendingError when it is not stored in time
   */
  async hasSheets(knex: Knex, dates: readonly string[]): Promise<boolean> {
    await this.#storePending(dates);
    const result = await knex.raw(
      `SELECT EXISTS (SELECT 1 FROM attendance_sheets WHERE on_date = ANY(?::date[]) AND status <> 'void') AS found`,
      [[...dates]],
    );
    return result.rows[0].found;
  }

  /** Keys of the stored sheets of some dates. */
  async keysOf(dates: readonly string[]): Promise<string[]> {
    const result = await this.#knex.raw(
      'SELECT class_id, on_date, period_no FROM attendance_sheets WHERE on_date = ANY(?::date[])',
      [[...dates]],
    );
    return (result.rows as SheetPlace[]).map(keyOf);
  }

  /** Whether the buffer holds a roll of one of these dates. */
  async hasPending(dates: readonly string[]): Promise<boolean> {
    return (await this.#buffer.pendingSheetKeys('attendance', 'on_date', dates)).length > 0;
  }

  /** Drops the copies of sheets that have changed behind the buffer's back. */
  forget(keys: readonly string[]): Promise<void> {
    return this.#buffer.dropWarm('attendance', keys);
  }

  async #storePending(dates: readonly string[]): Promise<void> {
    if (dates.length === 0) return;
    const keys = await this.#buffer.pendingSheetKeys('attendance', 'on_date', dates);
    await this.#barrier.store('attendance', [...new Set(keys)]);
  }
}
