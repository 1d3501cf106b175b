const IPV4_IN_IPV6 = '::ffff:';

/** A socket that listens on IPv6 shows IPv4 clients in its own notation; limits and rows know one spelling a client. */
export const plainIp = (ip: string | undefined): string =>
  ip?.startsWith(IPV4_IN_IPV6) ? ip.slice(IPV4_IN_IPV6.length) : (ip ?? '');
