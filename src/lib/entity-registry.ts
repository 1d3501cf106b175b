import type { EntityDefinition } from './entity.ts';

export class UnknownEntityError extends Error {
  override name = 'UnknownEntityError';
}

/**
 * The entities this deployment knows, with the order in which their rows must be stored: an entity's stage is one
 * more than the highest stage of its parents (I6).
 */
export class EntityRegistry {
  readonly #entities = new Map<string, EntityDefinition>();
  readonly #stages: EntityDefinition[][];

  constructor(definitions: readonly EntityDefinition[]) {
    for (const definition of definitions) {
      if (this.#entities.has(definition.name)) throw new Error(`entity ${definition.name} is registered twice`);
      this.#entities.set(definition.name, definition);
    }
    this.#stages = this.#order();
  }

  get(name: string): EntityDefinition {
    const entity = this.#entities.get(name);
    if (!entity) {
      throw new UnknownEntityError(`no entity "${name}"; known are ${[...this.#entities.keys()].join(', ')}`);
    }
    return entity;
  }

  find(name: string): EntityDefinition | undefined {
    return this.#entities.get(name);
  }

  all(): EntityDefinition[] {
    return [...this.#entities.values()];
  }

  /** Entities that may be written in parallel, parents' stages first. */
  stages(): readonly (readonly EntityDefinition[])[] {
    return this.#stages;
  }

  /** Names of entities that wait for rows of this one. */
  childrenOf(name: string): string[] {
    return this.all()
      .filter((entity) => entity.parents?.some((parent) => parent.entity === name))
      .map((entity) => entity.name);
  }

  #order(): EntityDefinition[][] {
    const stageOf = new Map<string, number>();
    const visit = (entity: EntityDefinition, path: string[]): number => {
      const known = stageOf.get(entity.name);
      if (known !== undefined) return known;
      if (path.includes(entity.name))
        throw new Error(`entities wait for each other: ${[...path, entity.name].join(' -> ')}`);
      const parents = (entity.parents ?? []).map((parent) => this.get(parent.entity));
      const stage = parents.reduce((max, parent) => Math.max(max, visit(parent, [...path, entity.name]) + 1), 0);
      stageOf.set(entity.name, stage);
      return stage;
    };
    const stages: EntityDefinition[][] = [];
    for (const entity of this.all()) {
      const stage = visit(entity, []);
      stages[stage] ??= [];
      stages[stage].push(entity);
    }
    return stages;
  }
}
