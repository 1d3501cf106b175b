/** What the engine needs of a logger; winston's fits. Fields never hold bodies: entity, key, job id, counts. */
export interface Log {
  debug(message: string, fields?: object): unknown;
  info(message: string, fields?: object): unknown;
  warn(message: string, fields?: object): unknown;
  error(message: string, fields?: object): unknown;
}
