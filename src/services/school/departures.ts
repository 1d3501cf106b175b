import type { Knex } from 'knex';
import type { Log } from '../../lib/log.ts';

/** Something that a student who leaves still has or owes (A6). */
export interface Obligation {
  kind: 'loan' | 'due';
  id: string;
  /** In words for the office: an invoice's number, a book's name. */
  label: string;
  due_on: string | null;
  /** Money only. */
  amount_minor: number | null;
}

/** What a service has to do with students who leave. It registers this where services are wired. */
export interface DeparturePart {
  /** Of the service, as answers and the log call it. */
  name: string;
  /** What the student still has or owes. Asked when the student has left. */
  obligationsOf?(studentId: string): Promise<Obligation[]>;
  /**
   * Ends what the service gives the student: nothing of it lasts longer than the day of leaving. What it throws keeps the student.
   *
   * @param knex the transaction that ends the membership
   * @param leftOn last day at school, a school date
   */
  onLeave?(knex: Knex.Transaction, studentId: string, leftOn: string): Promise<void>;
}

export interface OpenObligations {
  /** In the order of registration. */
  items: Obligation[];
  /** Names of services that could not be asked. */
  degraded: string[];
}

/** Who takes part when a student leaves (A6): the school core knows no service that lends, bills or drives. */
export class Departures {
  readonly #parts: DeparturePart[] = [];
  readonly #log: Pick<Log, 'warn'>;

  constructor(log: Pick<Log, 'warn'>) {
    this.#log = log;
  }

  register(part: DeparturePart): void {
    this.#parts.push(part);
  }

  /** One after the other: they share a connection. */
  async onLeave(knex: Knex.Transaction, studentId: string, leftOn: string): Promise<void> {
    for (const part of this.#parts) await part.onLeave?.(knex, studentId, leftOn);
  }

  /** The student has left already, so a service that fails is only named. */
  async obligationsOf(studentId: string): Promise<OpenObligations> {
    const answers = await Promise.allSettled(this.#parts.map(async (part) => part.obligationsOf?.(studentId)));
    const items: Obligation[] = [];
    const degraded: string[] = [];
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') items.push(...(answer.value ?? []));
      else {
        const { name } = this.#parts[index]!;
        degraded.push(name);
        this.#log.warn('obligations of a leaving student not known', { service: name, error: answer.reason });
      }
    }
    return { items, degraded };
  }
}
