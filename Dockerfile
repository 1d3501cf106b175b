# The API and the worker in one image: `web` by default, `worker` by command, and the one-shot `deploy/migrate.ts`.
# Node runs the TypeScript sources as they are, so there is nothing to build but the packages.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# scripts of packages are not needed: every binary that production uses comes inside an npm package
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY deploy/migrate.ts ./deploy/migrate.ts
COPY migrations ./migrations
COPY queues ./queues
COPY processors ./processors
COPY src ./src
# uploaded files where no bucket is named: web and worker share a volume that is mounted here
RUN mkdir -p /data/objects && chown -R node:node /data
USER node
EXPOSE 3000 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
CMD ["node", "--max-semi-space-size=64", "--no-parallel-scavenge", "src/server.ts"]
