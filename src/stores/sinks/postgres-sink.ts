import type { Knex } from 'knex';
import { classifyPostgresError, reasonOf } from '../../errors/driver-errors.ts';
import { type EntityDefinition, keyParts, type PostgresSink as PostgresTarget } from '../../lib/entity.ts';
import { batchStatement, droppedStatement, olderStatement } from './postgres-statement.ts';
import type { BatchOutcome, Sink, StoreWrite } from './sink.ts';

interface StatementResult {
  rowCount: number | null;
  rows: { written?: number; members?: number; refused?: { write_key: string; code: string }[] }[];
}

/** No batch takes this long; a connection whose peer has gone in silence would hold one for a quarter of an hour. */
const TIMEOUT_MS = 60_000;
const PING_TIMEOUT_MS = 5_000;

/** One guarded statement a batch; a batch that the database refuses is halved until the bad rows stand alone (I5). */
export class PostgresSink implements Sink {
  readonly #knex: Knex;
  readonly #timeoutMs: number;

  /** @param timeoutMs after this long without an answer the connection counts as dead and is given up */
  constructor(knex: Knex, { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}) {
    this.#knex = knex;
    this.#timeoutMs = timeoutMs;
  }

  async ping(): Promise<void> {
    await this.#knex.raw('SELECT 1').timeout(Math.min(PING_TIMEOUT_MS, this.#timeoutMs));
  }

  async versionOf(entity: EntityDefinition, key: string): Promise<number | undefined> {
    const { table, conflict, version } = entity.sink as PostgresTarget;
    const where = conflict.map((name) => `"${name}" = ?`).join(' AND ');
    const values = Object.values(keyParts(entity, key)) as string[];
    const { rows } = (await this.#knex
      .raw(`SELECT "${version}" AS version FROM "${table}" WHERE ${where}`, values)
      .timeout(this.#timeoutMs)) as { rows: { version: string }[] };
    return rows[0] === undefined ? undefined : Number(rows[0].version);
  }

  async write(entity: EntityDefinition, writes: readonly StoreWrite[]): Promise<BatchOutcome> {
    // One lock order for all batches: concurrent ones wait for each other instead of deadlocking.
    const sorted = [...writes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const outcome: BatchOutcome = { stored: [], stale: 0, dropped: [], rejected: [], statements: 0 };
    await this.#writeSome(entity, sorted, outcome);
    return outcome;
  }

  async #writeSome(
    entity: EntityDefinition,
    writes: readonly StoreWrite[],
    outcome: BatchOutcome,
    { isRepeated = false, races = 0 } = {},
  ): Promise<void> {
    if (writes.length === 0) return;
    if (races > MOST_RACES)
      throw Object.assign(new Error('rows change whenever they are written'), { code: SERIALIZATION_FAILURE });
    const { sql, bindings, unreadable } = batchStatement(entity, writes);
    if (unreadable.length > 0) {
      outcome.rejected.push(...unreadable);
      const broken = new Set(unreadable.map(({ key }) => key));
      return this.#writeSome(
        entity,
        writes.filter(({ key }) => !broken.has(key)),
        outcome,
      );
    }
    let raced: ReadonlySet<string>;
    try {
      outcome.statements++;
      const result = (await this.#knex.raw(sql, bindings).timeout(this.#timeoutMs)) as unknown as StatementResult;
      const left = await this.#leftBy(entity, writes, result, outcome);
      raced = left.raced;
      const settled = writes.filter(({ key }) => !left.raced.has(key));
      this.#record(entity, settled, result, left.refused, outcome);
      outcome.dropped.push(...(await this.#droppedBy(entity, settled, result, outcome)));
    } catch (error) {
      if (classifyPostgresError(error) !== 'permanent') throw error;
      if (writes.length === 1) {
        // The row itself may have been inserted a moment ago by another batch: ON CONFLICT looks at one index only, the
        // others refuse it. It is there now, so a second attempt finds it, or the value really is another row's.
        if ((error as { code?: string }).code === UNIQUE_VIOLATION && !isRepeated)
          return this.#writeSome(entity, writes, outcome, { isRepeated: true, races });
        outcome.rejected.push({ key: writes[0]!.key, reason: reasonOf(error) });
        return;
      }
      const half = Math.ceil(writes.length / 2);
      await this.#writeSome(entity, writes.slice(0, half), outcome);
      await this.#writeSome(entity, writes.slice(half), outcome);
      return;
    }
    await this.#writeSome(
      entity,
      writes.filter(({ key }) => raced.has(key)),
      outcome,
      { races: races + 1 },
    );
  }

  /**
   * What the statement has left as it was though its write is newer: keys that a rule refused, with its code, and those that
   * changed while they were written. From the statement's own answer, or asked when rows are missing in it.
   */
  async #leftBy(
    entity: EntityDefinition,
    writes: readonly StoreWrite[],
    result: StatementResult,
    outcome: BatchOutcome,
  ): Promise<{ refused: ReadonlyMap<string, string>; raced: ReadonlySet<string> }> {
    const [row] = result.rows;
    const refused = new Map((row?.refused ?? []).map(({ write_key, code }) => [write_key, code]));
    const raced = new Set<string>();
    const tried = writes.filter(({ key }) => !refused.has(key));
    const isWhole =
      row?.members === undefined
        ? (row?.written ?? result.rowCount ?? 0) >= tried.length
        : row.members >= tried.reduce((sum, { fields }) => sum + fields.length, 0);
    const question = isWhole ? undefined : olderStatement(entity, tried);
    if (question) {
      outcome.statements++;
      const { rows } = (await this.#knex.raw(question.sql, question.bindings).timeout(this.#timeoutMs)) as {
        rows: { write_key: string; code: string | null }[];
      };
      for (const { write_key, code } of rows) {
        if (code === null) raced.add(write_key);
        else refused.set(write_key, code);
      }
    }
    return { refused, raced };
  }

  /** Keys that the entity's drop rule left out; asked when rows are missing in the statement's answer. */
  async #droppedBy(
    entity: EntityDefinition,
    writes: readonly StoreWrite[],
    result: StatementResult,
    outcome: BatchOutcome,
  ): Promise<string[]> {
    const isWhole = (result.rows[0]?.written ?? result.rowCount ?? 0) >= writes.length;
    const question = isWhole ? undefined : droppedStatement(entity, writes);
    if (!question) return [];
    outcome.statements++;
    const { rows } = (await this.#knex.raw(question.sql, question.bindings).timeout(this.#timeoutMs)) as {
      rows: { write_key: string }[];
    };
    return rows.map(({ write_key }) => write_key);
  }

  #record(
    entity: EntityDefinition,
    writes: readonly StoreWrite[],
    result: StatementResult,
    refused: ReadonlyMap<string, string>,
    outcome: BatchOutcome,
  ): void {
    const rules = (entity.sink as PostgresTarget).refuse ?? [];
    for (const { key } of writes) {
      const code = refused.get(key);
      if (code === undefined) outcome.stored.push(key);
      else
        outcome.rejected.push({
          key,
          reason: { code, message: rules.find((rule) => rule.code === code)?.message ?? code },
        });
    }
    outcome.stale += writes.length - refused.size - (result.rows[0]?.written ?? result.rowCount ?? 0);
  }
}

const UNIQUE_VIOLATION = '23505';
/** SQLSTATE of a lost race: BullMQ repeats the batch. */
const SERIALIZATION_FAILURE = '40001';
/** Each time another batch was quicker with an older version, of which there are only so many: nobody loses so often. */
const MOST_RACES = 50;
